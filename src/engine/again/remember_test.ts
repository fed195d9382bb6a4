import { test } from "node:test";
import assert from "node:assert/strict";
import { newRunOptions, newRunRequest, type RunOptions, type RunRequest } from "#docker/run_request.ts";
import { planContainer } from "#runtime/container.ts";
import type { ContainerSetup } from "#runtime/setup.ts";
import { encodeTape } from "#tape/encode.ts";
import { HOST_ARCH } from "#linux/arch.ts";
import { containerDirectory } from "../record/container_directory.ts";
import type { ContainerId } from "../record/container_id.ts";
import { fillHoles } from "./holes.ts";
import type { Prepared, RootSource } from "../prepare/prepare.ts";
import { describePlan, isRememberable, type PlannedRun } from "./remember.ts";

const [FIRST, SECOND] = ["a1".repeat(32), "b2".repeat(32)] as [ContainerId, ContainerId];

function prepareFor(id: ContainerId): Prepared {
  const { upper, work, merged, path } = containerDirectory("/data", "/run", id);
  const ids = [{ inside: 0, outside: 1000, count: 1 }, { inside: 1, outside: 100000, count: 65536 }];
  const spec: ContainerSetup["spec"] = {
    ociVersion: "1.2.0",
    hostname: id.slice(0, 12),
    root: { path: "", readonly: false },
    process: {
      terminal: false,
      args: ["true"],
      cwd: "/",
      env: ["PATH=/usr/bin:/bin", `HOSTNAME=${id.slice(0, 12)}`],
      user: { uid: 0, gid: 0 },
    },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid"] },
      { destination: "/etc/hosts", type: "bind", source: `${path}/hosts`, options: ["bind", "rprivate"] },
    ],
    linux: { namespaces: (["user", "mount", "pid", "uts"] as const).map((type) => ({ type })) },
  };
  const setup: ContainerSetup = {
    spec,
    rootfs: { kind: "overlay", lowers: ["/data/layers/x/diff"], upper, work, merged, volatile: true },
    map: { uid: ids, gid: ids },
    callerId: 0,
    host: { mountSetattr: true, landlockAbi: 6, lastCapability: 40 },
    stdio: { kind: "inherit", relays: [] },
    keepsOutput: false,
    init: false,
    filter: undefined,
    filterHidesKeys: false,
    keepGroups: true,
    deathSignal: undefined,
    resolve: (place) => place,
    lockedFlags: () => 0,
    sourceKind: () => "file",
    maskKind: () => "file",
  };
  return {
    spec,
    setup,
    tape: planContainer(setup),
    user: { name: "root", uid: 0, gid: 0, additionalGids: [], home: "/root" },
    files: [{ path: `${path}/hosts`, text: `127.0.1.1\t${id.slice(0, 12)}\n` }],
  };
}

function runOf(id: ContainerId): PlannedRun {
  return {
    key: "00".repeat(32),
    ground: { facts: [], isSettled: true },
    directory: containerDirectory("/data", "/run", id),
    request: newRunRequest("image"),
    options: newRunOptions(),
    rootMode: 0o755,
    streams: [false, true, true],
    relays: [],
    hasTerminal: false,
    record: { id, name: "given" },
    labels: new Map([["a", "b"]]),
    notices: [],
    prepared: prepareFor(id),
  };
}

test("a tape from memory is the same for another container, but for what that has of its own", () => {
  const own = {
    name: "calm_creek",
    created: "2026-01-02T03:04:05.678Z",
    ownerPid: 4711,
    ownerStartTime: "123",
    startedMs: 1,
  };
  const fill = (id: ContainerId) => {
    const { plan, tape } = describePlan({ dataRoot: "/data", runRoot: "/run" }, runOf(id));
    fillHoles(tape, plan.holes, { ...own, id: SECOND });
    return new TextDecoder("latin1").decode(tape);
  };
  const text = fill(FIRST);
  assert.equal(text, fill(SECOND));
  for (const part of [`/data/containers/${SECOND}/upper`, "/data/containers/names/calm_creek\0", '"ownerPid":4711 ']) {
    assert.ok(text.includes(part), part);
  }
  assert.equal(text.includes(FIRST.slice(0, 12)), false);
});

test("a tape from memory makes the container's files before it, and removes them behind it", () => {
  const { plan, tape } = describePlan({ dataRoot: "/data", runRoot: "/run" }, runOf(FIRST));
  assert.deepEqual([plan.image, plan.labels], ["image", [["a", "b"]]]);
  const text = new TextDecoder("latin1").decode(tape);
  for (const part of [`/data/containers/${FIRST}/hosts`, `127.0.1.1\t${FIRST.slice(0, 12)}\n`, "/config.json"]) {
    assert.ok(text.includes(part), part);
  }
  assert.ok(tape.length > encodeTape(prepareFor(FIRST).tape, HOST_ARCH).length);
});

const ROOT: RootSource = {
  config: {},
  lowers: ["/data/layers/x/diff"],
  rootfs: { kind: "overlay", lowers: ["/l"], upper: "/u", work: "/w", merged: "/m", volatile: true },
};
const BIND = {
  kind: "bind",
  source: "/s",
  target: "/t",
  readOnly: false,
  readOnlyDepth: "if-possible",
  recursive: true,
  propagation: "rprivate",
  createSource: false,
  relabel: undefined,
} as const;

test("only runs are remembered whose plans depend on nothing that the key does not see", () => {
  const may = (
    change: { request?: Partial<RunRequest>; options?: Partial<RunOptions>; root?: Partial<RootSource> },
  ): boolean =>
    isRememberable(
      { ...newRunRequest("image"), ...change.request },
      { ...newRunOptions(), rm: true, ...change.options },
      { ...ROOT, ...change.root },
    );
  const network = { kind: "host" } as const;
  assert.equal(may({ request: { network } }), true);
  assert.equal(may({ request: { network: { kind: "none" } }, options: { interactive: true } }), true);
  for (
    const options of [
      { rm: false },
      { tty: true },
      { detach: true, name: "one" },
      { detach: true, tty: true },
      { pull: "always" },
      { cidfile: "/tmp/c" },
      { pidfile: "/tmp/p" },
      { rootfs: { path: "/", overlay: true } },
    ] satisfies Partial<RunOptions>[]
  ) assert.equal(may({ request: { network }, options }), false, JSON.stringify(options));
  const access = { read: true, write: true, mknod: false };
  for (
    const request of [
      { mounts: [BIND] },
      { devices: [{ hostPath: "/dev/fuse", containerPath: "/dev/fuse", access }] },
      { volumesFrom: [{ container: "other", readOnly: undefined }] },
      { network: { kind: "default" } },
      { network: { kind: "bridge", network: "mine" } },
      { network: { kind: "container", id: "other" } },
      { pid: { kind: "container", id: "other" } },
      { ipc: { kind: "container", id: "other" } },
      { uts: { kind: "container", id: "other" } },
    ] satisfies Partial<RunRequest>[]
  ) assert.equal(may({ request: { network, ...request } }), false, JSON.stringify(request));
  assert.equal(may({ request: { network }, root: { rootfs: { kind: "directory", path: "/c/root" } } }), false);
  assert.equal(may({ request: { network }, root: { config: { Volumes: ["/data"] } } }), false);
});
