import { readFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { addressOf, allocate } from "#ffi/mod.ts";
import { call, type Fd } from "#linux/call.ts";
import { close, O_RDWR, openAt } from "#linux/file.ts";
import { spawn } from "#linux/spawn.ts";

/** How one contender of a measurement is run. */
export type Contender = {
  name: string;
  argv: readonly string[];
  /** Run before each round, outside of the measured time. */
  before?: readonly string[];
  env?: Readonly<Record<string, string>>;
};

/** What one run took, of the clock and of the processors, and the most memory that one of its processes held. */
export type Run = { ms: number; cpuMs: number; peakBytes: number };

/** What the rounds of one contender gave, in the order in which they ran. */
export type Sample = { name: string; runs: Run[] };

// struct rusage (getrusage(2)): two timevals, then ru_maxrss in kilobytes
const RUSAGE = { userTime: 0, systemTime: 16, maxRss: 32, SIZE: 144 } as const;

/**
 * Runs all contenders in turn, round by round, so that whatever else the machine does hits them alike. A round before the
 * counted ones warms caches.
 */
export function measureInTurn(contenders: readonly Contender[], rounds: number): Sample[] {
  const samples = contenders.map(({ name }): Sample => ({ name, runs: [] }));
  for (let round = -1; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      if (contender.before) runOrFail(contender.before);
      const run = measureOnce(contender);
      if (round >= 0) samples[index]?.runs.push(run);
    }
  }
  return samples;
}

/**
 * From before posix_spawn to the end of wait4, with /dev/null for all three streams: under 0.3 ms of it is ours.
 * @throws {Error} When the program does not end with 0.
 */
export function measureOnce({ name, argv, env }: Contender): Run {
  const [program = ""] = argv;
  const environment = Object.entries({ ...process.env, ...env }).map(([key, value]) => `${key}=${value}`);
  const nothing = openAt(-100 as Fd, "/dev/null", O_RDWR);
  const status = allocate(4);
  const usage = allocate(RUSAGE.SIZE);
  try {
    const fds = [0, 1, 2].map((child) => ({ child, ours: nothing }));
    const started = performance.now();
    const pid = spawn({ path: findProgram(program), argv, env: environment, fds });
    call("wait4", name, pid, addressOf(status), 0, addressOf(usage));
    const ms = performance.now() - started;
    const code = new DataView(status.buffer).getInt32(0, true);
    if (code !== 0) throw new Error(`${argv.join(" ")}: wait status ${code}: ${explain(argv, env)}`);
    const view = new DataView(usage.buffer);
    const word = (at: number) => Number(view.getBigInt64(at, true));
    const timeMs = (at: number) => word(at) * 1000 + word(at + 8) / 1000;
    return {
      ms,
      cpuMs: timeMs(RUSAGE.userTime) + timeMs(RUSAGE.systemTime),
      peakBytes: word(RUSAGE.maxRss) * 1024,
    };
  } finally {
    close(nothing);
  }
}

/** Runs it once more to see what it says. */
function explain(argv: readonly string[], env: Contender["env"]): string {
  const [program = "", ...args] = argv;
  const { stdout, stderr } = spawnSync(program, args, { env: { ...process.env, ...env }, encoding: "utf8" });
  return `${stdout}${stderr}`;
}

function findProgram(name: string): string {
  return name.startsWith("/") ? name : runOrFail(["/bin/sh", "-c", 'command -v "$0"', name]).trim();
}

export function runOrFail(argv: readonly string[]): string {
  const [program = "", ...args] = argv;
  const result = spawnSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  if (result.status !== 0) throw new Error(`${argv.join(" ")} exited with ${result.status}: ${result.stderr}`);
  return result.stdout;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (low === undefined || high === undefined) throw new RangeError("There is no median of nothing");
  return (low + high) / 2;
}

export function medianMs(sample: Sample): number {
  return median(sample.runs.map(({ ms }) => ms));
}

export function medianCpuMs(sample: Sample): number {
  return median(sample.runs.map(({ cpuMs }) => cpuMs));
}

export function peakBytes(sample: Sample): number {
  return Math.max(...sample.runs.map((run) => run.peakBytes));
}

/** What figures need beside them to be read later: processor, cores, kernel. */
export function describeMachine(): string {
  const info = readFileSync("/proc/cpuinfo", "utf8");
  const model = /^model name\s*: (.*)$/m.exec(info)?.[1] ?? process.arch;
  const cores = info.match(/^processor\s*:/gm)?.length ?? 1;
  return `${model}, ${cores} cores, Linux ${readFileSync("/proc/sys/kernel/osrelease", "utf8").trim()}`;
}
