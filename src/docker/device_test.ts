import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import { parseDevice } from "./device.ts";

const ALL = { read: true, write: true, mknod: true };

test("a device has a place and rights, or those of the host", () => {
  assert.deepEqual(parseDevice("/dev/fuse"), { hostPath: "/dev/fuse", containerPath: "/dev/fuse", access: ALL });
  assert.deepEqual(parseDevice("/dev/fuse:/dev/x"), { hostPath: "/dev/fuse", containerPath: "/dev/x", access: ALL });
  assert.deepEqual(parseDevice("/dev/fuse:r").access, { read: true, write: false, mknod: false });
  assert.deepEqual(parseDevice("/dev/fuse:/dev/x:wr"), {
    hostPath: "/dev/fuse",
    containerPath: "/dev/x",
    access: { read: true, write: true, mknod: false },
  });
  assert.equal(parseDevice("/dev/../dev//fuse").hostPath, "/dev/fuse");
});

test("what is no device is refused", () => {
  const bad = [
    "",
    "fuse",
    "dev/fuse",
    "/",
    ":/dev/x",
    "/dev/fuse:",
    "/dev/fuse:x",
    "/dev/fuse:/dev/x:",
    "/dev/fuse:/dev/x:q",
  ]
    .concat([
      "/dev/fuse:/dev/x:rr",
      "/dev/fuse:/dev/x:rw:r",
      "/dev/fuse:/",
      "/dev/f\0",
      "vendor.com/gpu=0",
      "/dev/fuse::r",
    ]);
  for (const text of bad) assert.throws(() => parseDevice(text), DugoutError, text);
  assert.throws(() => parseDevice("nvidia.com/gpu=all"), /Container Device Interface/);
});
