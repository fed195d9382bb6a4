/** Runs by remembered plans, from outside: nothing but the time may show that there are any. */
import assert from "node:assert/strict";
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, needsRegistry, REGISTRY, type Result, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

const runRoot = (box: Sandbox) => join(box.runtimeDirectory, "dugout");

function again(box: Sandbox, command: readonly string[], flags: readonly string[] = []): Promise<Result> {
  return box.dugout(["--run", runRoot(box), "run", "--rm", "--network", "none", ...flags, IMAGE, ...command]);
}

function listPlans(box: Sandbox): string[] {
  const path = join(runRoot(box), "plans");
  return existsSync(path) ? readdirSync(path) : [];
}

/** Runs until a plan more is remembered: nothing is while the store has just changed. */
async function untilRemembered(box: Sandbox, command: readonly string[], flags: readonly string[] = []): Promise<void> {
  const before = listPlans(box).length;
  for (let attempt = 0; listPlans(box).length === before; attempt++) {
    assert.ok(attempt < 40, "no plan was remembered");
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, 300));
    const { code, stderr } = await again(box, command, flags);
    assert.equal(code, 0, stderr);
  }
}

/** Without its blobs a store cannot be planned from: what runs then was remembered. */
async function withoutBlobs(box: Sandbox, work: () => Promise<void>): Promise<void> {
  const blobs = join(box.store, "images/blobs");
  renameSync(blobs, `${blobs}.away`);
  try {
    await work();
  } finally {
    renameSync(`${blobs}.away`, blobs);
  }
}

/** The monitor removes the last directories while the command ends. */
async function assertNothingLeft(box: Sandbox): Promise<void> {
  const isClear = () =>
    readdirSync(join(box.store, "containers")).length === 1 &&
    readdirSync(join(runRoot(box), "containers")).length === 0;
  for (let attempt = 0; attempt < 100 && !isClear(); attempt++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(readdirSync(join(box.store, "containers")), ["names"]);
  assert.deepEqual(readdirSync(join(box.store, "containers/names")), []);
  assert.deepEqual(readdirSync(join(runRoot(box), "containers")), []);
}

asBoth("a remembered run is a container of its own, with its own id in every place", async (box) => {
  const line = "hostname; cat /etc/hostname; tail -1 /etc/hosts; echo $HOSTNAME; echo x >/new; ls / | grep -c new";
  await untilRemembered(box, ["sh", "-c", line]);
  await withoutBlobs(box, async () => {
    const names = new Set<string>();
    for (let round = 0; round < 2; round++) {
      const { code, stdout, stderr } = await again(box, ["sh", "-c", line]);
      assert.deepEqual([code, stderr], [0, ""]);
      const [name, file, hosts, variable, count] = stdout.split("\n");
      assert.match(name!, /^[0-9a-f]{12}$/);
      assert.deepEqual([file, hosts, variable, count], [name, `127.0.1.1\t${name}`, name, "1"]);
      names.add(name!);
    }
    assert.equal(names.size, 2);
  });
  await assertNothingLeft(box);
}, { skip });

asBoth("remembered runs give exit codes, streams and input as the first did", async (box) => {
  const flags = ["-i"];
  const command = ["sh", "-c", "cat; echo err >&2; exit 7"];
  const run = () =>
    box.dugout(["--run", runRoot(box), "run", "--rm", "--network", "none", ...flags, IMAGE, ...command], {
      input: "given\n",
    });
  for (let attempt = 0; listPlans(box).length === 0; attempt++) {
    assert.ok(attempt < 40, "no plan was remembered");
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, 300));
    await run();
  }
  await withoutBlobs(box, async () => {
    const { code, stdout, stderr } = await run();
    assert.deepEqual([code, stdout, stderr], [7, "given\n", "err\n"]);
  });
  await assertNothingLeft(box);
}, { skip });

asBoth("many remembered runs at once do not meet", async (box) => {
  await untilRemembered(box, ["hostname"]);
  const results = await Promise.all(Array.from({ length: 6 }, () => again(box, ["hostname"])));
  assert.deepEqual(results.map(({ code, stderr }) => [code, stderr]), Array(6).fill([0, ""]));
  assert.equal(new Set(results.map(({ stdout }) => stdout)).size, 6);
  await assertNothingLeft(box);
}, { skip });

asBoth("a plan whose layer was removed by hand is forgotten, and the layer unpacked again", async (box) => {
  await untilRemembered(box, ["echo", "here"]);
  rmSync(join(box.store, "layers"), { recursive: true });
  const { code, stdout, stderr } = await again(box, ["echo", "here"]);
  assert.deepEqual([code, stdout, stderr], [0, "here\n", ""]);
  await assertNothingLeft(box);
}, { skip });

asBoth("a damaged plan is as good as none", async (box) => {
  await untilRemembered(box, ["echo", "here"]);
  writeFileSync(join(runRoot(box), "plans", listPlans(box)[0]!), "damaged");
  const { code, stdout, stderr } = await again(box, ["echo", "here"]);
  assert.deepEqual([code, stdout, stderr], [0, "here\n", ""]);
}, { skip });

asBoth("a name that points elsewhere, or to nothing, is not run as it was", async (box) => {
  const command = ["sh", "-c", "cat /etc/os-release 2>/dev/null; true"];
  const flags = ["-q", "--pull", "never"];
  await box.succeed(["pull", "-q", IMAGE]);
  await untilRemembered(box, command, flags);
  assert.equal((await again(box, command, flags)).stdout, "");
  await box.succeed(["pull", "-q", `${REGISTRY}/debian`]);
  await box.succeed(["tag", `${REGISTRY}/debian`, IMAGE]);
  assert.match((await again(box, command, flags)).stdout, /debian/i);
  await box.succeed(["rmi", IMAGE]);
  const { code, stderr } = await again(box, command, flags);
  assert.equal(code, 125);
  assert.match(stderr, /Cannot find the image/);
}, { skip });

asBoth("what depends on the caller's variables, directory or files is planned each time", async (box) => {
  await untilRemembered(box, ["true"]);
  const before = listPlans(box).length;
  cpSync("/etc/hostname", join(box.home, "file"));
  for (const flags of [["-e", "HOME"], ["-v", "./file:/file"], ["--pull", "always"], ["--cidfile", "cid"]]) {
    const { code, stderr } = await again(box, ["true"], flags);
    assert.equal(code, 0, `${flags.join(" ")}: ${stderr}`);
    rmSync(join(box.home, "cid"), { force: true });
  }
  await again(box, ["no-such-program"]);
  assert.equal(listPlans(box).length, before);
}, { skip });

asBoth("a remembered run that needs a name that is taken says so", async (box) => {
  const flags = ["--name", "mine"];
  await untilRemembered(box, ["sleep", "0.1"], flags);
  const results = await Promise.all([again(box, ["sleep", "0.1"], flags), again(box, ["sleep", "0.1"], flags)]);
  const failed = results.filter(({ code }) => code !== 0);
  for (const { code, stderr } of failed) {
    assert.equal(code, 125);
    assert.match(stderr, /Cannot name the container "mine"/);
  }
  await assertNothingLeft(box);
}, { skip });

asBoth("C-081 a remembered run is on record as a planned one is", async (box) => {
  const folder = join(box.store, "containers");
  const readRecord = async (): Promise<Record<string, unknown>> => {
    const run = again(box, ["sleep", "1"]);
    for (;;) {
      const id = existsSync(folder) ? readdirSync(folder).find((name) => /^[0-9a-f]{64}$/.test(name)) : undefined;
      if (id !== undefined && existsSync(join(runRoot(box), "containers", id, "state.json"))) {
        const record = JSON.parse(readFileSync(join(folder, id, "config.json"), "utf8"));
        assert.equal(record.id, id);
        assert.equal((await run).code, 0);
        return record;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await box.succeed(["pull", "-q", IMAGE]);
  const { id, name, created, ownerPid, ownerStartTime, ...planned } = await readRecord();
  await untilRemembered(box, ["sleep", "1"]);
  const remembered = await readRecord();
  for (const [key, value] of Object.entries({ id, name, created, ownerPid, ownerStartTime })) {
    assert.equal(typeof remembered[key], typeof value);
    // two names of chance may be the same
    if (key !== "name") assert.notEqual(remembered[key], value, key);
    delete remembered[key];
  }
  assert.deepEqual(remembered, planned);
}, { skip });
