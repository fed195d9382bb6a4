import test from "node:test";
import assert from "node:assert/strict";
import { decodeSpecFile, encodeSpecFile, type SpecFile } from "./spec_file.ts";

const SPEC: SpecFile = {
  process: {
    cwd: "/srv",
    args: ["sleep", "1"],
    env: ["PATH=/bin", "HOME=/root"],
    user: { uid: 33, gid: 33, umask: 0o022, additionalGids: [33, 5] },
    rlimits: [{ type: "RLIMIT_NOFILE", soft: 1024n, hard: 2n ** 64n - 1n }],
    noNewPrivileges: true,
  },
  map: { uid: [{ inside: 0, outside: 1000, count: 1 }], gid: [{ inside: 0, outside: 1000, count: 1 }] },
  filter: { program: new Uint8Array([6, 0, 0, 0, 0, 0, 255, 127]), flags: 4 },
  filterHidesKeys: true,
  affinity: [0, 2],
  init: false,
  groupAdd: ["audio"],
  implied: ["HOME"],
};

test("what entering a container takes comes back as it was written, limits of 64 bits and the filter too", () => {
  assert.deepEqual(decodeSpecFile(encodeSpecFile(SPEC)), SPEC);
});

test("a container without a filter and without limits has none when it is read back", () => {
  const { rlimits: _, ...process } = SPEC.process;
  const plain = { ...SPEC, process, filter: undefined };
  assert.deepEqual(decodeSpecFile(encodeSpecFile(plain)), plain);
});
