import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import { parseCgroupnsMode, parseIpcMode, parsePidMode, parseUtsMode } from "./namespaces.ts";
import { parseNetwork, parseNetworkMode } from "./network.ts";
import { parseUserns } from "./userns.ts";

test("each mode is one value", () => {
  for (const parse of [parsePidMode, parseUtsMode, parseIpcMode]) {
    assert.deepEqual(parse(""), { kind: parse === parseIpcMode ? "default" : "private" });
    assert.deepEqual(parse("private"), { kind: "private" });
    assert.deepEqual(parse("host"), { kind: "host" });
    assert.deepEqual(parse("container:web_1"), { kind: "container", id: "web_1" });
    for (
      const text of [
        "Host",
        "host ",
        "x",
        "container",
        "container:",
        "container:a b",
        "container:../x",
        "container:a\n",
        "ns:/proc/1/ns/pid",
      ]
    ) {
      assert.throws(() => parse(text), DugoutError, text);
    }
  }
  assert.deepEqual(parseIpcMode("shareable"), { kind: "shareable" });
  assert.deepEqual(parseIpcMode("none"), { kind: "none" });
  assert.throws(() => parsePidMode("none"), DugoutError);
  assert.equal(parseCgroupnsMode("host"), "host");
  assert.equal(parseCgroupnsMode(""), "private");
  assert.throws(() => parseCgroupnsMode("container:x"), DugoutError);
});

test("user namespaces are spelled as Podman spells them", () => {
  assert.deepEqual(parseUserns(""), { kind: "default" });
  assert.deepEqual(parseUserns("host"), { kind: "host" });
  assert.deepEqual(parseUserns("nomap"), { kind: "nomap" });
  assert.deepEqual(parseUserns("keep-id"), { kind: "keep-id", uid: undefined, gid: undefined });
  assert.deepEqual(parseUserns("keep-id:uid=1000"), { kind: "keep-id", uid: 1000, gid: undefined });
  assert.deepEqual(parseUserns("keep-id:gid=0,uid=4294967294"), { kind: "keep-id", uid: 4294967294, gid: 0 });
  assert.throws(() => parseUserns("auto"), /not supported/);
  assert.throws(() => parseUserns("auto:size=1"), /not supported/);
  assert.deepEqual(parseUserns("container:x"), { kind: "container", id: "x" });
  assert.throws(() => parseUserns("container:"), DugoutError);
  assert.throws(() => parseUserns("ns:/proc/1/ns/user"), DugoutError);
  const bad = [
    "keep",
    "keep-id:",
    "keep-id:uid",
    "keep-id:uid=",
    "keep-id:uid=-1",
    "keep-id:uid=4294967295",
    "keep-id:uid=1,uid=2",
  ];
  for (const text of [...bad, "keep-id:size=1", "keep-id:uid=1e3", "nomap:x", "host:", "HOST", "keep-id:__proto__=1"]) {
    assert.throws(() => parseUserns(text), DugoutError, text);
  }
});

test("networks: modes, names, containers", () => {
  assert.deepEqual(parseNetworkMode("default"), { kind: "default" });
  assert.deepEqual(parseNetworkMode("none"), { kind: "none" });
  assert.deepEqual(parseNetworkMode("host"), { kind: "host" });
  assert.deepEqual(parseNetworkMode("bridge"), { kind: "bridge", network: "bridge" });
  assert.deepEqual(parseNetworkMode("my-net"), { kind: "bridge", network: "my-net" });
  assert.deepEqual(parseNetworkMode("container:web"), { kind: "container", id: "web" });
  assert.deepEqual(parseNetworkMode("slirp4netns"), { kind: "slirp" });
  for (const text of ["x", "a b", "../x", "container:", "slirp4netns:mtu", "-x", "a\n"]) {
    assert.throws(() => parseNetworkMode(text), DugoutError, text);
  }
});

test("the long form of --network asks for more", () => {
  const text =
    "name=net1,alias=a,alias=b.c,ip=10.0.0.2,ip6=2001:DB8::2,mac-address=02-42-ac-11-00-02,driver-opt=x=y=z,gw-priority=-1,link-local-ip=169.254.1.1";
  assert.deepEqual(parseNetwork(text), {
    network: { kind: "bridge", network: "net1" },
    aliases: ["a", "b.c"],
    ipv4: "10.0.0.2",
    ipv6: "2001:db8::2",
    linkLocal: ["169.254.1.1"],
    macAddress: "02:42:ac:11:00:02",
    driverOptions: new Map([["x", "y=z"]]),
    gatewayPriority: -1,
  });
  assert.deepEqual(parseNetwork("Name=host").network, { kind: "host" });
  const bad = [
    "alias=a",
    "name=",
    "name=net1,name=net2",
    "name=net1,ip=::1",
    "name=net1,ip6=1.2.3.4",
    "name=net1,x=y",
    "name=net1,alias",
  ]
    .concat(["name=net1,alias=a\nb", "name=net1,driver-opt=x", "name=net1,gw-priority=x", 'name="net1"', "name=net1,"]);
  for (const text of bad) assert.throws(() => parseNetwork(text), DugoutError, text);
});
