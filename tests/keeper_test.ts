/** Restart policies, and the process that carries them out. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, needsRegistry, REGISTRY, type Sandbox } from "./harness.ts";
import { eventually, keepers, noKeeper } from "./support/keepers.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

async function runDetached(box: Sandbox, flags: readonly string[], ...command: string[]): Promise<void> {
  await box.succeed(["run", "-d", "-q", "--network", "none", ...flags, IMAGE, ...command]);
}

async function inspect(box: Sandbox, name: string, template: string): Promise<string> {
  return (await box.succeed(["inspect", "-f", template, name])).stdout.trim();
}

asBoth("a container that fails is started again so often as it was asked for, and no keeper stays", async (box) => {
  await runDetached(box, ["--name", "twice", "--restart", "on-failure:2"], "sh", "-c", "echo run; exit 5");
  await eventually(
    () => inspect(box, "twice", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}"),
    (state) => state === "2 exited 5",
    "twice",
  );
  assert.equal((await box.succeed(["logs", "twice"])).stdout, "run\nrun\nrun\n");
  await runDetached(box, ["--name", "once", "--restart", "on-failure"], "true");
  await eventually(() => inspect(box, "once", "{{.State.Status}}"), (state) => state === "exited", "once");
  assert.equal(await inspect(box, "once", "{{.RestartCount}}"), "0");
  await noKeeper(box);
  // by hand it begins anew
  await box.succeed(["start", "twice"]);
  await eventually(
    () => inspect(box, "twice", "{{.RestartCount}} {{.State.Status}}"),
    (state) => state === "2 exited",
    "twice by hand",
  );
  await noKeeper(box);
  assert.equal((await box.dugout(["run", "--rm", "--restart", "always", IMAGE])).code, 125);
  await box.succeed(["rm", "twice", "once"]);
}, { skip });

asBoth(
  "a container that ends at once is not started in a storm, is shown as restarting, and stops while it waits",
  async (box) => {
    const from = Date.now();
    await runDetached(box, ["--name", "storm", "--restart", "always"], "false");
    await eventually(() => inspect(box, "storm", "{{.RestartCount}}"), (count) => Number(count) >= 4, "storm");
    const list = await eventually(
      async () => (await box.succeed(["ps"])).stdout,
      (text) => /Restarting \(1\) .* ago/.test(text),
      "ps",
    );
    assert.match(list, /storm/);
    assert.equal(await inspect(box, "storm", "{{.State.Running}} {{.State.Restarting}}"), "true true");
    // 100, 200, 400, 800 ms …: a wait behind each start
    const count = Number(await inspect(box, "storm", "{{.RestartCount}}"));
    assert.ok(100 * (2 ** count - 1) <= Date.now() - from, `${count} starts in ${Date.now() - from} ms`);
    const refused = await box.dugout(["rm", "storm"]);
    assert.match(refused.stderr, /container is restarting/);
    await box.succeed(["stop", "storm"]);
    await noKeeper(box);
    assert.equal(await inspect(box, "storm", "{{.State.Status}}"), "exited");
    await box.succeed(["rm", "storm"]);
  },
  { skip },
);

asBoth("what somebody stops or kills stays so", async (box) => {
  await runDetached(
    box,
    ["--name", "kept", "--restart", "always"],
    "sh",
    "-c",
    "trap 'exit 0' TERM HUP; while :; do sleep 0.1; done",
  );
  await box.succeed(["stop", "kept"]);
  await noKeeper(box);
  assert.equal(await inspect(box, "kept", "{{.RestartCount}} {{.State.Status}}"), "0 exited");
  await box.succeed(["start", "kept"]);
  await box.succeed(["kill", "kept"]);
  await noKeeper(box);
  assert.equal(await inspect(box, "kept", "{{.RestartCount}} {{.State.Status}}"), "0 exited");
  // another signal than its own for an end is an affair of the container
  await box.succeed(["start", "kept"]);
  await eventually(
    async () => {
      await box.dugout(["kill", "-s", "HUP", "kept"]);
      return await inspect(box, "kept", "{{.RestartCount}}");
    },
    (count) => Number(count) >= 1,
    "restart behind SIGHUP",
  );
  // a policy that is taken away holds from the next end on
  await box.succeed(["update", "--restart", "no", "kept"]);
  await box.succeed(["rm", "-f", "kept"]);
  await noKeeper(box);
}, { skip });

asBoth("kill -9 of the keeper, asleep or awake, and the next command brings it back", async (box) => {
  await runDetached(box, ["--name", "one", "--restart", "always"], "sleep", "1000");
  const sleeping = await eventually(() => keepers(box), (pids) => pids.length === 1, "a keeper");
  await eventually(
    () => Promise.resolve(readFileSync(`/proc/${sleeping[0]}/comm`, "latin1")),
    (name) => name === "dugout-keeper\n",
    "it sleeps as a tape",
  ).catch(() => {});
  for (const pid of await keepers(box)) await box.run(["kill", "-9", String(pid)]);
  await noKeeper(box);
  const [, , first] = (await inspect(box, "one", "x x {{.State.Pid}}")).split(" ");
  await box.succeed(["ps"]);
  await eventually(() => keepers(box), (pids) => pids.length === 1, "another keeper");
  await box.run(["kill", "-9", first!]);
  await eventually(
    () => inspect(box, "one", "{{.RestartCount}} {{.State.Status}}"),
    (text) => text === "1 running",
    "one",
  );
  // killed while it waits for the time of a start
  await runDetached(box, ["--name", "two", "--restart", "always"], "false");
  await eventually(() => inspect(box, "two", "{{.RestartCount}}"), (count) => Number(count) >= 3, "two");
  for (const pid of await keepers(box)) await box.run(["kill", "-9", String(pid)]);
  await noKeeper(box);
  await box.succeed(["ps"]);
  await eventually(() => inspect(box, "two", "{{.RestartCount}}"), (count) => Number(count) >= 5, "two goes on");
  await box.succeed(["rm", "-f", "one", "two"]);
  await noKeeper(box);
}, { skip });

asBoth("two stores of a user have a keeper each, and a hundred calls start one", async (box) => {
  const other = ["--root", join(box.home, "other")];
  await runDetached(box, ["--name", "here", "--restart", "always"], "sleep", "1000");
  await box.succeed([
    ...other,
    "run",
    "-d",
    "-q",
    "--network",
    "none",
    "--name",
    "there",
    "--restart",
    "always",
    IMAGE,
    "sleep",
    "1000",
  ]);
  await eventually(() => keepers(box), (pids) => pids.length === 2, "keepers");
  await Promise.all(Array.from({ length: 20 }, () => box.succeed(["ps"])));
  await eventually(() => keepers(box), (pids) => pids.length === 2, "keepers still");
  await box.succeed(["rm", "-f", "here"]);
  await eventually(() => keepers(box), (pids) => pids.length === 1, "one is left");
  await box.succeed([...other, "rm", "-f", "there"]);
  await noKeeper(box);
}, { skip });

asBoth("C-059 after a reboot nothing is started but by who asks for it", async (box) => {
  for (
    const [name, policy] of [["always", "always"], ["unless", "unless-stopped"], ["stopped", "unless-stopped"], [
      "no",
      "no",
    ]]
  ) {
    await runDetached(box, ["--name", name!, "--restart", policy!], "sleep", "1000");
  }
  await box.succeed(["stop", "-t", "0", "stopped"]);
  await box.succeed(["kill", "always", "unless", "no"]);
  await noKeeper(box);
  // as if they had run until the machine went down
  const containers = join(box.store, "containers");
  const script = `cd "$1"; for d in */config.json; do
    sed -i 's/"bootId":"[^"]*"/"bootId":"00000000-0000-0000-0000-000000000000"/' "$d"; done
    for n in always unless; do rm -f $(grep -l "\\"name\\":\\"$n\\"" */config.json | cut -d/ -f1)/stopped; done`;
  await box.run(["sh", "-c", script, "sh", containers]);
  assert.equal((await box.succeed(["ps", "--format", "{{.Names}}"])).stdout, "");
  assert.deepEqual(await keepers(box), []);
  const started = await box.succeed(["start", "--all", "--filter", "should-start-on-boot=true"]);
  assert.equal(started.stdout.trim().split("\n").length, 2);
  assert.deepEqual((await box.succeed(["ps", "--format", "{{.Names}}"])).stdout.trim().split("\n").sort(), [
    "always",
    "unless",
  ]);
  await eventually(() => keepers(box), (pids) => pids.length === 1, "a keeper");
  await box.succeed(["stop", "-t", "0", "--filter", "restart-policy=always"]);
  assert.equal((await box.succeed(["ps", "--format", "{{.Names}}"])).stdout, "unless\n");
  await box.succeed(["rm", "-f", "always", "unless", "stopped", "no"]);
  await noKeeper(box);
  assert.deepEqual(readdirSync(containers).filter((name) => /^[0-9a-f]{64}$/.test(name)), []);
}, { skip });
