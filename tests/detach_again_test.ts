/** `run -d` by remembered plans, from outside: nothing but the time may show that there are any. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needsRegistry, REGISTRY, type Result, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

const runRoot = (box: Sandbox) => join(box.runtimeDirectory, "dugout");

function dugout(box: Sandbox, ...words: string[]): Promise<Result> {
  return box.dugout(["--run", runRoot(box), ...words]);
}

async function detach(box: Sandbox, flags: readonly string[], command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await dugout(
    box,
    "run",
    "-q",
    "-d",
    "--network",
    "none",
    ...flags,
    IMAGE,
    ...command,
  );
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^[0-9a-f]{64}\n$/);
  return stdout.trim();
}

function countPlans(box: Sandbox): number {
  const path = join(runRoot(box), "plans");
  return existsSync(path) ? readdirSync(path).length : 0;
}

/** Runs until a plan more is remembered: nothing is while the store has just changed. @returns The container that was planned. */
async function untilRemembered(box: Sandbox, flags: readonly string[], command: readonly string[]): Promise<string> {
  const before = countPlans(box);
  for (let attempt = 0; attempt < 40; attempt++) {
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, 300));
    const id = await detach(box, flags, command);
    if (countPlans(box) > before) return id;
  }
  assert.fail("no plan was remembered");
}

/** Without its blobs a store cannot be planned from: what runs then was remembered. */
async function withoutBlobs<Value>(box: Sandbox, work: () => Promise<Value>): Promise<Value> {
  const blobs = join(box.store, "images/blobs");
  renameSync(blobs, `${blobs}.away`);
  try {
    return await work();
  } finally {
    renameSync(`${blobs}.away`, blobs);
  }
}

/** What the events of the last hour say happened to a container. */
async function actionsOf(box: Sandbox, id: string): Promise<string[]> {
  const words = ["--since", "1h", "--until", "0s", "--filter", `container=${id}`, "--format", "{{.Action}}"];
  return (await dugout(box, "events", ...words)).stdout.trim().split("\n");
}

async function removeAll(box: Sandbox): Promise<void> {
  const { stdout } = await dugout(box, "ps", "-aq");
  const ids = stdout.split("\n").filter((id) => id !== "");
  if (ids.length > 0) assert.equal((await dugout(box, "rm", "-f", ...ids)).code, 0);
}

/** What is the same of two containers of one command line, as text; times and what each has of its own are cut out. */
function common(text: string, own: readonly string[]): string {
  const timeless = text.replace(/20\d\d-\d\d-\d\dT[0-9:.]+Z/g, "TIME");
  return own.reduce((rest, value) => rest.replaceAll(value, "OWN"), timeless);
}

type Facts = { record: Record<string, unknown>; state: Record<string, unknown>; files: string[]; inspected: string };

async function factsOf(box: Sandbox, id: string): Promise<Facts> {
  const directory = join(box.store, "containers", id);
  const read = (path: string) => JSON.parse(readFileSync(path, "utf8"));
  return {
    record: read(join(directory, "config.json")),
    state: read(join(runRoot(box), "containers", id, "state.json")),
    files: [...readdirSync(directory), ...readdirSync(join(runRoot(box), "containers", id))].sort(),
    inspected: (await dugout(box, "inspect", id)).stdout,
  };
}

const LINE = "echo out; echo err >&2; sleep 600";

asBoth("C-081 a remembered container that is left is on record as a planned one, and inspected alike", async (box) => {
  const flags = ["-i", "--label", "a=b", "--log-opt", "max-size=1m"];
  const command = ["sh", "-c", LINE];
  const planned = await untilRemembered(box, flags, command);
  const remembered = await withoutBlobs(box, () => detach(box, flags, command));
  assert.notEqual(planned, remembered);
  const [one, other] = [await factsOf(box, planned), await factsOf(box, remembered)];
  for (const { record, state } of [one, other]) {
    assert.deepEqual([state["name"], state["startedMs"]], [record["name"], record["startedMs"]]);
    assert.ok(Math.abs(Date.parse(String(record["created"])) - Number(record["startedMs"])) < 60_000);
  }
  const ownOf = ({ record, state }: Facts) => [
    String(record["id"]),
    String(record["id"]).slice(0, 12),
    ...[record["name"], record["created"], record["startedMs"], record["ownerPid"], record["ownerStartTime"]].map(
      String,
    ),
    ...[state["monitor"], state["pid"], state["startTime"]].map(String),
  ];
  assert.equal(common(JSON.stringify(other.record), ownOf(other)), common(JSON.stringify(one.record), ownOf(one)));
  assert.equal(common(JSON.stringify(other.state), ownOf(other)), common(JSON.stringify(one.state), ownOf(one)));
  assert.deepEqual(other.files, one.files);
  assert.equal(common(other.inspected, ownOf(other)), common(one.inspected, ownOf(one)));
  await removeAll(box);
}, { skip });

asBoth(
  "a remembered container that is left keeps its output, can be entered, stopped, started again and removed",
  async (box) => {
    const command = ["sh", "-c", `trap 'echo end; exit 7' TERM; ${LINE} & wait`];
    await untilRemembered(box, [], command);
    const id = await withoutBlobs(box, () => detach(box, [], command));
    const logs = async () => (await dugout(box, "logs", id)).stdout;
    while (!(await logs()).includes("out")) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal((await dugout(box, "exec", id, "cat", "/proc/1/comm")).stdout, "sh\n");
    assert.equal((await dugout(box, "stop", id)).code, 0);
    assert.equal((await dugout(box, "wait", id)).stdout, "7\n");
    assert.deepEqual([(await dugout(box, "logs", id)).stdout, (await dugout(box, "logs", id)).stderr], [
      "out\nend\n",
      "err\n",
    ]);
    assert.equal((await dugout(box, "start", id)).code, 0);
    while ((await logs()) !== "out\nend\nout\n") await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual((await actionsOf(box, id)).slice(0, 2), ["create", "start"]);
    await removeAll(box);
    assert.deepEqual(readdirSync(join(box.store, "containers")), ["names"]);
    assert.deepEqual(readdirSync(join(box.store, "containers/names")), []);
    assert.deepEqual(readdirSync(join(runRoot(box), "containers")), []);
  },
  { skip },
);

asBoth("a remembered container with --rm is removed by its monitor", async (box) => {
  const command = ["sh", "-c", "echo x >/file; exit 3"];
  await untilRemembered(box, ["--rm"], command);
  const id = await withoutBlobs(box, () => detach(box, ["--rm"], command));
  assert.match(id, /^[0-9a-f]{64}$/);
  const isClear = () =>
    readdirSync(join(box.store, "containers")).length === 1 &&
    readdirSync(join(runRoot(box), "containers")).length === 0;
  for (let look = 0; look < 500 && !isClear(); look++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(readdirSync(join(box.store, "containers/names")), []);
  assert.deepEqual(await actionsOf(box, id), ["create", "start", "die", "destroy"]);
}, { skip });

asBoth("a remembered container whose layer is gone is planned anew", async (box) => {
  const command = ["sleep", "600"];
  await untilRemembered(box, [], command);
  await removeAll(box);
  renameSync(join(box.store, "layers"), join(box.store, "layers.away"));
  const id = await detach(box, [], command);
  assert.equal((await dugout(box, "inspect", "--format", "{{.State.Running}}", id)).stdout, "true\n");
  await removeAll(box);
  await box.run(["/bin/chmod", "-R", "u+rwx", join(box.store, "layers.away")]);
}, { skip, only: "one" });

asBoth("a name of its own is for one container: such a run is not remembered", async (box) => {
  for (let round = 0; round < 4; round++) {
    await detach(box, ["--name", `round${round}`], ["sleep", "600"]);
    await new Promise((resolve) => setTimeout(resolve, 900));
  }
  assert.equal(countPlans(box), 0);
  await removeAll(box);
}, { skip, only: "sub" });

asBoth("a command that is killed at any moment of a remembered start leaves a container, or nothing", async (box) => {
  const command = ["sleep", "600"];
  await untilRemembered(box, [], command);
  await removeAll(box);
  const words = `${DUGOUT} --run ${runRoot(box)}`;
  const script = `for ms in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 18 20 24 30; do
      ${words} run -q -d --network none ${IMAGE} sleep 600 >/dev/null 2>&1 & sleep $(printf 0.%03d $ms); kill -9 $! 2>/dev/null; wait $! 2>/dev/null
      ${words} ps -aq | while read id; do ${words} inspect --format '{{.State.Status}}' $id >/dev/null || echo "no state at $ms"; ${words} rm -f $id >/dev/null || echo "no removal at $ms"; done
    done; ${words} ps -aq; echo over`;
  const { stdout, stderr } = await box.run(["/bin/sh", "-c", script], { timeoutMs: 110_000 });
  assert.equal(stdout, "over\n", stderr);
  assert.equal((await dugout(box, "run", "--rm", "--network", "none", IMAGE, "echo", "works")).stdout, "works\n");
  await removeAll(box);
}, { skip });

asBoth("twenty remembered starts at once are twenty containers", async (box) => {
  const command = ["sleep", "600"];
  await untilRemembered(box, [], command);
  await removeAll(box);
  const ids = await Promise.all(Array.from({ length: 20 }, () => detach(box, [], command)));
  assert.equal(new Set(ids).size, 20);
  assert.equal((await dugout(box, "ps", "-q")).stdout.trim().split("\n").length, 20);
  await removeAll(box);
}, { skip });
