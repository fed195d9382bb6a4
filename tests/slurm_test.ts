/** A good guest of Slurm: eight things that must hold of `srun dugout run`, and of `srun --container`. */
import assert from "node:assert/strict";
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needsRegistry, REGISTRY, runCommand, type Sandbox } from "./harness.ts";
import { BUSYBOX, makeBundle } from "./support/bundle.ts";
import { needsSlurm, until, withCluster } from "./support/slurm.ts";

const skip = needsSlurm() || needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;
const RUN = [DUGOUT, "run", "--rm", "--network", "host"];

type Process = { pid: number; parent: number; command: string };

/** Processes whose words hold a text. */
function findProcesses(text: string): Process[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return command.includes(text) && state !== "Z" ? [{ pid: Number(name), parent: Number(parent), command }] : [];
    } catch {
      return [];
    }
  });
}

function ancestors(pid: number): string[] {
  const names: string[] = [];
  for (let at = pid; at > 1;) {
    const stat = readFileSync(`/proc/${at}/stat`, "utf8");
    names.push(stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")));
    at = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  }
  return names;
}

const containersOf = (box: Sandbox) => join(box.store, "containers");
const leftOf = (box: Sandbox) =>
  readdirSync(containersOf(box)).filter((name) => name !== "names" && !name.startsWith("."));

/** The next command finds what a killed one has left, as soon as its last process is gone. */
async function untilSwept(box: Sandbox): Promise<void> {
  await until("the next command has found nothing left", async () => {
    await box.succeed(["ps", "-a", "-q"]);
    return leftOf(box).length === 0;
  });
}

asBoth(
  "Slurm 1, 2 and 3: a container is a child of its step, has its signals and exit codes, and ends with its command",
  async (box) => {
    await box.succeed(["pull", "-q", IMAGE]);
    await withCluster({}, async (cluster) => {
      const word = `guest-${box.path.split("-")[1]}`;
      // 1: descent, and what would outlive the command
      const step = cluster.run(box, ["srun", "-J", word, ...RUN, IMAGE, "sh", "-c", `: ${word}; sleep 600; exit 3`]);
      const program = () => findProcesses(`: ${word}; sleep`).find(({ command }) => command.startsWith("sh -c"));
      await until("the container runs", () => program() !== undefined);
      const { pid } = program()!;
      assert.ok(ancestors(pid).includes("slurmstepd"), ancestors(pid).join(" < "));
      for (const args of [["run", "-d", IMAGE, "true"], ["run", "--restart", "always", IMAGE, "true"]]) {
        const { code, stderr } = await cluster.run(box, ["srun", DUGOUT, ...args]);
        assert.equal(code, 125);
        assert.match(stderr, /in job \d+: it would outlive its command/);
      }
      // 3: killed, as by a batch system that has lost patience
      const command = findProcesses(word).find(({ command }) => command.startsWith(DUGOUT))!;
      process.kill(command.pid, "SIGKILL");
      assert.equal((await step).code, 137);
      await until("the container is gone", () => findProcesses(`: ${word}; sleep 600`).length === 0);
      await untilSwept(box);

      // 2: exit codes and signals
      assert.equal((await cluster.run(box, ["srun", ...RUN, IMAGE, "sh", "-c", "exit 7"])).code, 7);
      const names = ["HUP", "INT", "USR1", "USR2", "CONT", "TERM"];
      // a tracker of processes signals each of them, and the command passes its own on: one may come twice
      const traps = names.map((name) => `trap 'echo ${name}; last=${name}' ${name}`).join("; ");
      const script = `${traps}; echo ready; while [ "$last" != TERM ]; do sleep 0.05; done; exit 9`;
      const output = join(box.home, "signals");
      const job = cluster.run(box, ["srun", "-J", "signals", "-u", "-o", output, ...RUN, IMAGE, "sh", "-c", script]);
      const says = (text: string) => existsSync(output) && readFileSync(output, "utf8").includes(text);
      await until("the traps are set", () => says("ready"));
      for (const name of names) {
        await cluster.run(box, ["scancel", "-s", name, "-n", "signals", "-u", box.user.name]);
        await until(`${name} has come`, () => says(name));
      }
      assert.equal((await job).code, 9);
      // scancel as it is: TERM, and KILL for who stays
      const stubborn = cluster.run(box, [
        "srun",
        "-J",
        "stubborn",
        ...RUN,
        IMAGE,
        "sh",
        "-c",
        `trap : TERM; : ${word}-2; while :; do sleep 0.1; done`,
      ]);
      await until(
        "it runs",
        () => findProcesses(`${word}-2; while`).some(({ command }) => command.startsWith("sh -c")),
      );
      await cluster.run(box, ["scancel", "-n", "stubborn", "-u", box.user.name]);
      await stubborn;
      await until("it is gone", () => findProcesses(`${word}-2; while`).length === 0);
      await untilSwept(box);
    });
  },
  { skip },
);

asBoth(
  "Slurm 4 and 5: streams are the task's own, descriptors keep their numbers, and one option passes what the job tells",
  async (box) => {
    await box.succeed(["pull", "-q", IMAGE]);
    await withCluster({}, async (cluster) => {
      const both = `readlink /proc/self/fd/1; exec "$0" run --rm --network host ${IMAGE} readlink /proc/self/fd/1`;
      const streams = (await cluster.run(box, ["srun", "sh", "-c", both, DUGOUT])).stdout.trim().split("\n");
      assert.match(streams[0]!, /^pipe:/);
      assert.equal(streams[1], streams[0]);
      const input = "line\n".repeat(100_000);
      const copied = await cluster.run(box, ["srun", ...RUN, "-i", IMAGE, "cat"], { input });
      assert.equal(copied.stdout, input);

      const holes = `echo seven > seven; exec "$0" run --rm --network host --preserve-fd 7,90 ${IMAGE} ` +
        `sh -c 'cat <&7; ls /proc/self/fd' 7<seven 90<seven 12<seven`;
      const { stdout } = await cluster.run(box, ["srun", "bash", "-c", holes, DUGOUT]);
      // ls has one more for the directory that it reads
      assert.deepEqual(stdout.trim().split("\n"), ["seven", "0", "1", "2", "3", "7", "90"]);
      const none = await box.dugout(["run", "--rm", "--preserve-fds", "2", IMAGE, "true"]);
      assert.deepEqual([none.code, /Cannot pass on descriptor 3/.test(none.stderr)], [125, true]);
      const kept = await box.dugout(["run", "--preserve-fds", "1", IMAGE, "true"]);
      assert.deepEqual([kept.code, /add --rm/.test(kept.stderr)], [125, true]);

      const talk = 'echo "$SLURM_PROCID of $SLURM_NTASKS, ${HOST_ONLY:-no}"; ' +
        "echo cmd=init pmi_version=1 pmi_subversion=1 >&$PMI_FD; read -r answer <&$PMI_FD; echo $answer";
      const tasks = await cluster.run(
        box,
        ["srun", "--mpi=pmi2", "-N2", "-n4", ...RUN, "--env-job", IMAGE, "sh", "-c", talk],
        { env: { HOST_ONLY: "yes" } },
      );
      const lines = tasks.stdout.trim().split("\n").sort();
      assert.deepEqual(lines.slice(0, 4), ["0 of 4, no", "1 of 4, no", "2 of 4, no", "3 of 4, no"]);
      assert.equal(lines.filter((line) => /^cmd=response_to_init.*rc=0/.test(line)).length, 4);
    });
  },
  { skip },
);

asBoth("Slurm 6: without a runtime directory and a home, and with a /tmp of each job's own", async (box) => {
  const store = mkdtempSync("/var/tmp/dugout-test-store-");
  chownSync(store, box.user.uid, box.user.gid);
  try {
    // where the job's /tmp does not hide it
    const program = join(store, "program");
    copyFileSync(DUGOUT, program);
    await box.succeed(["--root", store, "pull", "-q", IMAGE]);
    await withCluster({ SLURM_PRIVATE_TMP: "1" }, async (cluster) => {
      const say = (word: string) => [program, "--root", store, "run", "--rm", "--network", "host", IMAGE, "echo", word];
      for (const home of [["-u", "HOME"], ["HOME=/nonexistent"]]) {
        const words = ["env", ...home, ...say("homeless")];
        const { code, stdout, stderr } = await cluster.run(box, ["srun", "-D", "/", ...words]);
        assert.deepEqual([code, stdout], [0, "homeless\n"], stderr);
      }
      // two jobs at once meet in the store alone
      const words = ["srun", "-D", "/", ...say("job")];
      const results = await Promise.all([cluster.run(box, words), cluster.run(box, words)]);
      assert.deepEqual(results.map(({ stdout }) => stdout), ["job\n", "job\n"]);
    });
    assert.equal((await box.succeed(["--root", store, "ps", "-a", "-q"])).stdout, "");
  } finally {
    await runCommand(["/bin/rm", "-rf", store]);
  }
}, { skip });

asBoth("Slurm 7: tasks of two nodes start at once on one store that was never used, and leave nothing", async (box) => {
  await withCluster({ SLURM_CPUS: "32" }, async (cluster) => {
    // the first ones pull and unpack it, all at once
    const first = await cluster.run(box, ["srun", "-N2", "-n16", ...RUN, "-q", IMAGE, "echo", "started"]);
    assert.equal(first.stdout, "started\n".repeat(16), first.stderr);
    const many = await cluster.run(box, [
      "srun",
      "-N2",
      "-n64",
      ...RUN,
      "--env-job",
      IMAGE,
      "sh",
      "-c",
      "echo $SLURM_PROCID",
    ]);
    const ranks = many.stdout.trim().split("\n").map(Number).sort((a, b) => a - b);
    assert.deepEqual(ranks, Array.from({ length: 64 }, (_, rank) => rank), many.stderr);
    assert.deepEqual(leftOf(box), []);
  });
}, { skip });

asBoth(
  "Slurm 8: oci.conf with dugout runtime serves srun and sbatch --container; state, kill and delete come as root, without the bundle",
  async (box) => {
    const root = `/tmp/dugout-tests.oci-%u-${box.path.split("-")[1]}`;
    const own = root.replace("%u", box.user.name);
    mkdirSync(own, { mode: 0o700 });
    chownSync(own, box.user.uid, box.user.gid);
    try {
      await withCluster({ OCI_RUNTIME: `${DUGOUT} runtime --root ${root}` }, async (cluster) => {
        const bundle = await makeBundle(box, "bundle", () => {});
        const srun = (...words: string[]) => cluster.run(box, ["srun", "--container", bundle, ...words]);
        const two = await cluster.run(box, [
          "srun",
          "-N2",
          "--container",
          bundle,
          "sh",
          "-c",
          "echo $(id -u) $$",
        ]);
        assert.equal(two.stdout, "0 1\n".repeat(2), two.stderr);
        assert.equal((await srun("sh", "-c", "exit 6")).code, 6);
        assert.equal(
          (await cluster.run(box, ["srun", "--container", bundle, "cat"], { input: "through\n" })).stdout,
          "through\n",
        );
        const waiting = cluster.run(box, [
          "srun",
          "-J",
          "held",
          "--container",
          bundle,
          "sh",
          "-c",
          "trap 'exit 4' TERM; echo up; while :; do sleep 0.1; done",
        ]);
        await until(
          "it runs",
          () => findProcesses("trap 'exit 4' TERM; echo up").some(({ command }) => command.startsWith("sh -c")),
        );
        await cluster.run(box, ["scancel", "-s", "TERM", "-n", "held", "-u", box.user.name]);
        assert.equal((await waiting).code, 4);
        const killed = cluster.run(box, ["srun", "-J", "killed", "--container", bundle, "sleep", "601"]);
        await until("it runs", () => findProcesses("sleep 601").some(({ command }) => command.startsWith("sleep")));
        await cluster.run(box, ["scancel", "-s", "KILL", "-n", "killed", "-u", box.user.name]);
        await killed;
        await until("it is gone", () => !findProcesses("sleep 601").some(({ command }) => command.startsWith("sleep")));
        const script = join(box.home, "job.sh");
        await box.run(["/bin/sh", "-c", `printf '#!/bin/sh\\necho batch $(id -u)\\n' > ${script}`]);
        const submitted = await cluster.run(box, [
          "sbatch",
          "-W",
          "-o",
          join(box.home, "batch.out"),
          "-e",
          "/dev/null",
          "--container",
          bundle,
          script,
        ]);
        assert.equal(submitted.code, 0, submitted.stderr);
        assert.equal(readFileSync(join(box.home, "batch.out"), "utf8"), "batch 0\n");
        await until("Slurm has deleted all states", () => readdirSync(own).length === 0);
      });
    } finally {
      rmSync(own, { recursive: true, force: true });
    }
  },
  { skip: skip || (BUSYBOX === undefined && "needs busybox") },
);

asBoth(
  "a run is submitted as a job, whose image is prepared once, and its jobs are listed, shown and cancelled",
  async (box) => {
    await withCluster({}, async (cluster) => {
      const call = (...args: string[]) => cluster.run(box, [DUGOUT, ...args]);
      const run = ["--network", "host", IMAGE, "sh", "-c"];
      const script = await call(
        "batch",
        "script",
        "--nodes",
        "2",
        "--array=0-1",
        "--time",
        "5",
        ...run,
        "echo it's $SLURM_PROCID",
      );
      assert.equal(script.code, 0, script.stderr);
      assert.match(
        script.stdout,
        /^#!\/bin\/sh\n#SBATCH --job-name=busybox\n#SBATCH --nodes=2\n#SBATCH --array=0-1\n#SBATCH --time=5\n/,
      );
      assert.match(
        script.stdout,
        /exec srun \S+ run --network host --rm --env-job \S+ sh -c 'echo it'\\''s \$SLURM_PROCID'\n$/,
      );
      assert.equal((await call("batch", "ls", "-q")).stdout, "");

      const submitted = await call(
        "run",
        "-q",
        "--batch",
        "slurm",
        "--nodes",
        "2",
        "--ntasks",
        "4",
        ...run,
        "echo task $SLURM_PROCID",
      );
      assert.match(submitted.stdout, /^[0-9]+\n$/, submitted.stderr);
      const job = submitted.stdout.trim();
      const tasks = async () =>
        (await call("batch", "logs", job)).stdout.trim().split("\n").filter((line) => line.startsWith("task")).sort();
      await until("all tasks have written", async () => (await tasks()).length === 4);
      assert.deepEqual(await tasks(), ["task 0", "task 1", "task 2", "task 3"]);

      const array = (await call("run", "--batch", "slurm", "--array", "0-2", ...run, "echo part $SLURM_ARRAY_TASK_ID"))
        .stdout.trim();
      await until(
        "all parts have written",
        async () => (await call("batch", "logs", array)).stdout.split("part").length === 4,
      );

      const long = (await call("run", "--batch", "slurm", "--job-name", "long", ...run, "sleep 602")).stdout.trim();
      const state = async () =>
        JSON.parse((await call("batch", "ls", "--format", "json")).stdout.split("\n")[0]!).State;
      await until("it runs", async () => (await state()) === "RUNNING");
      assert.deepEqual((await call("batch", "ls", "-q")).stdout.trim().split("\n"), [long, array, job]);
      assert.equal((await call("batch", "cancel", long)).stdout, `${long}\n`);
      await until("it is gone", () => !findProcesses("sleep 602").some(({ command }) => command.startsWith("s")));
      await untilSwept(box);
      for (
        const [args, words] of [
          [["run", "--nodes", "2", IMAGE], /--nodes is for jobs of a cluster/],
          [["run", "--batch", "pbs", IMAGE], /there is no batch system "pbs"/],
          [["run", "--batch", "slurm", "-it", IMAGE], /a job has no terminal/],
        ] as const
      ) {
        const { code, stderr } = await call(...args);
        assert.deepEqual([code, words.test(stderr)], [125, true], stderr);
      }
      assert.match((await call("batch", "logs", "999999")).stderr, /No such job/);
    });
  },
  { skip },
);
