/** Containers that stay on record, from outside: lists, ends, removal, and what killed commands leave. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needsRegistry, REGISTRY, type Result, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

function run(box: Sandbox, flags: readonly string[], ...command: string[]): Promise<Result> {
  return box.dugout(["run", "-q", "--network", "none", ...flags, IMAGE, ...command], { timeoutMs: 30_000 });
}

async function lines(box: Sandbox, ...args: string[]): Promise<string[]> {
  return (await box.succeed(args)).stdout.split("\n").slice(0, -1);
}

/**
 * Does something while a container runs; it ends with what is done.
 * @returns What the command that ran it left: its exit code is the first line.
 */
async function whileRunning(
  box: Sandbox,
  flags: readonly string[],
  command: readonly string[],
  script: string,
): Promise<Result> {
  await box.succeed(["pull", "-q", IMAGE]);
  const around =
    `D=${DUGOUT}; "$@" >out 2>err & pid=$!; until test -s pid; do sleep 0.05; done; ${script}\nwait $pid; echo code $?; rm -f pid`;
  const words = ["run", "-q", "--network", "none", "--pidfile", "pid", ...flags, IMAGE, ...command];
  return await box.run(["sh", "-c", around, "sh", DUGOUT, ...words], { timeoutMs: 40_000 });
}

asBoth("containers that have ended are listed, with how they ended, and removed", async (box) => {
  assert.equal((await run(box, ["--name", "seven", "--label", "k=v"], "sh", "-c", "exit 7")).code, 7);
  await run(box, ["--name", "zero"], "true");
  assert.deepEqual(await lines(box, "ps"), [
    "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES",
  ]);
  const list = await lines(box, "ps", "-a");
  assert.match(list[1] ?? "", /^[0-9a-f]{12} {3}127.0.0.1:5000\/busybox +"true" +.* ago +Exited \(0\) .* ago +zero$/);
  assert.match(list[2] ?? "", /"sh -c exit 7" .*Exited \(7\) .* ago +seven$/);
  assert.deepEqual(await lines(box, "ps", "-aq", "--filter", "exited=7"), [list[2]?.slice(0, 12)]);
  assert.match((await lines(box, "ps", "-lq", "--no-trunc"))[0] ?? "", /^[0-9a-f]{64}$/);
  for (
    const [filter, names] of [
      ["name=ev", "seven"],
      ["label=k", "seven"],
      ["label=k=w", ""],
      ["status=exited", "zero seven"],
      ["status=running", ""],
      ["since=seven", "zero"],
      ["before=zero", "seven"],
      [`ancestor=${IMAGE}`, "zero seven"],
      ["ancestor=other", ""],
      [`id=${list[1]?.slice(0, 6)}`, "zero"],
      ["network=none", "zero seven"],
      ["volume=/nowhere", ""],
    ] as const
  ) {
    const found = await lines(box, "ps", "-a", "--filter", filter, "--format", "{{.Names}}");
    assert.equal(found.join(" "), names, filter);
  }
  for (const wrong of ["bogus=1", "status=bogus", "exited=x", "name"]) {
    assert.equal((await box.dugout(["ps", "--filter", wrong])).code, 1, wrong);
  }
  const json = JSON.parse((await lines(box, "ps", "-an", "1", "--format", "json"))[0] ?? "");
  assert.equal(json.State, "exited");

  const [object] = JSON.parse((await box.succeed(["inspect", "seven"])).stdout);
  assert.equal(object.State.ExitCode, 7);
  assert.equal(object.Name, "/seven");
  assert.deepEqual(object.Config.Labels, { k: "v" });
  assert.equal((await box.dugout(["inspect", "--type", "image", "seven"])).code, 1);
  assert.equal((await box.succeed(["container", "inspect", "-f", "{{.Path}}", "zero"])).stdout, "true\n");
  assert.deepEqual(await lines(box, "wait", "seven", "zero"), ["7", "0"]);

  const removed = await box.dugout(["rm", "seven", "nobody"]);
  assert.equal(removed.stdout, "seven\n");
  assert.equal(removed.code, 1);
  assert.match(removed.stderr, /No such container: nobody/);
  await box.succeed(["rm", "-f", "nobody"]);
  assert.match(
    (await box.succeed(["container", "prune", "-f"])).stdout,
    /^Deleted Containers:\n[0-9a-f]{64}\n\nTotal /,
  );
  assert.deepEqual(readdirSync(join(box.store, "containers")), ["names"]);
  assert.deepEqual(readdirSync(join(box.store, "containers/names")), []);
}, { skip });

asBoth("rmi refuses an image that a container on record was made from", async (box) => {
  await run(box, ["--name", "user"], "true");
  const { code, stderr } = await box.dugout(["rmi", IMAGE]);
  assert.equal(code, 1);
  assert.match(stderr, /container/);
  assert.equal((await box.dugout(["image", "prune", "-af"])).code, 0);
  await box.succeed(["image", "exists", IMAGE]);
  await box.succeed(["rm", "user"]);
  await box.succeed(["rmi", IMAGE]);
}, { skip });

asBoth("A-093 a container's files go, whatever it made of them, and nothing outside", async (box) => {
  const line =
    `cd /root; mkdir -p deep/0; ln -s ${box.canary} deep/link; ln -s / deep/root; chmod 0 deep/0; touch -- -rf "$(printf 'a\\nb')"; ` +
    "chown -R 55:55 deep; mkfifo p; chmod 0 deep; true";
  assert.equal((await run(box, ["--name", "odd"], "sh", "-c", line)).code, 0);
  symlinkSync(box.canary, join(box.store, "containers/link"));
  await box.succeed(["rm", "odd"]);
  assert.deepEqual(readdirSync(join(box.store, "containers")).sort(), ["link", "names"]);
}, { skip });

asBoth("a running container is listed, refuses rm, and is killed by rm -f", async (box) => {
  const { stdout } = await whileRunning(
    box,
    ["--name", "runs"],
    ["sleep", "600"],
    `$D ps --format '{{.Names}} {{.State}}'; $D rm runs; echo rm $?; $D container prune -f; $D rm -f runs; $D ps -aq`,
  );
  assert.equal(stdout, "runs running\nrm 1\nTotal reclaimed space: 0B\nruns\ncode 137\n");
}, { skip });

asBoth("rm -f of a container with --rm leaves the removal to its command, and neither fails", async (box) => {
  const { stdout } = await whileRunning(
    box,
    ["--rm", "--name", "runs", "-v", "/anon"],
    ["sleep", "600"],
    `$D rm -f runs; echo rm $?; $D ps -aq; $D volume ls -q`,
  );
  assert.equal(stdout, "runs\nrm 0\ncode 137\n");
}, { skip });

asBoth("stop asks first and kills then; kill sends what was asked for; wait tells the code", async (box) => {
  const trap = (
    code: number,
  ) => ["sh", "-c", `trap 'exit ${code}' TERM HUP; touch /ready; while :; do sleep 0.1; done`];
  const ready = "sleep 0.5;";
  const stopped = await whileRunning(box, ["--name", "a1"], trap(9), `${ready} $D stop a1; $D wait a1`);
  assert.equal(stopped.stdout, "a1\n9\ncode 9\n");
  const killed = await whileRunning(box, ["--name", "a2"], trap(5), `${ready} $D kill -s HUP a2; $D wait a2`);
  assert.equal(killed.stdout, "a2\n5\ncode 5\n");
  const deaf = await whileRunning(box, ["--name", "a3"], ["sleep", "600"], "$D stop -t 1 a3; $D stop a3");
  assert.equal(deaf.stdout, "a3\na3\ncode 137\n");
  const own = ["--name", "a4", "--stop-signal", "HUP", "--stop-timeout", "30"];
  assert.equal((await whileRunning(box, own, trap(4), `${ready} $D stop a4`)).stdout, "a4\ncode 4\n");
  assert.equal((await box.dugout(["kill", "a1"])).code, 1);
  assert.equal((await box.dugout(["kill", "-s", "NONE", "a1"])).code, 1);
  assert.equal((await box.dugout(["stop", "nobody"])).code, 1);
}, { skip });

asBoth("a container is renamed, also while it runs, and its old name is free", async (box) => {
  const { stdout } = await whileRunning(
    box,
    ["--name", "old"],
    ["sleep", "600"],
    `$D rename old new; $D ps --format '{{.Names}}'; $D rm -f new`,
  );
  assert.equal(stdout, "new\nnew\ncode 137\n");
  await run(box, ["--name", "old"], "true");
  await run(box, ["--name", "two"], "true");
  const { code, stderr } = await box.dugout(["rename", "old", "two"]);
  assert.equal(code, 1);
  assert.match(stderr, /two/);
  assert.equal((await box.dugout(["rename", "old", "a b"])).code, 1);
  assert.deepEqual(readdirSync(join(box.store, "containers/names")).sort(), ["old", "two"]);
}, { skip });

asBoth(
  "C-081 after kill -9 of its command a container runs on, is listed, and --rm removes it at its end",
  async (box) => {
    const { stdout } = await whileRunning(
      box,
      ["--rm", "--name", "left", "-v", "/anon"],
      ["sleep", "600"],
      `kill -KILL $pid; sleep 0.2; $D ps --format '{{.Names}} {{.State}}'; $D kill left; sleep 0.5; $D ps -aq; $D volume ls -q; echo end`,
    );
    assert.equal(stdout, "left running\nleft\nend\ncode 137\n");
    assert.deepEqual(readdirSync(join(box.store, "containers")), ["names"]);
    assert.deepEqual(readdirSync(join(box.store, "containers/names")), []);
  },
  { skip },
);

asBoth("kill -9 of its command loses no exit code", async (box) => {
  const { stdout } = await whileRunning(
    box,
    ["--name", "left"],
    ["sh", "-c", "sleep 1; exit 33"],
    `kill -KILL $pid; $D wait left; $D ps -a --format '{{.Status}}'`,
  );
  assert.match(stdout, /^33\nExited \(33\) .* ago\ncode 137\n$/);
}, { skip });

asBoth("C-058 a running container whose runtime directory is gone is listed, stopped and removed", async (box) => {
  const { stdout, stderr } = await whileRunning(
    box,
    ["--name", "swept"],
    ["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done"],
    `sleep 0.5; rm -rf ${DIRECTORIES}; $D ps --format '{{.Names}} {{.State}}'; $D stop -t 5 swept; $D ps -a --format '{{.Names}} {{.State}}'; $D rm swept`,
  );
  assert.match(stdout, /^swept running\nswept\nswept exited\nswept\n/, stderr);
}, { skip });

/** Where the runtime directory may be, as a shell finds it. */
const DIRECTORIES = '"/run/user/$(id -u)/dugout/containers" "$XDG_RUNTIME_DIR/dugout/containers"';

asBoth("C-059 nothing of an earlier boot is believed to run", async (box) => {
  const id = "ab".repeat(32);
  await run(box, ["--name", "now"], "true");
  const directory = join(box.store, "containers", id);
  const script = `
    mkdir -p ${directory}
    sed -e 's/"bootId":"[^"]*"/"bootId":"another"/' -e 's/"name":"now"/"name":"before"/' \
      ${box.store}/containers/[0-9a-f]*/config.json > ${directory}/config.json`;
  assert.equal((await box.run(["sh", "-c", script])).code, 0);
  assert.deepEqual(await lines(box, "ps", "-q"), []);
  const all = await lines(box, "ps", "-a", "--format", "{{.Names}} {{.Status}}");
  assert.ok(all.some((line) => line.startsWith("before Exited (255)")), all.join("\n"));
  await box.succeed(["rm", "before"]);
}, { skip });

asBoth("a container of another machine on a shared store is not touched", async (box) => {
  await run(box, ["--name", "there"], "true");
  const folder = join(box.store, "containers");
  const script = `
    cd ${folder}/[0-9a-f]*/ && rm end.json &&
    sed -i -e 's/"bootId":"[^"]*"/"bootId":"another"/' -e 's/"machine":"[^"]*"/"machine":"node17"/' config.json`;
  assert.equal((await box.run(["sh", "-c", script])).code, 0);
  assert.deepEqual(await lines(box, "ps", "-a", "--format", "{{.Names}} {{.Status}}"), ["there On node17"]);
  assert.equal((await box.succeed(["container", "prune", "-f"])).stdout, "Total reclaimed space: 0B\n");
  for (const args of [["rm", "there"], ["rm", "-f", "there"], ["kill", "there"], ["stop", "there"]]) {
    const { code, stderr } = await box.dugout(args);
    assert.equal(code, 1, args.join(" "));
    assert.match(stderr, /node17/);
  }
}, { skip });

asBoth("a damaged record is told of, hinders nothing, and can be removed", async (box) => {
  await run(box, ["--name", "good"], "true");
  const id = "cd".repeat(32);
  const script = `mkdir -p ${box.store}/containers/${id}/upper && echo '{' > ${box.store}/containers/${id}/config.json`;
  assert.equal((await box.run(["sh", "-c", script])).code, 0);
  const { stdout, stderr } = await box.succeed(["ps", "-a", "--format", "{{.Names}}"]);
  assert.equal(stdout, "good\n");
  assert.match(stderr, /cdcdcdcdcdcd/);
  await box.succeed(["rm", "-f", "cdcd"]);
  assert.equal(existsSync(join(box.store, "containers", id)), false);
}, { skip });

asBoth("ten removals of one container at once remove it once", async (box) => {
  await run(
    box,
    ["--name", "one"],
    "sh",
    "-c",
    "mkdir -p /root/d; i=0; while [ $i -lt 300 ]; do echo >/root/d/$i; i=$((i+1)); done",
  );
  const results = await Promise.all(Array.from({ length: 10 }, () => box.dugout(["rm", "-f", "one"])));
  for (const { code, stderr } of results) assert.equal(code, 0, stderr);
  assert.deepEqual(readdirSync(join(box.store, "containers")), ["names"]);
}, { skip });

asBoth("A-051 A-087 what a container is called and labelled and runs plays no tricks in lists", async (box) => {
  const labels = ["--label", "__proto__=x", "--label", "constructor=y", "--label", "esc=\x1b[31m\u202e\n"];
  await run(box, ["--name", "tricks", ...labels], "echo", "\x1b[2J\r\n\u202eevil");
  const { stdout } = await box.succeed(["ps", "-a", "--no-trunc", "--format", "table {{.Command}} {{.Labels}}"]);
  assert.match(stdout, /^[ -~\n]*$/);
  assert.equal(stdout.split("\n").length, 3);
  const inspected = (await box.succeed(["inspect", "tricks"])).stdout;
  assert.match(inspected, /^[ -~\n]*$/);
  const [object] = JSON.parse(inspected);
  assert.deepEqual(Object.entries(object.Config.Labels).sort(), [
    ["__proto__", "x"],
    ["constructor", "y"],
    ["esc", "\x1b[31m\u202e\n"],
  ]);
  assert.deepEqual(await lines(box, "ps", "-aq", "--filter", "label=toString"), []);
}, { skip });
