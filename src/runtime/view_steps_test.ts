import assert from "node:assert/strict";
import test from "node:test";
import { HOST_ARCH } from "#linux/arch.ts";
import { kindsOf } from "#tape/calls.ts";
import { encodeTape } from "#tape/encode.ts";
import { OPERATIONS } from "#tape/layout.ts";
import { printTape } from "#tape/print.ts";
import type { Tape } from "#tape/step.ts";
import { findUnsetResults } from "#tape/unset.ts";
import { expectGolden } from "../../tests/support/golden.ts";
import { ERROR_FD } from "./map_ids.ts";
import { type ContainerView, viewBuffers, viewSteps } from "./view_steps.ts";

const MOUNTS: ContainerView["mounts"] = [
  { source: "/store/volumes/v/_data", target: "/data", kind: "directory", readOnly: false },
  { source: "/home/me/file", target: "/etc/file", kind: "file", readOnly: true },
  { source: "/store/volumes/w/_data", target: "/part", kind: "directory", subpath: "a/b", readOnly: false },
];
const PLACES = { lowers: ["/store/b", "/store/a"], upper: "/c/upper", work: "/c/work", merged: "/c/merged" };

const VIEWS: Readonly<Record<string, ContainerView>> = {
  "to write to": {
    kind: "writable",
    rootfs: { kind: "overlay", ...PLACES, volatile: false },
    mounts: MOUNTS,
    readOnly: true,
  },
  "to look at": {
    kind: "snapshot",
    directories: ["/c/upper", "/store/b"],
    at: "/c/merged",
    mounts: MOUNTS.slice(0, 1),
  },
  "by fuse-overlayfs": {
    kind: "writable",
    rootfs: { kind: "fuse-overlayfs", program: "/usr/bin/fuse-overlayfs", ...PLACES },
    mounts: [],
    readOnly: false,
  },
};

function tapeOf(view: ContainerView): Tape {
  return { steps: viewSteps(view, 50), buffers: new Map(viewBuffers()), errorFd: ERROR_FD };
}

test("the tapes of views are what was reviewed", () => {
  const texts = Object.entries(VIEWS).map(([name, view]) => `# ${name}\n${printTape(tapeOf(view)).join("\n")}`);
  expectGolden("tapes/views.txt", texts.join("\n\n"));
});

test("each step of a view is known and uses results that are there, and all of it can be encoded", () => {
  for (const [name, view] of Object.entries(VIEWS)) {
    const tape = tapeOf(view);
    assert.deepEqual(findUnsetResults(tape), [], name);
    for (const { call, args } of tape.steps) {
      const known = kindsOf(call, (index) => typeof args[index] === "number" ? BigInt(args[index]) : undefined).length;
      assert.ok((OPERATIONS as readonly string[]).includes(call) || known >= args.length, call);
    }
    assert.ok(encodeTape(tape, HOST_ARCH).length > 0);
  }
});
