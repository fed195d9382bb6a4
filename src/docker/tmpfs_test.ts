import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import { parseTmpfs } from "./tmpfs.ts";

test("C-127 without options it is writable, and has no programs, devices or set-id files", () => {
  assert.deepEqual(parseTmpfs("/run"), {
    kind: "tmpfs",
    target: "/run",
    readOnly: false,
    exec: false,
    suid: false,
    dev: false,
    atime: "default",
    size: undefined,
    inodes: undefined,
    mode: undefined,
    uid: undefined,
    gid: undefined,
  });
  assert.deepEqual(parseTmpfs("/run:"), parseTmpfs("/run"));
  assert.deepEqual(parseTmpfs("/run:noexec"), parseTmpfs("/run"));
});

test("C-127 options are taken, and the last one counts", () => {
  const tmpfs = parseTmpfs("/run:noexec,size=5k,mode=700");
  assert.deepEqual([tmpfs.exec, tmpfs.size, tmpfs.mode], [false, 5120, 0o700]);
  assert.equal(parseTmpfs("/tmp:exec").exec, true);
  assert.equal(parseTmpfs("/tmp:exec,noexec,exec,suid,dev,ro").exec, true);
  assert.deepEqual(parseTmpfs("/t:size=50%").size, { percent: 50 });
  assert.equal(parseTmpfs("/t:size=1000").size, 1000);
  assert.equal(parseTmpfs("/t:nr_blocks=2").size, 8192);
  assert.equal(parseTmpfs("/t:nr_inodes=10k").inodes, 10240);
  const owned = parseTmpfs("/t:uid=1000,gid=4294967294,mode=01777,noatime");
  assert.deepEqual([owned.uid, owned.gid, owned.mode, owned.atime], [1000, 4294967294, 0o1777, "noatime"]);
});

test("what tmpfs does not have is refused", () => {
  const bad = [
    "run",
    "",
    ":/run",
    "/",
    "/run:nosuch",
    "/run:size",
    "/run:size=",
    "/run:size=-1",
    "/run:size=101%",
    "/run:mode=8",
  ]
    .concat([
      "/run:mode=",
      "/run:mode=17777",
      "/run:uid=4294967295",
      "/run:uid=-1",
      "/run:,",
      "/run:exec,,ro",
      "/run:bind",
    ]);
  for (const text of [...bad, "/r\0un", "/run:__proto__=1", "/run:uid=root"]) {
    assert.throws(() => parseTmpfs(text), DugoutError, text);
  }
});
