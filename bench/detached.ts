/** Containers that live on, beside podman: the time until `run -d` returns, memory, output through the log, `stop`. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Contender, measureInTurn, runOrFail } from "./support/measure.ts";
import { formatMiB, printSamples, printTargets } from "./support/report.ts";
import { DUGOUT, REGISTRY, unpackBusybox, withDirectory } from "./support/setting.ts";

const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 20);
const HEAVY_ROUNDS = Math.max(3, Math.round(ROUNDS / 5));
const IDLE = Number(process.env["BENCH_IDLE"] ?? 100);
const BYTES = 1_000_000_000;

const IMAGE = `${REGISTRY}/busybox`;
const ENGINES = [["dugout", DUGOUT], ["podman", "podman"]] as const;
const WRITE = `yes 0123456789012345678901234567890123456789 | head -c ${BYTES}`;

await withDirectory((path) => {
  runOrFail([DUGOUT, "pull", "-q", IMAGE]);
  runOrFail(["podman", "pull", "-q", "--tls-verify=false", IMAGE]);
  try {
    measureRun();
    measureStop();
    measureOutput();
    measurePipe(path);
    measureMemory();
  } finally {
    for (const [, program] of ENGINES) runOrFail(removeAll(program));
  }
});

/** Removes all containers of an engine; outside of the measured time. */
function removeAll(program: string): string[] {
  return ["sh", "-c", `ids=$("$0" ps -aq); test -z "$ids" || "$0" rm -f $ids >/dev/null`, program];
}

function run(program: string, flags: readonly string[], ...command: string[]): string[] {
  return [program, "run", "--network", "none", ...flags, IMAGE, ...command];
}

function measureRun(): void {
  const contenders = ENGINES.map(([name, program]): Contender => ({
    name,
    argv: run(program, ["-d"], "sleep", "600"),
    before: removeAll(program),
  }));
  const samples = measureInTurn(contenders, ROUNDS);
  printSamples("`run -d --network none busybox sleep 600`, until it returns", samples);
  printTargets(samples, [{ ours: "dugout", peer: "podman", atMost: 0.2 }]);
}

function measureStop(): void {
  const contenders = ENGINES.map(([name, program]): Contender => ({
    name,
    argv: [program, "stop", "bench"],
    before: [
      "sh",
      "-c",
      `"$0" rm -f bench >/dev/null 2>&1; "$@" >/dev/null; until "$0" logs bench | grep -q ready; do sleep 0.05; done`,
      program,
      ...run(
        program,
        ["-d", "--name", "bench"],
        "sh",
        "-c",
        "trap exit TERM; echo ready; while :; do sleep 0.01; done",
      ),
    ],
  }));
  printSamples("`stop` of a program that ends on SIGTERM within 10 ms", measureInTurn(contenders, ROUNDS));
}

function measureOutput(): void {
  const flags = { dugout: ["-d"], podman: ["-d", "--log-driver", "k8s-file"] };
  const contenders = ENGINES.map(([name, program]): Contender => ({
    name,
    argv: ["sh", "-c", `id=$("$@") && "$0" wait $id`, program, ...run(program, flags[name], "sh", "-c", WRITE)],
    before: removeAll(program),
  }));
  const samples = measureInTurn(contenders, HEAVY_ROUNDS);
  printSamples(`${BYTES / 1e9} GB through the log`, samples);
  printTargets(samples, [{ ours: "dugout", peer: "podman", atMost: 0.5 }]);
}

function measurePipe(path: string): void {
  const rootfs = join(path, "rootfs");
  unpackBusybox(rootfs);
  const through = (name: string, argv: readonly string[]): Contender => ({
    name,
    argv: ["sh", "-c", `"$@" | cat >/dev/null`, "sh", ...argv],
  });
  const samples = measureInTurn([
    through("dugout run --rm", run(DUGOUT, ["--rm"], "sh", "-c", WRITE)),
    through("the bare command", [join(rootfs, "bin/busybox"), "sh", "-c", WRITE]),
  ], HEAVY_ROUNDS);
  printSamples(`${BYTES / 1e9} GB through a pipe, in the foreground`, samples);
}

/** Our and the peer's processes that an idle container needs besides its program. */
function measureMemory(): void {
  console.log(`\n### ${IDLE} idle containers in the background\n\n| | summed PSS | processes |\n| --- | --- | --- |`);
  for (const [name, program] of ENGINES) {
    runOrFail(removeAll(program));
    const before = new Set(listProcesses().map(({ pid }) => pid));
    const started = startIdle(program);
    const added = listProcesses().filter(({ pid, command }) => !before.has(pid) && command !== "sleep");
    const sum = added.reduce((total, { pssBytes }) => total + pssBytes, 0);
    const names = [...new Set(added.map(({ command }) => command))].join(", ");
    console.log(`| ${name}, ${started} containers | ${formatMiB(sum)} | ${added.length}: ${names} |`);
  }
}

/** Starts as many as asked for, or as can be had: runc takes a keyring each, of which a user has 200. */
function startIdle(program: string): number {
  for (let started = 0; started < IDLE; started++) {
    try {
      runOrFail(run(program, ["-d"], "sleep", "600"));
    } catch (error) {
      if (program === DUGOUT || started === 0) throw error;
      return started;
    }
  }
  return IDLE;
}

function listProcesses(): { pid: string; command: string; pssBytes: number }[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1];
      const command = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
      return kilobytes === undefined ? [] : [{ pid, command, pssBytes: Number(kilobytes) * 1024 }];
    } catch {
      // another user's, or it has just ended
      return [];
    }
  });
}
