import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { newRunOptions, newRunRequest } from "#docker/run_request.ts";
import { containerDirectory, writeRecord } from "./container_directory.ts";
import { readEnd, writeEnd } from "./container_end.ts";
import { makeContainerId } from "./container_id.ts";
import { type ContainerRecord, listRecords, makeRecord, readRecord } from "./container_record.ts";
import { findContainer, listContainers, readStatus } from "./containers.ts";
import { type Engine, openEngine } from "../engine.ts";
import {
  compileContainerFilter,
  LIST_CONTAINER_FILTERS,
  parseContainerFilters,
} from "../describe/filter_containers.ts";
import { readBootId, readStartTime } from "#linux/proc.ts";
import { writeState } from "./state.ts";
import { sweepContainers } from "../life/sweep.ts";
import { seenFrom, whereabouts } from "./whereabouts.ts";

type TestEngine = { readonly engine: Engine; [Symbol.dispose](): void };

function makeTestEngine(): TestEngine {
  const path = mkdtempSync(join(tmpdir(), "dugout-engine-"));
  mkdirSync(join(path, "run"), { mode: 0o700 });
  const engine = openEngine({ root: join(path, "root"), run: join(path, "run") });
  return { engine, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

const MAP = { uid: [{ inside: 0, outside: 1000, count: 1 }], gid: [{ inside: 0, outside: 1000, count: 1 }] };

/** Puts a container on record, as a run does. */
function put(engine: Engine, name: string, changes: Record<string, unknown> = {}, isOurs = false): ContainerRecord {
  const id = makeContainerId();
  const directory = containerDirectory(engine.dataRoot, engine.runRoot, id);
  mkdirSync(directory.path, { recursive: true });
  mkdirSync(directory.state, { recursive: true });
  const request = { ...newRunRequest("image"), command: ["sh"], labels: new Map([["a", "b"], ["__proto__", "c"]]) };
  const root = { config: {}, lowers: [], rootfs: { kind: "directory" as const, path: "/nowhere" } };
  const record = makeRecord({ id, name, request, options: newRunOptions(), root, map: MAP, mounts: [] });
  // the command that made it is gone, unless it is this process
  writeRecord(directory, { ...record, ...(isOurs ? {} : { ownerPid: 2 ** 22 + 1 }), ...changes });
  return readRecord(engine.dataRoot, id)!;
}

const statusOf = (engine: Engine, record: ContainerRecord) => readStatus(engine, record, whereabouts());

test("a record says again what was written, whatever the labels are called", () => {
  using t = makeTestEngine();
  const record = put(t.engine, "one");
  assert.deepEqual(record.labels, new Map([["a", "b"], ["__proto__", "c"]]));
  assert.equal(record.map, "single");
  assert.deepEqual(record.command, ["sh"]);
  assert.equal(record.image, "image");
  assert.equal(record.network, "default");
});

test("C-059 a container of an earlier boot has ended, and so it stays", () => {
  using t = makeTestEngine();
  const record = put(t.engine, "one", { bootId: "another" });
  assert.deepEqual(statusOf(t.engine, record), {
    kind: "exited",
    end: { exitCode: undefined, startedMs: undefined, finishedMs: undefined },
  });
  assert.notEqual(readEnd(join(t.engine.dataRoot, "containers", record.id)), undefined);
});

test("a container of another machine is neither believed to run nor to have ended", () => {
  using t = makeTestEngine();
  const record = put(t.engine, "one", { bootId: "another", machine: "node17" });
  assert.deepEqual(statusOf(t.engine, record), { kind: "elsewhere", machine: "node17" });
  const here = whereabouts();
  assert.equal(seenFrom(here, here), "here");
  assert.equal(seenFrom({ ...here, pidNamespace: "pid:[1]" }, here), "elsewhere");
});

test("a state is believed while its process is the same", () => {
  using t = makeTestEngine();
  const record = put(t.engine, "one");
  const state = {
    id: record.id as ReturnType<typeof makeContainerId>,
    name: "one",
    pid: process.pid,
    monitor: process.pid,
    startTime: readStartTime(process.pid)!,
    bootId: readBootId(),
    map: "",
    startedMs: 1000,
  };
  writeState(t.engine, state);
  assert.equal(statusOf(t.engine, record).kind, "running");
  writeState(t.engine, { ...state, startTime: "1" });
  // no monitor, no exit record, and its command is gone
  assert.deepEqual(statusOf(t.engine, record), {
    kind: "exited",
    end: { exitCode: undefined, startedMs: 1000, finishedMs: undefined },
  });
});

test("the monitor's exit record is read where the command could not, and written beside the record", () => {
  using t = makeTestEngine();
  const record = put(t.engine, "one");
  const file = join(t.engine.runRoot, "containers", record.id, "exit");
  writeFileSync(file, Buffer.from([0, 7, 0, 0]));
  utimesSync(file, 5, 5);
  assert.deepEqual(statusOf(t.engine, record), {
    kind: "exited",
    end: { exitCode: 7, startedMs: undefined, finishedMs: 5000 },
  });
  rmSync(file);
  const again = statusOf(t.engine, record);
  assert.ok(again.kind === "exited" && again.end.exitCode === 7);
  writeFileSync(join(t.engine.runRoot, "containers", put(t.engine, "two").id, "exit"), Buffer.from([9, 0, 0, 0]));
  const { containers } = listContainers(t.engine);
  assert.ok(containers.some(({ status }) => status.kind === "exited" && status.end.exitCode === 137));
});

test("an exit record with the events of a control group says whether memory ran out", () => {
  using t = makeTestEngine();
  const put137 = (name: string, events: string) => {
    const record = put(t.engine, name);
    const file = join(t.engine.runRoot, "containers", record.id, "exit");
    writeFileSync(file, Buffer.concat([Buffer.from([9, 0, 0, 0]), Buffer.from(events)]));
    const status = statusOf(t.engine, record);
    assert.ok(status.kind === "exited" && status.end.exitCode === 137);
    return status.end.oomKilled;
  };
  assert.equal(put137("ran-out", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n"), true);
  assert.equal(put137("had-enough", "low 0\nhigh 0\nmax 12\noom 0\noom_kill 0\noom_group_kill 0\n"), undefined);
});

test("a container that is just being made is created, not exited", () => {
  using t = makeTestEngine();
  assert.deepEqual(statusOf(t.engine, put(t.engine, "one", {}, true)), { kind: "created", isStarting: true });
});

test("a container that was made and never started is created, also where a start failed", () => {
  using t = makeTestEngine();
  const record = put(t.engine, "one", { isNew: true });
  assert.deepEqual(statusOf(t.engine, record), { kind: "created", isStarting: false, end: undefined });
  const end = { exitCode: 127, startedMs: undefined, finishedMs: undefined, error: "no such program" };
  writeEnd(join(t.engine.dataRoot, "containers", record.id), end);
  assert.deepEqual(statusOf(t.engine, record), { kind: "created", isStarting: false, end });
});

test("the end of an earlier start, written down late, is not that of this one", () => {
  using t = makeTestEngine();
  const record = put(t.engine, "one", { startedMs: 2000 }, true);
  const directory = join(t.engine.dataRoot, "containers", record.id);
  writeEnd(directory, { exitCode: 1, startedMs: 1000, finishedMs: 1500 });
  assert.deepEqual(statusOf(t.engine, record), { kind: "created", isStarting: true });
  assert.ok(writeEnd(directory, { exitCode: 7, startedMs: 2000, finishedMs: 3000 }), "it takes its place");
  assert.deepEqual(statusOf(t.engine, record), {
    kind: "exited",
    end: { exitCode: 7, startedMs: 2000, finishedMs: 3000 },
  });
});

test("containers are found by name, by id, and by the beginning of one", () => {
  using t = makeTestEngine();
  const [one, two] = [put(t.engine, "one"), put(t.engine, "two")];
  assert.equal(findContainer(t.engine, "one").id, one.id);
  assert.equal(findContainer(t.engine, "/two").id, two.id);
  assert.equal(findContainer(t.engine, two.id).id, two.id);
  assert.equal(findContainer(t.engine, one.id.slice(0, 12)).id, one.id);
  assert.throws(() => findContainer(t.engine, "three"), { code: "CONTAINER_UNKNOWN" });
  assert.throws(() => findContainer(t.engine, "../one"), { code: "CONTAINER_UNKNOWN" });
  const name = put(t.engine, one.id.slice(0, 12));
  assert.equal(findContainer(t.engine, one.id.slice(0, 12)).id, name.id, "a name goes before an id");
  const damaged = makeContainerId();
  mkdirSync(join(t.engine.dataRoot, "containers", damaged));
  assert.deepEqual(findContainer(t.engine, damaged), { id: damaged, record: undefined });
  assert.deepEqual(listRecords(t.engine.dataRoot).damaged, [damaged]);
});

test("C-081 what killed commands were to remove is removed, and nothing else", async () => {
  using t = makeTestEngine();
  put(t.engine, "stays");
  put(t.engine, "left", { rm: true });
  put(t.engine, "runs", { rm: true }, true);
  put(t.engine, "elsewhere", { rm: true, bootId: "another", machine: "node17" });
  put(t.engine, "before", { rm: true, bootId: "another" });
  const folder = join(t.engine.dataRoot, "containers");
  const [half, fresh, broken] = [makeContainerId(), makeContainerId(), makeContainerId()];
  for (const id of [half, fresh, broken]) mkdirSync(join(folder, id));
  writeFileSync(join(folder, broken, "config.json"), "{");
  for (const id of [half, broken]) utimesSync(join(folder, id), 5, 5);
  const gone = (pid: number, start: string) =>
    join(folder, `.gone.${makeContainerId()}.${readBootId().slice(0, 8)}.${pid}-${start}`);
  const [dead, alive] = [gone(2 ** 22 + 1, "5"), gone(process.pid, readStartTime(process.pid)!)];
  for (const path of [dead, alive]) mkdirSync(path);

  await sweepContainers(t.engine);
  const { records, damaged } = listRecords(t.engine.dataRoot);
  assert.deepEqual(records.map(({ name }) => name).sort(), ["elsewhere", "runs", "stays"]);
  assert.deepEqual(damaged.sort(), [fresh, broken].sort());
  rmSync(alive, { recursive: true });
  assert.throws(() => rmSync(dead, { recursive: true }), { code: "ENOENT" });
});

test("filters fit alternatives of one key, and all keys", () => {
  using t = makeTestEngine();
  const one = put(t.engine, "one", { created: "2026-01-01T00:00:00.000Z", imageId: `sha256:${"ab".repeat(32)}` });
  const two = put(t.engine, "two", {
    created: "2026-01-02T00:00:00.000Z",
    mounts: [{ kind: "volume", target: "/data", source: "/x", volume: "vol", readOnly: false }],
  });
  writeEnd(join(t.engine.dataRoot, "containers", two.id), { exitCode: 3, startedMs: 1, finishedMs: 2 });
  const fit = (...texts: string[]) => {
    const filter = parseContainerFilters(texts, LIST_CONTAINER_FILTERS);
    const fits = compileContainerFilter(t.engine, filter, Date.now());
    return listContainers(t.engine).containers.filter(fits).map(({ record }) => record.name).sort().join(" ");
  };
  assert.equal(fit(), "one two");
  assert.equal(fit("name=one", "name=two"), "one two");
  assert.equal(fit("name=^/on"), "one");
  assert.equal(fit("exited=3"), "two");
  assert.equal(fit("status=exited", "exited=3"), "two");
  assert.equal(fit("status=running"), "");
  assert.equal(fit("label=a", "label=a=b"), "one two");
  assert.equal(fit("label=a=x"), "");
  assert.equal(fit("label=__proto__=c"), "one two");
  assert.equal(fit("label=constructor"), "");
  assert.equal(fit("ancestor=image:latest"), "one two");
  assert.equal(fit(`ancestor=${"ab".repeat(4)}`), "one");
  assert.equal(fit("volume=vol"), "two");
  assert.equal(fit("volume=/data"), "two");
  assert.equal(fit("since=one"), "two");
  assert.equal(fit("before=two"), "one");
  assert.equal(fit(`id=${one.id.slice(0, 10)}`), "one");
  for (const wrong of ["name", "bogus=1", "status=x", "exited=x", "name=("]) {
    assert.throws(() => fit(wrong), { code: "FILTER_INVALID" }, wrong);
  }
});
