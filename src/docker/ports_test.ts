import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import { seededRandom } from "../../tests/support/random.ts";
import { parseExposedPort, parsePort } from "./ports.ts";

const tcp = (first: number, last = first) => ({ first, last, protocol: "tcp" });
const udp = (first: number, last = first) => ({ first, last, protocol: "udp" });
const host = (first: number, last = first) => ({ first, last });

test("a port of the container is opened on a port of the host, of an address", () => {
  const cases: [string, unknown][] = [
    ["80", { hostAddress: undefined, hostPorts: undefined, containerPorts: tcp(80) }],
    ["8080:80", { hostAddress: undefined, hostPorts: host(8080), containerPorts: tcp(80) }],
    ["8080:80/tcp", { hostAddress: undefined, hostPorts: host(8080), containerPorts: tcp(80) }],
    ["53:53/UDP", { hostAddress: undefined, hostPorts: host(53), containerPorts: udp(53) }],
    ["127.0.0.1:8080:80", { hostAddress: "127.0.0.1", hostPorts: host(8080), containerPorts: tcp(80) }],
    ["127.0.0.1::80", { hostAddress: "127.0.0.1", hostPorts: undefined, containerPorts: tcp(80) }],
    ["[::1]:8080:80/udp", { hostAddress: "::1", hostPorts: host(8080), containerPorts: udp(80) }],
    ["[0:0::1]::80", { hostAddress: "::1", hostPorts: undefined, containerPorts: tcp(80) }],
    [":8080:80", { hostAddress: undefined, hostPorts: host(8080), containerPorts: tcp(80) }],
    [":80", { hostAddress: undefined, hostPorts: undefined, containerPorts: tcp(80) }],
    ["0:80", { hostAddress: undefined, hostPorts: undefined, containerPorts: tcp(80) }],
    ["8000-8010:9000-9010", { hostAddress: undefined, hostPorts: host(8000, 8010), containerPorts: tcp(9000, 9010) }],
    ["8000-8010:80", { hostAddress: undefined, hostPorts: host(8000, 8010), containerPorts: tcp(80) }],
    ["1000-2000", { hostAddress: undefined, hostPorts: undefined, containerPorts: tcp(1000, 2000) }],
    ["1-65535:1-65535", { hostAddress: undefined, hostPorts: host(1, 65535), containerPorts: tcp(1, 65535) }],
  ];
  for (const [text, expected] of cases) assert.deepEqual(parsePort(text), expected, text);
});

test("what is no port is refused, with the reason", () => {
  const bad: [string, RegExp][] = [
    ["", /number from 1/],
    [":", /number from 1/],
    ["80/", /tcp or udp/],
    ["80/sctp", /SCTP/],
    ["80/tcp/udp", /tcp or udp/],
    ["0", /number from 1/],
    ["65536", /number from 1/],
    ["-1", /number from 1/],
    ["80-", /number from 1/],
    ["80-79", /ends before it begins/],
    ["80-81-82", /number from 1/],
    ["8000-8002:80-81", /3 ports of the host for 2/],
    ["8000:80-81", /1 ports of the host for 2/],
    ["0-5:0-5", /number from 1/],
    ["0-5:1-6", /does not begin at 0/],
    ["localhost:8080:80", /no IPv4 address/],
    ["256.0.0.1:8080:80", /no IPv4 address/],
    ["::1:8080:80", /more than|IPv4/],
    ["1.2.3.4:1:2:3", /more than/],
    ["[::1]:80", /behind an address/],
    ["[::1]8080:80", /brackets/],
    ["[1.2.3.4]:8080:80", /brackets/],
    ["[fe80::1%eth0]:8080:80", /brackets/],
    ["80 ", /number from 1/],
    ["0x50", /number from 1/],
    ["8080:80\n", /number from 1/],
    ["８０", /number from 1/],
  ];
  for (const [text, message] of bad) assert.throws(() => parsePort(text), message, text);
});

test("exposed ports", () => {
  assert.deepEqual(parseExposedPort("80"), tcp(80));
  assert.deepEqual(parseExposedPort("80-90/udp"), udp(80, 90));
  for (const text of ["", "80:80", "0", "80/x"]) assert.throws(() => parseExposedPort(text), DugoutError);
});

test("whatever the text, a port is read or refused by its own error", () => {
  const random = seededRandom(80).fraction;
  const pieces = ["80", "0", "65535", "-", ":", ":", "/", "udp", "127.0.0.1", "[", "]", "::1", "x", "\0"];
  for (let round = 0; round < 5000; round++) {
    const text = Array.from({ length: Math.floor(random() * 8) }, () => pieces[Math.floor(random() * pieces.length)])
      .join("");
    try {
      const { hostPorts, containerPorts } = parsePort(text);
      assert.ok(
        containerPorts.first >= 1 && containerPorts.first <= containerPorts.last && containerPorts.last <= 65535,
      );
      assert.ok(hostPorts === undefined || hostPorts.first >= 1 && hostPorts.last <= 65535);
    } catch (error) {
      assert.ok(error instanceof DugoutError, text);
    }
  }
  assert.throws(() => parsePort(":".repeat(100_000)), DugoutError);
});
