import test from "node:test";
import assert from "node:assert/strict";
import { decideDestination, isSourceAllowed, type Reach, type Verdict } from "./destination.ts";
import { formatIpAddress, makeAddress, parseIpAddress, parsePrefix } from "./ip_address.ts";

const NETWORKS = ["10.88.0.0/16", "fd00:88::/64", "10.89.0.0/16"].map((text) => parsePrefix(text)!);
const REACH: Reach = {
  own: ["10.88.0.1", "fd00:88::1", "fe80::1"].map((text) => parseIpAddress(text)!),
  hostLoopback: [],
  subnets: NETWORKS.slice(0, 2),
  networks: NETWORKS,
  isInternal: false,
};

/** What is decided on an address, and where it leads. */
function decide(text: string, reach = REACH): [Verdict, string] {
  const into = makeAddress();
  const verdict = decideDestination(reach, parseIpAddress(text)!, into);
  return [verdict, formatIpAddress(into)];
}

test("A-052 the host's loopback is closed, however it is spelled", () => {
  const closed: Record<string, Verdict> = {
    "127.0.0.1": "loopback",
    "127.0.0.53": "loopback",
    "127.255.255.254": "loopback",
    "0.0.0.0": "unspecified",
    "0.0.0.1": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "::127.0.0.1": "reserved",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:0:127.0.0.1": "reserved",
    "64:ff9b::127.0.0.1": "loopback",
    "64:ff9b::0.0.0.0": "unspecified",
    "64:ff9b:1::127.0.0.1": "reserved",
    "2002:7f00:1::1": "loopback",
    "2002:0:0::1": "unspecified",
    "2001:0:1::7f00:1": "reserved",
  };
  for (const [text, verdict] of Object.entries(closed)) assert.deepEqual(decide(text), [verdict, "::"], text);
});

test("A-052 only plain unicast goes out", () => {
  const refused: Record<string, Verdict> = {
    "255.255.255.255": "broadcast",
    "240.0.0.1": "reserved",
    "224.0.0.251": "multicast",
    "239.255.255.250": "multicast",
    "169.254.169.254": "link-local",
    "fe80::2": "link-local",
    "febf::1": "link-local",
    "fec0::1": "reserved",
    "ff02::1": "multicast",
    "100::1": "reserved",
    "4000::1": "reserved",
    "::2": "reserved",
    "10.89.0.2": "other-network",
    "10.88.0.9": "other-network",
    "fd00:88::9": "other-network",
  };
  for (const [text, verdict] of Object.entries(refused)) assert.deepEqual(decide(text), [verdict, "::"], text);
  for (
    const text of ["1.1.1.1", "192.168.1.5", "10.0.0.1", "223.255.255.255", "2001:db8::1", "2606:4700::1", "fd12::1"]
  ) {
    assert.deepEqual(decide(text), ["outside", text]);
  }
});

test("the stack's own addresses are the stack, and nothing leads out of an internal network", () => {
  for (const text of ["10.88.0.1", "fd00:88::1", "fe80::1"]) assert.equal(decide(text)[0], "gateway");
  const internal = { ...REACH, isInternal: true };
  assert.equal(decide("10.88.0.1", internal)[0], "gateway");
  for (const text of ["1.1.1.1", "2606:4700::1"]) assert.deepEqual(decide(text, internal), ["internal", "::"]);
});

test("C-098 one address leads to the host's loopback where that was asked for, and no other does", () => {
  const open = { ...REACH, hostLoopback: ["10.88.255.254", "fd00:88::fffe"].map((text) => parseIpAddress(text)!) };
  assert.deepEqual(decide("10.88.255.254", open), ["host-loopback", "127.0.0.1"]);
  assert.deepEqual(decide("fd00:88::fffe", open), ["host-loopback", "::1"]);
  assert.equal(decide("127.0.0.1", open)[0], "loopback");
  assert.equal(decide("10.88.255.253", open)[0], "other-network");
});

test("A-060 a source is an address of the link's own network, and not the stack's", () => {
  const allowed = (text: string) => isSourceAllowed(REACH, parseIpAddress(text)!);
  assert.deepEqual(["10.88.0.2", "fd00:88::2"].map(allowed), [true, true]);
  assert.deepEqual(["10.88.0.1", "10.89.0.2", "127.0.0.1", "0.0.0.0", "fe80::5", "::1", "1.1.1.1"].map(allowed), [
    false,
    false,
    false,
    false,
    false,
    false,
    false,
  ]);
});
