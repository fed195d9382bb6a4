import { test } from "node:test";
import assert from "node:assert/strict";
import { chooseIpv4Subnet, chooseIpv6Subnet } from "./choose_subnet.ts";
import {
  addressBytes,
  formatAddress,
  formatSubnet,
  hostRange,
  isWithin,
  overlap,
  parseAddress,
  parseSubnet,
} from "./subnet.ts";

test("addresses of both families are read and written in their usual form", () => {
  const forms: [string, string | undefined][] = [
    ["10.88.0.1", "10.88.0.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["010.1.1.1", undefined],
    ["1.2.3", undefined],
    ["256.1.1.1", undefined],
    ["::", "::"],
    ["::1", "::1"],
    ["fd00:0:0:1:0:0:0:2", "fd00:0:0:1::2"],
    ["FD00::0010", "fd00::10"],
    ["::ffff:1.2.3.4", "::ffff:102:304"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
    ["1::2::3", undefined],
    ["1:2:3:4:5:6:7", undefined],
    ["fe80::1%eth0", undefined],
    ["", undefined],
    [":", undefined],
  ];
  for (const [text, wanted] of forms) {
    const address = parseAddress(text);
    assert.equal(address === undefined ? undefined : formatAddress(address), wanted, text);
  }
  assert.deepEqual([...addressBytes(parseAddress("10.88.0.1")!)], [10, 88, 0, 1]);
  assert.equal(addressBytes(parseAddress("fd00::1")!).length, 16);
});

test("subnets lose the bits behind their prefix, overlap, and lie within each other", () => {
  const subnet = (text: string) => parseSubnet(text)!;
  assert.equal(formatSubnet(subnet("10.88.7.9/16")), "10.88.0.0/16");
  assert.equal(formatSubnet(subnet("fd00:1:2:3:4::5/64")), "fd00:1:2:3::/64");
  for (const text of ["10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/x", "10.0.0.0/-1"]) {
    assert.equal(parseSubnet(text), undefined, text);
  }
  assert.ok(overlap(subnet("10.88.0.0/16"), subnet("10.88.5.0/24")));
  assert.ok(!overlap(subnet("10.88.0.0/24"), subnet("10.88.1.0/24")));
  assert.ok(!overlap(subnet("0.0.0.0/0"), subnet("::/0")));
  assert.ok(isWithin(subnet("10.88.5.0/24"), subnet("10.88.0.0/16")));
  assert.ok(!isWithin(subnet("10.88.0.0/16"), subnet("10.88.5.0/24")));
  const range = hostRange(subnet("10.1.0.0/30"));
  assert.deepEqual([range.first, range.last].map((value) => formatAddress({ family: 4, value })), [
    "10.1.0.1",
    "10.1.0.2",
  ]);
});

test("C-100 a network's subnet is one that this machine's routes and other networks leave free", () => {
  assert.equal(formatSubnet(chooseIpv4Subnet([], true)!), "10.88.0.0/16");
  assert.equal(formatSubnet(chooseIpv4Subnet([parseSubnet("10.88.128.0/17")!], true)!), "10.89.0.0/16");
  assert.equal(formatSubnet(chooseIpv4Subnet([], false)!), "10.96.0.0/24");
  assert.equal(formatSubnet(chooseIpv4Subnet([parseSubnet("10.0.0.0/8")!], false)!), "172.16.0.0/24");
  assert.equal(formatSubnet(chooseIpv4Subnet([parseSubnet("10.0.0.0/8")!], true)!), "172.16.0.0/24");
  assert.equal(chooseIpv4Subnet([parseSubnet("0.0.0.0/0")!], true), undefined);
  const ipv6 = formatSubnet(chooseIpv6Subnet());
  assert.match(ipv6, /^fd[0-9a-f]{2}:.*\/64$/);
});
