/**
 * Starts containers of which one step fails, for every step, in one process: as the user that a test chose, with the
 * engine as a library.
 *
 *     inject_child.ts ROOT RUN IMAGE OUT < JSON [[name, flags, command], …]
 *
 * Prints a JSON report: see {@linkcode Report}.
 */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { describeError } from "#cli/report.ts";
import { readRun } from "#docker/read_run.ts";
import { listRecords } from "#engine/record/container_record.ts";
import { type Engine, openEngine } from "#engine/engine.ts";
import { keepsOutput } from "#engine/record/keeps_output.ts";
import { removeContainer } from "#engine/life/remove_container.ts";
import { runContainer } from "#engine/life/run.ts";
import { runKept } from "#engine/life/run_kept.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { errnoName, OsError } from "#linux/errno.ts";
import { canFail, injectFailure } from "#tape/inject.ts";
import { printTape } from "#tape/print.ts";
import { operate, type Step, type Tape } from "#tape/step.ts";

/** What one kind of container showed. */
export type Report = {
  name: string;
  /** Steps that were made to fail, those of them that were played, and those whose failure was borne. */
  tried: number;
  played: number;
  borne: number;
  /** Steps that are not played in this container: they wait for something to be missing or refused. */
  waiting: string[];
  /** Played steps whose failure did not stop the start. */
  ignored: string[];
  faults: string[];
  ms: number;
};

type Kind = [name: string, flags: Record<string, string | boolean | string[]>, command: string[]];
type Outcome = { exitCode: number } | { error: unknown };

const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;
const PATIENCE_MS = 5_000;

const [root = "", run = "", image = "", out = ""] = process.argv.slice(2);

type Before = { fds: number; mounts: string; left: Set<string> };

/** What has been left since the last look. */
async function findLeftovers(engine: Engine, before: Before): Promise<string[]> {
  const left: string[] = [];
  const names = (path: string) => {
    try {
      return readdirSync(path);
    } catch {
      return [];
    }
  };
  left.push(...names(join(engine.dataRoot, "containers")).filter((name) => name !== "names"));
  left.push(...names(join(engine.dataRoot, "containers/names")).map((name) => `name ${name}`));
  left.push(...names(join(engine.runRoot, "containers")).map((name) => `state ${name}`));
  if (readMounts() !== before.mounts) left.push("a mount");
  // a pipe that is read by events is closed when the runtime comes to it
  for (let tries = 0; tries < 100 && listFds().length > before.fds; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const fds = listFds();
  if (fds.length > before.fds) {
    left.push(`descriptors ${fds.join(" ")}`);
    before.fds = fds.length;
  }
  const news = left.filter((name) => !before.left.has(name));
  news.forEach((name) => before.left.add(name));
  return news;
}

/** Mounts in our own places: others come and go. */
function readMounts(): string {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.filter((line) => line.includes(root) || line.includes(run)).join("\n");
}

function listFds(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      // the runtime's own come and go
      return /^anon_inode|^\/proc\/self\/fd|^\/proc\/\d+\/fd/.test(target) ? [] : [`${fd}=${target}`];
    } catch {
      return [];
    }
  });
}

/** Children besides the holder of namespaces, which may stay. */
function listStragglers(): { pid: number; name: string }[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  return children.map((pid) => ({ pid: Number(pid), name: readFileSync(`/proc/${pid}/comm`, "utf8").trim() }))
    .filter(({ name }) => name !== "dugout-holder");
}

/** Waits for the children that were left to this process; what does not end is killed and told. */
async function reapStragglers(): Promise<string[]> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const result = tryCall("wait4", -1, 0, WNOHANG, 0);
    if (result < 0) return [];
    if (result > 0) continue;
    if (listStragglers().length === 0) return [];
    if (performance.now() > deadline) break;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const left = listStragglers();
  for (const { pid } of left) process.kill(pid, "SIGKILL");
  for (const { pid } of left) tryCall("wait4", pid, 0, 0, 0);
  return left.map(({ pid, name }) => `process ${pid} ${name}`);
}

async function start(engine: Engine, [, flags, command]: Kind, transformTape: (tape: Tape) => Tape): Promise<Outcome> {
  const context = {
    makeAbsolute: (path: string) => path,
    lookUp: () => undefined,
    environment: () => [],
    readFile: () => new Uint8Array(),
  };
  const { request, options } = readRun(new Map(Object.entries(flags)), [image, ...command], context);
  const [stdin, stdout] = [openSync("/etc/os-release", "r"), openSync(out, "a")];
  try {
    const streams = { stdin: stdin as Fd, stdout: stdout as Fd, stderr: stdout as Fd };
    const input = { engine, request, options, streams, transformTape };
    if (!keepsOutput(request, options)) return { exitCode: (await runContainer(input)).exitCode };
    const { end } = await runKept(input);
    return { exitCode: end.kind === "ended" ? end.exitCode : -1 };
  } catch (error) {
    return { error };
  } finally {
    closeSync(stdin);
    closeSync(stdout);
    if (!options.rm) await removeRecorded(engine);
  }
}

/** Containers that stay on record when they have ended, or could not be started. */
async function removeRecorded(engine: Engine): Promise<void> {
  for (const record of listRecords(engine.dataRoot).records) {
    await removeContainer(engine, { id: record.id, record }, { force: true, volumes: true });
  }
}

/** A step that fails whatever it says about failures: it tells whether the step is played at all. */
function failHard(tape: Tape, index: number, errno: number): Tape {
  const { label, object, id, hints } = tape.steps[index]!;
  const fail = operate("fail", [errno], label, {
    ...(object === undefined ? {} : { object }),
    ...(id === undefined ? {} : { id }),
    ...(hints === undefined ? {} : { hints }),
  });
  return { ...tape, steps: tape.steps.with(index, fail) };
}

const [ENOENT, EIO] = [2, 5];

/** The error that the step is ready for, else one that it has advice for, else EIO. */
function chooseErrno(step: Step): [number, string] {
  const ready = step.call === "execve" ? ENOENT : step.jump?.only;
  if (ready !== undefined) return [ready, errnoName(ready)];
  const errnos = Array.from({ length: 133 }, (_, index) => index + 1);
  const errno = errnos.find((number) => step.hints?.[errnoName(number)] !== undefined) ?? EIO;
  return [errno, errnoName(errno)];
}

/** Whether the error is the step's own: its label, object, code and hint, and what the command line makes of it. */
function checkError(error: unknown, step: Step, code: string): string | undefined {
  const { exitCode, text } = describeError(error, { failureExitCode: 125, debug: false });
  const own = error instanceof OsError ? error : (error as Error).cause;
  if (!(own instanceof OsError)) return `an error of another kind: ${text}`;
  const hint = step.hints?.[code] ?? step.hints?.["*"];
  if (own.call !== step.label) return `named ${own.call}`;
  if (own.object !== (step.object ?? "")) return `its object is ${own.object}`;
  if (own.code !== code) return `its code is ${own.code}`;
  if (own.hint !== hint) return `its hint is ${own.hint}`;
  if (!text.startsWith(`dugout: ${step.label}`) || (hint !== undefined && !text.includes(hint.slice(0, 40)))) {
    return text;
  }
  const isProgram = step.id === "execute";
  const wanted = !isProgram ? 125 : code === "ENOENT" || code === "ENOTDIR" ? 127 : 126;
  return exitCode === wanted ? undefined : `its exit code is ${exitCode}`;
}

/** Steps whose failure is borne by ending the container: nobody would hear of it, or of its end. */
const ENDS: Readonly<Record<string, number>> = {
  "close the streams": 125,
  "tell the pid": 125,
  "wait for the container": 125,
};

/** The monitor ends the container and itself: that the container is lost is the error. */
const EXIT_LOST = 125;

/** What process 1 does with --init when the program runs: its failure ends the container, as what it is. */
const REAPER = new Set(["wait for", "reap", "pass on", "end as"]);

const ID = /[0-9a-f]{64}/g;

async function tryKind(engine: Engine, kind: Kind, known: Set<string>): Promise<Report> {
  const started = performance.now();
  let plan: Tape | undefined;
  const first = await start(engine, kind, (tape) => plan = tape);
  if (plan === undefined || !("exitCode" in first) || first.exitCode !== 0) {
    throw new Error(`${kind[0]} does not start: ${"error" in first ? (first.error as Error).stack : first.exitCode}`);
  }
  await reapStragglers();
  const before = {
    fds: listFds().length,
    mounts: readMounts(),
    left: new Set<string>(),
  };
  await findLeftovers(engine, before);
  const { steps } = plan;
  const found = new Set<string>();
  const lines = printTape(plan);
  const report: Report = { name: kind[0], tried: 0, played: 0, borne: 0, waiting: [], ignored: [], faults: [], ms: 0 };
  for (const [index, step] of steps.entries()) {
    if (!canFail(step)) continue;
    // a step that an earlier container had as well behaves alike; within one container every step is tried
    const key = JSON.stringify([lines[index], step.object, step.jump?.to]).replaceAll(ID, "ID").replaceAll(/\d+/g, "N");
    found.add(key);
    if (known.has(key)) continue;
    report.tried++;
    const name = `step ${index} (${step.call}: ${step.label} ${step.object ?? ""})`.replaceAll(ID, "ID");
    const [errno, code] = chooseErrno(step);
    // paths of the container differ from start to start
    let played = step;
    const hard = await start(engine, kind, (tape) => {
      played = tape.steps[index]!;
      return failHard(tape, index, errno);
    });
    const bears = step.ignore === true || (step.jump?.when === "error" && (step.jump.only ?? errno) === errno);
    const left = [...await reapStragglers(), ...await findLeftovers(engine, before)];
    if (left.length > 0 && !bears) report.faults.push(`${name} left ${left.join(", ")}`);
    if ("exitCode" in hard) {
      if (hard.exitCode === 0) report.waiting.push(name);
      else if (hard.exitCode === 125 && REAPER.has(step.label)) report.played++;
      else report.faults.push(`${name} ended with ${hard.exitCode}`);
      continue;
    }
    report.played++;
    if (!bears) {
      const fault = checkError(hard.error, played, code);
      if (fault !== undefined) report.faults.push(`${name}: ${fault}`);
      continue;
    }
    report.borne++;
    // what leads to "lost" ends the container
    if (step.jump?.to !== "lost") report.ignored.push(name);
    if (step.jump?.only !== undefined) {
      // one error is expected: any other one is a failure
      const other = await start(engine, kind, (tape) => {
        played = tape.steps[index]!;
        return injectFailure(tape, index, EIO);
      });
      const fault = "error" in other ? checkError(other.error, played, "EIO") : `ended with ${other.exitCode}`;
      if (fault !== undefined) report.faults.push(`${name} with another error: ${fault}`);
    }
    const soft = await start(engine, kind, (tape) => injectFailure(tape, index, errno));
    const leftThen = [...await reapStragglers(), ...await findLeftovers(engine, before)];
    if (leftThen.length > 0) report.faults.push(`${name}, borne, left ${leftThen.join(", ")}`);
    const { text, exitCode } = "error" in soft
      ? describeError(soft.error, { failureExitCode: 125, debug: false })
      : { text: soft.exitCode, exitCode: soft.exitCode };
    const isFound = exitCode === (step.jump?.to === "lost" ? EXIT_LOST : ENDS[`${step.label} ${step.object}`] ?? 0) ||
      (step.call === "execve" && exitCode === 127) ||
      // what is said to be there and is not; what this machine has nowhere
      (step.jump?.only !== undefined && exitCode === 125 && String(text).includes(`${step.object}: ENOENT`)) ||
      // a file that is said to be none is no directory either
      (step.label === "mask file" && String(text).includes("mask directory"));
    if (!isFound) {
      report.faults.push(`${name} (${code}) is said to be borne, but: ${text}`.replaceAll(ID, "ID"));
    }
  }
  found.forEach((key) => known.add(key));
  report.ms = performance.now() - started;
  return report;
}

async function main(): Promise<void> {
  tryCall("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const engine = openEngine({ root, run });
  const known = new Set<string>();
  const kinds = JSON.parse(readFileSync(0, "utf8")) as Kind[];
  for (const kind of kinds) process.stdout.write(`${JSON.stringify(await tryKind(engine, kind, known))}\n`);
}

void main();
