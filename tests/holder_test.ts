/** The process that holds the user namespace in which containers make theirs: there when it helps, and never in the way. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needsRegistry, REGISTRY, type Result, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

const runRoot = (box: Sandbox) => join(box.runtimeDirectory, "dugout");

function run(box: Sandbox, flags: readonly string[], ...command: string[]): Promise<Result> {
  return box.dugout(["--run", runRoot(box), "run", "--rm", "--network", "none", ...flags, IMAGE, ...command]);
}

/** The processes that hold, by what they have open: their record. */
function listHolders(box: Sandbox): number[] {
  const directory = join(runRoot(box), "holder");
  const records = existsSync(directory) ? readdirSync(directory).filter((name) => name.includes(".")) : [];
  return records.map((name) => Number(readFileSync(join(directory, name), "utf8").split(" ")[1])).filter((pid) =>
    existsSync(`/proc/${pid}/comm`) && readFileSync(`/proc/${pid}/comm`, "utf8") === "dugout-holder\n"
  );
}

/** The user namespaces that two containers at once see as theirs. */
async function namespacesOfTwo(box: Sandbox): Promise<string[]> {
  const line = "readlink /proc/self/ns/user; cat; readlink /proc/self/ns/user";
  const both = await Promise.all([0, 1].map(() => run(box, [], "sh", "-c", line)));
  for (const { code, stderr } of both) assert.equal(code, 0, stderr);
  return both.map(({ stdout }) => stdout.split("\n")[0]!);
}

asBoth("the first container leaves a holder, and each has a user namespace of its own in that one", async (box) => {
  assert.equal((await run(box, ["-q"], "true")).code, 0);
  const [holder, ...others] = listHolders(box);
  assert.ok(holder !== undefined);
  assert.deepEqual(others, []);
  const namespaces = await namespacesOfTwo(box);
  assert.equal(new Set(namespaces).size, 2);
  assert.deepEqual(listHolders(box), [holder]);
  for (const flags of [["--userns", "keep-id"], ["--userns", "nomap"], ["--privileged"]]) {
    const { code, stderr } = await run(box, flags, "true");
    assert.equal(code, 0, `${flags}: ${stderr}`);
  }
  assert.deepEqual(listHolders(box), [holder], "one for all id maps");
  const kilobytes = /VmRSS:\s*([0-9]+) kB/.exec(readFileSync(`/proc/${holder}/status`, "utf8"))?.[1];
  assert.ok(Number(kilobytes) < 100, `the holder takes ${kilobytes} KB`);
}, { skip, only: "sub" });

asBoth("with one id there is nothing to hold", async (box) => {
  assert.equal((await run(box, ["-q"], "true")).code, 0);
  assert.deepEqual(listHolders(box), []);
}, { skip, only: "one" });

asBoth("a container has the ids that it was promised, be it made in the holder's namespace or not", async (box) => {
  const ids = "id -u; touch /f; chown 33:44 /f; stat -c %u:%g /f";
  const own = String(box.user.uid);
  for (let round = 0; round < 2; round++) {
    assert.equal((await run(box, ["-q"], "sh", "-c", ids)).stdout, "0\n33:44\n");
    assert.equal((await run(box, ["--userns", "keep-id"], "sh", "-c", "id -u; stat -c %u /")).stdout, `${own}\n0\n`);
    assert.equal((await run(box, ["--user", "33"], "id", "-u")).stdout, "33\n");
  }
}, { skip, only: "sub" });

asBoth("in a job of a batch system no holder is left, but one that is there is used", async (box) => {
  const inJob = () =>
    box.dugout(["--run", runRoot(box), "run", "-q", "--rm", "--network", "none", IMAGE, "true"], {
      env: { SLURM_JOB_ID: "17" },
    });
  for (let round = 0; round < 3; round++) assert.equal((await inJob()).code, 0);
  assert.deepEqual(listHolders(box), []);
  assert.equal((await run(box, [], "true")).code, 0);
  const [holder] = listHolders(box);
  assert.ok(holder !== undefined);
  assert.equal((await inJob()).code, 0);
  assert.deepEqual(listHolders(box), [holder]);
}, { skip, only: "sub" });

asBoth("a holder that was made under other limits is not used", async (box) => {
  await box.succeed(["--run", runRoot(box), "pull", "-q", IMAGE]);
  const words = [DUGOUT, "--run", runRoot(box), "run", "--rm", "--network", "none", IMAGE, "sh", "-c", "ulimit -u"];
  for (const limit of ["4000", "3000"]) {
    const { stdout, stderr } = await box.run(["/usr/bin/prlimit", `--nproc=${limit}`, ...words]);
    assert.equal(stdout, `${limit}\n`, stderr);
  }
  assert.equal(listHolders(box).length, 2);
}, { skip, only: "sub" });

asBoth("twenty first containers at once: all of them run, and at most one of them leaves a holder", async (box) => {
  await box.succeed(["--run", runRoot(box), "pull", "-q", IMAGE]);
  const results = await Promise.all(Array.from({ length: 20 }, () => run(box, [], "echo", "here")));
  assert.deepEqual(
    results.map(({ code, stdout, stderr }) => [code, stdout, stderr]),
    Array(20).fill([0, "here\n", ""]),
  );
  assert.equal(listHolders(box).length, 1);
}, { skip, only: "sub" });

asBoth("a holder that is killed at any moment costs nothing but time", async (box) => {
  const line = `i=0; while [ $i -lt 40 ]; do i=$((i+1))
      $D run --rm --network none ${IMAGE} echo here || echo failed; done; touch $HOME/over`;
  const killer = `until [ -e $HOME/over ]; do
      for pid in $(cut -d ' ' -f 2 $RUN/holder/*.* 2>/dev/null); do
        [ "$(cat /proc/$pid/comm 2>/dev/null)" = dugout-holder ] && kill -9 $pid; done; sleep 0.0$((i = (i + 1) % 9)); done`;
  const env = { D: `${DUGOUT} --run ${runRoot(box)}`, RUN: runRoot(box) };
  await box.succeed(["--run", runRoot(box), "pull", "-q", IMAGE]);
  const [{ stdout, stderr }] = await Promise.all([
    box.run(["/bin/sh", "-c", line], { env, timeoutMs: 100_000 }),
    box.run(["/bin/sh", "-c", killer], { env, timeoutMs: 110_000 }),
  ]);
  assert.equal(stdout, "here\n".repeat(40), stderr);
  assert.equal((await run(box, [], "true")).code, 0);
}, { skip, only: "sub" });

asBoth("C-053 system reset ends the holder", async (box) => {
  assert.equal((await run(box, ["-q"], "true")).code, 0);
  const [holder] = listHolders(box);
  assert.ok(holder !== undefined);
  await box.succeed(["--run", runRoot(box), "system", "reset", "-f"]);
  for (let look = 0; look < 500 && existsSync(`/proc/${holder}/ns/user`); look++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.deepEqual([existsSync(runRoot(box)), existsSync(`/proc/${holder}/ns`)], [false, false]);
}, { skip, only: "sub" });

asBoth("what outlives its caller has nothing of the caller's streams", async (box) => {
  // the shell's `cat` ends when nobody holds the pipe any more
  const { stdout } = await box.run([
    "/bin/sh",
    "-c",
    `(${DUGOUT} --run ${runRoot(box)} run -q --rm --network none ${IMAGE} echo here) 2>&1 | cat`,
  ]);
  assert.equal(stdout, "here\n");
}, { skip });
