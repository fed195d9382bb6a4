import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeTape } from "#tape/encode.ts";
import { printTape } from "#tape/print.ts";
import { mappedTape } from "./run_mapped.ts";

const SINGLE = {
  uid: [{ inside: 0, outside: 1000, count: 1 }],
  gid: [{ inside: 0, outside: 100, count: 1 }],
};
const RANGE = {
  uid: [{ inside: 0, outside: 1000, count: 1 }, { inside: 1, outside: 100_000, count: 65_536 }],
  gid: [{ inside: 0, outside: 100, count: 1 }, { inside: 1, outside: 100_000, count: 65_536 }],
};

test("C-053 a program with the ids of containers runs in a user and a mount namespace, as root there", () => {
  for (const map of [SINGLE, RANGE]) {
    const tape = mappedTape(map, { args: ["rm", "-rf", "x"], env: ["PATH=/usr/bin:/bin"] });
    const text = printTape(tape).join("\n");
    assert.match(
      text,
      /CLONE_NEWUSER[^]*setresgid[^]*setresuid[^]*CLONE_NEWNS[^]*MS_SLAVE[^]*execve\(\"\/usr\/bin\/rm/,
    );
    assert.doesNotMatch(text, /pivot_root|seccomp/);
    for (const arch of ["x86_64", "aarch64"] as const) assert.ok(encodeTape(tape, arch).length > 0);
  }
});
