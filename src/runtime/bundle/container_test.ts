import assert from "node:assert/strict";
import { test } from "node:test";
import type { RuntimeSpec } from "#oci/runtime_spec.ts";
import { encodeTape } from "#tape/encode.ts";
import { findUnsetResults } from "#tape/unset.ts";
import { planBundle } from "./container.ts";
import { planBundleExec } from "./exec.ts";
import { type BundleSetup, planFds } from "./setup.ts";

const HOOKS = [{ path: "/bin/hook", timeout: 2 }, { path: "/bin/other" }];
const SPEC: RuntimeSpec = {
  ociVersion: "1.2.0",
  hostname: "box",
  process: {
    cwd: "/work",
    args: ["sh"],
    env: ["PATH=/bin:/usr/bin"],
    user: { uid: 5, gid: 6, additionalGids: [7] },
    capabilities: { bounding: ["CAP_KILL"], permitted: ["CAP_KILL"], inheritable: ["CAP_KILL"], ambient: ["CAP_KILL"] },
    rlimits: [{ type: "RLIMIT_NOFILE", soft: 1n, hard: 2n }],
    scheduler: { policy: "SCHED_BATCH", nice: 3 },
    ioPriority: { class: "IOPRIO_CLASS_BE", priority: 4 },
    oomScoreAdj: 7,
  },
  root: { path: "rootfs", readonly: true },
  mounts: [
    { destination: "/proc", type: "proc" },
    { destination: "/dev", type: "tmpfs" },
    { destination: "/dev/pts", type: "devpts", options: ["newinstance"] },
    { destination: "/data", type: "bind", source: "/data", options: ["rbind", "ro", "rslave"] },
  ],
  hooks: { createContainer: HOOKS, startContainer: HOOKS },
  linux: {
    namespaces: [{ type: "mount" }, { type: "pid" }, { type: "user" }, { type: "network", path: "/run/netns/x" }, {
      type: "time",
    }],
    timeOffsets: { boottime: { secs: 5, nanosecs: 0 } },
    sysctl: new Map([["net.ipv4.ip_forward", "1"]]),
    maskedPaths: ["/proc/kcore"],
    readonlyPaths: ["/proc/sys"],
    rootfsPropagation: "shared",
    personality: { domain: "LINUX32" },
    devices: [{ type: "c", path: "/dev/fuse", major: 10, minor: 229 }],
  },
};
const RANGE = [{ inside: 0, outside: 1000, count: 1 }, { inside: 1, outside: 100000, count: 65536 }];
const SETUP: BundleSetup = {
  spec: SPEC,
  rootPath: "/bundle/rootfs",
  start: { kind: "create" },
  userNamespace: { kind: "new", map: { uid: RANGE, gid: RANGE } },
  host: { mountSetattr: true, landlockAbi: 0, lastCapability: 40 },
  makesNodes: false,
  setsGroups: true,
  filter: { program: new Uint8Array(8), flags: 0 },
  fds: planFds([3, 4, 190]),
  pivots: true,
  newKeyring: true,
  entersGroup: true,
  resolve: (path) => path,
  lockedFlags: () => 0,
  sourceKind: () => "directory",
};
const withProcess = (change: object): RuntimeSpec => ({ ...SPEC, process: { ...SPEC.process!, ...change } });

const VARIANTS: Readonly<Record<string, BundleSetup>> = {
  "created": SETUP,
  "in the foreground": { ...SETUP, start: { kind: "foreground" } },
  "detached, of root": { ...SETUP, start: { kind: "detach" }, userNamespace: { kind: "host" }, makesNodes: true },
  "with a terminal": { ...SETUP, spec: withProcess({ terminal: true, noNewPrivileges: true }) },
  "with a program by path, without pivot_root": { ...SETUP, spec: withProcess({ args: ["/bin/sh"] }), pivots: false },
  "with a program that has no name": { ...SETUP, spec: withProcess({ args: [""] }) },
};

for (const [name, setup] of Object.entries(VARIANTS)) {
  test(`the tape of a bundle's container (${name}) uses no result that is not there, and can be encoded`, () => {
    const tape = planBundle(setup);
    assert.deepEqual(findUnsetResults(tape), []);
    encodeTape(tape, "x86_64");
    encodeTape(tape, "aarch64");
  });
}

test("the tape of a process that enters a bundle's container uses no result that is not there", () => {
  for (const [terminal, detaches, entersGroup] of [[true, true, false], [false, false, true]] as const) {
    const tape = planBundleExec({
      process: { ...SPEC.process!, terminal },
      personality: undefined,
      lastCapability: 40,
      setsGroups: true,
      filter: SETUP.filter,
      fds: planFds([]),
      newKeyring: true,
      deathSignal: 9,
      namespaces: ["user", "pid", "mount"],
      entersGroup,
      detaches,
    });
    assert.deepEqual(findUnsetResults(tape), []);
    encodeTape(tape, "x86_64");
  }
});

test("A-024 nothing is open at the program's start but the streams and what it keeps, at its numbers", () => {
  const { steps } = planBundle({ ...SETUP, start: { kind: "foreground" }, spec: { ...SPEC, hooks: {} } });
  const closed = steps.filter(({ call, label }) => call === "close_range" && label === "close").map(({ args }) =>
    args.slice(0, 2)
  );
  const { error } = SETUP.fds;
  assert.deepEqual(closed.slice(-3), [[5, 189], [191, error - 1], [error + 1, 0xffffffff]]);
  const given = steps.filter(({ label }) => label === "give").map(({ args }) => args[1]);
  assert.deepEqual(given, [3, 4, 190]);
});
