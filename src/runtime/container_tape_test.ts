import { test } from "node:test";
import assert from "node:assert/strict";
import { ENOSYS } from "#linux/errno_values.ts";
import { type IdMap, mapAround } from "#linux/idmap.ts";
import type { MountSpec, NamespaceType, RuntimeSpec } from "#oci/runtime_spec.ts";
import { kindsOf } from "#tape/calls.ts";
import { encodeTape } from "#tape/encode.ts";
import { OPERATIONS } from "#tape/layout.ts";
import { step } from "#tape/step.ts";
import { printTape } from "#tape/print.ts";
import { findUnsetResults } from "#tape/unset.ts";
import { expectGolden } from "../../tests/support/golden.ts";
import { planContainer } from "./container.ts";
import type { NetworkAttachment } from "./attach_steps.ts";
import type { ContainerSetup } from "./setup.ts";

const NAMESPACES: readonly NamespaceType[] = ["user", "mount", "pid", "ipc", "uts", "network", "cgroup"];

const SPEC: RuntimeSpec = {
  ociVersion: "1.2.0",
  hostname: "web",
  domainname: "example",
  root: { path: "rootfs", readonly: true },
  process: {
    terminal: false,
    args: ["sh", "-c", "echo hi"],
    cwd: "/srv/app",
    env: ["PATH=/usr/bin:/bin", "TOKEN=s3cret"],
    user: { uid: 1000, gid: 1000, additionalGids: [1000, 5] },
    capabilities: { bounding: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"], effective: ["CAP_CHOWN"] },
    rlimits: [{ type: "RLIMIT_NOFILE", soft: 1024n, hard: 4096n }],
    noNewPrivileges: true,
    oomScoreAdj: 100,
  },
  mounts: [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["size=65536k"] },
    { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["nosuid", "newinstance", "ptmxmode=0666"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "ro"] },
    { destination: "/tmp/a b", type: "tmpfs", source: "tmpfs", options: ["size=1m"] },
    { destination: "/data", type: "bind", source: "/home/me/data", options: ["rbind", "rro", "rslave"] },
  ],
  linux: {
    namespaces: NAMESPACES.map((type) => ({ type })),
    maskedPaths: ["/proc/kcore", "/proc/acpi"],
    readonlyPaths: ["/proc/sys"],
    sysctl: new Map([["net.ipv4.ip_unprivileged_port_start", "0"]]),
  },
};

const RANGE: IdMap["uid"] = [{ inside: 0, outside: 1000, count: 1 }, { inside: 1, outside: 100000, count: 65536 }];
const KEEP_ID: IdMap["uid"] = [{ inside: 0, outside: 100000, count: 1000 }, { inside: 1000, outside: 1000, count: 1 }];
const SINGLE: IdMap["uid"] = [{ inside: 0, outside: 1000, count: 1 }];

const SETUP: ContainerSetup = {
  spec: SPEC,
  rootfs: {
    kind: "overlay",
    lowers: ["/store/b", "/store/a"],
    upper: "/c/upper",
    work: "/c/work",
    merged: "/c/merged",
    volatile: true,
  },
  map: { uid: RANGE, gid: RANGE },
  callerId: 0,
  host: { mountSetattr: true, landlockAbi: 6, lastCapability: 40 },
  stdio: { kind: "inherit", relays: [] },
  keepsOutput: false,
  init: false,
  filter: { program: new Uint8Array(16), flags: 4 },
  filterHidesKeys: true,
  keepGroups: false,
  deathSignal: 9,
  resolve: (path) => path,
  lockedFlags: () => 2,
  sourceKind: () => "directory",
  maskKind: () => undefined,
};

function withNamespaces(namespaces: readonly { type: NamespaceType; path?: string }[]): RuntimeSpec {
  return { ...SPEC, linux: { ...SPEC.linux, namespaces: [...namespaces] } };
}

/** A part of a volume, an image of several layers, and a part of one. */
const PARTS: readonly MountSpec[] = [
  { destination: "/part", type: "bind", source: "/v/_data", options: ["bind", "rprivate", "ro", "x-subpath=a/b"] },
  { destination: "/image", type: "overlay", source: "/c/image-0", options: ["ro", "x-lower=/l/1", "x-lower=/l/0"] },
  {
    destination: "/etc/part",
    type: "overlay",
    source: "/c/image-1",
    options: ["ro", "nosuid", "x-lower=/l/1", "x-lower=/l/0", "x-subpath=etc"],
  },
];

/** Setups that differ in what changes the tape's shape. */
const SETUPS: Readonly<Record<string, ContainerSetup>> = {
  "plain": SETUP,
  "terminal and init": { ...SETUP, stdio: { kind: "terminal" }, keepsOutput: true, init: true },
  "one id": { ...SETUP, map: { uid: SINGLE, gid: SINGLE }, deathSignal: undefined },
  "a child of the holder's namespace": {
    ...SETUP,
    parent: { map: { uid: RANGE, gid: RANGE }, file: "/proc/7/fd/8" },
    map: { uid: KEEP_ID, gid: RANGE },
  },
  "a child of a namespace that is made": {
    ...SETUP,
    parent: { map: { uid: RANGE, gid: RANGE } },
    keepsOutput: true,
  },
  "streams by relays": {
    ...SETUP,
    stdio: { kind: "inherit", relays: [{ from: 0, to: 10, output: false }, { from: 11, to: 1, output: true }] },
  },
  "output that is kept": {
    ...SETUP,
    keepsOutput: true,
    stdio: { kind: "inherit", relays: [{ from: 10, to: 11, output: false }] },
  },
  "a control group of its own": { ...SETUP, group: { removes: "dugout-x" }, affinity: [0, 70] },
  "a control group in a child of the holder's namespace": {
    ...SETUP,
    parent: { map: { uid: RANGE, gid: RANGE }, file: "/proc/7/fd/8" },
    map: { uid: KEEP_ID, gid: RANGE },
    group: { removes: undefined },
  },
  "a control group, and output that is kept": { ...SETUP, keepsOutput: true, group: { removes: undefined } },
  "fuse-overlayfs": {
    ...SETUP,
    rootfs: {
      kind: "fuse-overlayfs",
      program: "/usr/bin/fuse-overlayfs",
      lowers: ["/store/a"],
      upper: "/c/upper",
      work: "/c/work",
      merged: "/c/merged",
    },
  },
  "a directory on an old kernel": {
    ...SETUP,
    rootfs: { kind: "directory", path: "/c/rootfs" },
    host: { mountSetattr: false, landlockAbi: 0, lastCapability: 39 },
    filter: undefined,
  },
  "parts of volumes and images": { ...SETUP, spec: { ...SPEC, mounts: [...SPEC.mounts!, ...PARTS] } },
  "parts on an old kernel": {
    ...SETUP,
    spec: { ...SPEC, mounts: [...SPEC.mounts!, ...PARTS] },
    host: { mountSetattr: false, landlockAbi: 0, lastCapability: 39 },
  },
  "namespaces of the host": { ...SETUP, spec: withNamespaces([{ type: "user" }, { type: "mount" }]), keepGroups: true },
  "namespaces of another container": {
    ...SETUP,
    spec: withNamespaces(
      NAMESPACES.map((type) => (type === "mount" ? { type } : { type, path: `/proc/7/ns/${type}` })),
    ),
  },
};

for (const [name, setup] of Object.entries(SETUPS)) {
  test(`a container's tape (${name}) has a meaning: it is encoded, printed, and uses no result that is not there`, () => {
    const tape = planContainer(setup);
    encodeTape(tape, "x86_64");
    encodeTape(tape, "aarch64");
    assert.deepEqual(findUnsetResults(tape), []);
    const lines = printTape(tape);
    assert.equal(lines.length, tape.steps.length);
    assert.ok(!lines.join("\n").includes("s3cret"));
    for (const { call, args, label } of tape.steps) {
      assert.ok(label !== "", `a ${call} without a label`);
      const known = kindsOf(call, (index) => typeof args[index] === "number" ? BigInt(args[index]) : undefined).length;
      const isOperation = (OPERATIONS as readonly string[]).includes(call);
      assert.ok(isOperation || known >= args.length || call === "prctl", `${call} is not in the printer's table`);
    }
  });
}

test("A-045 a container with a control group is born in it, whatever forks it, and waits for it first", () => {
  for (const [name, setup] of Object.entries(SETUPS)) {
    const { steps } = planContainer(setup);
    const born = steps.filter(({ call, object }) => call === "clone3" && object === "the container's first process");
    assert.equal(born.length, setup.group === undefined ? 0 : 1, name);
    if (setup.group === undefined) continue;
    const learnt = steps.findIndex(({ object }) => object === "the control group");
    assert.ok(learnt >= 0 && learnt < steps.indexOf(born[0]!), name);
    assert.ok(!steps.some(({ call, object }) => call === "clone" && object === "the container's first process"), name);
    // its failure is told
    assert.ok(born[0]!.ignore !== true && steps[learnt]!.ignore !== true, name);
  }
});

test("A-030 a part of a volume is found beneath it by the kernel, and an image is mounted of descriptors", () => {
  const steps = planContainer(SETUPS["parts of volumes and images"]!).steps;
  const beneath = steps.find(({ call, args }) => call === "openat2" && args[1] === "a/b");
  const RESOLVE_BENEATH = 0x08;
  const RESOLVE_NO_MAGICLINKS = 0x02;
  assert.ok(beneath !== undefined && beneath.args[2] instanceof Uint8Array);
  const resolve = new DataView(beneath.args[2].buffer).getBigUint64(16, true);
  assert.equal(resolve, BigInt(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS));
  const overlay = steps.find(({ call, args }) => call === "mount" && args[1] === "/c/image-0");
  assert.equal(overlay?.args[4], "lowerdir=/proc/self/fd/100:/proc/self/fd/101,userxattr");
  assert.ok(steps.some(({ call, args }) => call === "umount2" && args[0] === "/c/image-0"));
});

/** What people read with --explain: each reviewed when it changes (UPDATE_GOLDEN=1). */
const GOLDEN = {
  "plain": "run.txt",
  "a child of the holder's namespace": "run-in-holder.txt",
  "one id": "run-single-id.txt",
  "terminal and init": "run-terminal-init.txt",
};

for (const [name, file] of Object.entries(GOLDEN)) {
  test(`the tape of a container (${name}) is the one that was reviewed`, () => {
    expectGolden(`tapes/${file}`, printTape(planContainer(SETUPS[name]!)).join("\n"));
  });
}

/** Calls that restrict a container. Their failure must end the start. */
const RESTRICTIONS = new Set([
  ..."capset prctl seccomp prlimit64 setgroups setresuid setresgid unshare setns mount_setattr pivot_root umount2"
    .split(" "),
  ..."landlock_create_ruleset landlock_restrict_self umask setsid fcntl getcwd chdir sethostname ioctl".split(" "),
]);

test("A-045 a restriction that fails ends the start, and only what is missing is passed over", () => {
  for (const setup of [...Object.values(SETUPS), { ...SETUP, filterHidesKeys: false }]) {
    const { steps } = planContainer(setup);
    for (const { call, label, object, ignore, jump } of steps) {
      const name = `${label} ${object}`;
      // what leads to "lost" ends the start
      const bears = ignore || (jump?.when === "error" && jump.to !== "lost");
      const cleansUp = call === "umount2" && object === "/c/merged";
      if (RESTRICTIONS.has(call) && !cleansUp) assert.ok(!bears, name);
      if (/^(?:mask|open in the container|make )/.test(label)) {
        assert.ok(!ignore && (jump?.when !== "error" || jump.only !== undefined), name);
      }
      if (call === "keyctl" && !setup.filterHidesKeys) assert.equal(jump?.only, ENOSYS);
    }
  }
});

const ATTACHMENT: NetworkAttachment = {
  userNamespace: "/proc/9/ns/user",
  networkNamespace: "/proc/9/ns/net",
  map: { uid: RANGE, gid: RANGE },
  outside: [step("getpid", [], "make links at", "bridges")],
  inside: [step("getppid", [], "give addresses to", "links")],
  buffers: [],
};

test("a container in networks has its user namespace below the shared one, and its links are made there", () => {
  const namespaces = NAMESPACES.map((type) => ({ type }));
  const setup = { ...SETUP, attachment: ATTACHMENT, spec: { ...SPEC, linux: { namespaces } } };
  const keepId = { uid: mapAround(1000, 1000, [{ start: 100000, count: 65536 }]), gid: RANGE };
  expectGolden("tapes/attached.txt", printTape(planContainer({ ...setup, map: keepId })).join("\n"));
  for (const keepsOutput of [false, true]) {
    const tape = planContainer({ ...setup, keepsOutput });
    assert.deepEqual(findUnsetResults(tape), []);
    encodeTape(tape, "x86_64");
  }
});
