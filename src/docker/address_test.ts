import { test } from "node:test";
import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import { seededRandom } from "../../tests/support/random.ts";
import { parseIp, parseIpv4, parseIpv6, parseMac } from "./address.ts";

test("IPv4 addresses are four plain numbers", () => {
  for (const text of ["0.0.0.0", "127.0.0.1", "255.255.255.255"]) assert.equal(parseIpv4(text), text);
  for (
    const text of [
      "",
      "1.2.3",
      "1.2.3.4.5",
      "256.1.1.1",
      "01.2.3.4",
      "1.2.3.",
      "1..2.3",
      "0x7f.0.0.1",
      "2130706433",
      " 1.2.3.4",
      "1.2.3.4\n",
      "１.2.3.4",
    ]
  ) {
    assert.equal(parseIpv4(text), undefined, text);
  }
});

test("IPv6 addresses come back in their shortest form", () => {
  const addresses: [string, string][] = [
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["::ffff:1.2.3.4", "::ffff:102:304"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["fe80::0001", "fe80::1"],
  ];
  for (const [text, expected] of addresses) {
    assert.equal(parseIpv6(text), expected, text);
    assert.equal(parseIpv6(expected), expected);
  }
  for (
    const text of [
      "",
      ":",
      ":::",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "::1::",
      "12345::",
      "g::",
      "fe80::1%eth0",
      "1.2.3.4",
      "::1.2.3",
      "1.2.3.4::",
      "::1 ",
      "1:2:3:4:5:6:7:8::",
      ":1::2",
    ]
  ) {
    assert.equal(parseIpv6(text), undefined, text);
  }
});

test("what is an address agrees with node:net, for random text", () => {
  const random = seededRandom(6).fraction;
  const pieces = ["0", "1", "ff", "ffff", ":", ":", "::", ".", "255", "256", "10", "00", "g", ""];
  for (let round = 0; round < 20_000; round++) {
    const count = Math.floor(random() * 16);
    const text = Array.from({ length: count }, () => pieces[Math.floor(random() * pieces.length)]).join("");
    assert.equal(parseIpv6(text) !== undefined, isIPv6(text), text);
    assert.equal(parseIpv4(text) !== undefined, isIPv4(text), text);
  }
});

test("brackets stand around IPv6 only", () => {
  assert.equal(parseIp("[::1]"), "::1");
  assert.equal(parseIp("::1"), "::1");
  assert.equal(parseIp("1.2.3.4"), "1.2.3.4");
  for (const text of ["[1.2.3.4]", "[::1", "::1]", "[]", "[[::1]]"]) assert.equal(parseIp(text), undefined, text);
});

test("MAC addresses come back with colons", () => {
  assert.equal(parseMac("02:42:AC:11:00:02"), "02:42:ac:11:00:02");
  assert.equal(parseMac("02-42-ac-11-00-02"), "02:42:ac:11:00:02");
  for (
    const text of [
      "",
      "02:42:ac:11:00",
      "02:42:ac:11:00:02:03",
      "02-42:ac:11:00:02",
      "0242.ac11.0002",
      "0g:42:ac:11:00:02",
    ]
  ) {
    assert.equal(parseMac(text), undefined, text);
  }
});
