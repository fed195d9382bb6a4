import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import { checkSysctlNamespaces, parseSysctl } from "./sysctl.ts";

test("A-041 parameters of a container's own namespaces are taken", () => {
  assert.deepEqual(parseSysctl("net.ipv4.ip_forward=1"), ["net.ipv4.ip_forward", "1"]);
  assert.deepEqual(parseSysctl("net/ipv4/conf/eth0/forwarding=1"), ["net.ipv4.conf.eth0.forwarding", "1"]);
  assert.deepEqual(parseSysctl("net.ipv4.tcp_rmem=4096 87380 6291456"), ["net.ipv4.tcp_rmem", "4096 87380 6291456"]);
  assert.deepEqual(parseSysctl("net.ipv4.ip_local_port_range=1024\t65000")[1], "1024\t65000");
  assert.deepEqual(parseSysctl("kernel.sem=1 2 3 4"), ["kernel.sem", "1 2 3 4"]);
  assert.deepEqual(parseSysctl("fs.mqueue.msg_max=="), ["fs.mqueue.msg_max", "="]);
});

test("A-041 all others, and what hides one, are refused", () => {
  const bad = [
    "kernel.core_pattern=|/x",
    "vm.swappiness=1",
    "fs.file-max=1",
    "kernel.shm=1",
    "kernel.semx=1",
    "net/../kernel/x=1",
  ]
    .concat([
      "net..ipv4=1",
      "net.=1",
      "net=1",
      ".net.x=1",
      "net./x=1",
      "net/ipv4/../../kernel/x=1",
      "net.ipv4.x\n=1",
      "net.a/b=1",
    ])
    .concat([
      "net.ipv4.x=1\nkernel.core_pattern=|/x",
      "net.ipv4.x=1\0",
      "a=b+kernel.core_pattern=|/x",
      "net.ipv4.x",
      "",
      "=1",
    ])
    .concat(["/net/ipv4/x=1", "net.ipv4.é=1", "fs.mqueue=1", "fs.mqueue..x=1", "NET.ipv4.x=1", "net.x+net.y=1"]);
  for (const text of bad) assert.throws(() => parseSysctl(text), DugoutError, text);
});

test("A-041 a namespace that is shared keeps its parameters", () => {
  const names = ["net.ipv4.ip_forward", "kernel.sem", "fs.mqueue.msg_max"];
  checkSysctlNamespaces(names, { ipc: undefined, network: undefined });
  assert.throws(
    () => checkSysctlNamespaces(names, { ipc: undefined, network: "--network host" }),
    /net.ipv4.ip_forward/,
  );
  assert.throws(() => checkSysctlNamespaces(names, { ipc: "--ipc host", network: undefined }), /kernel.sem/);
});
