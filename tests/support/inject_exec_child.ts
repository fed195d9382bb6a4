/**
 * Enters a container again and again, with another step of the tape failing each time: as the user that a test chose, with the
 * engine as a library.
 *
 *     inject_exec_child.ts ROOT RUN CONTAINER
 *
 * Prints a JSON report: see {@linkcode ExecReport}.
 */
import { closeSync, openSync, readdirSync } from "node:fs";
import { readExec } from "#docker/exec_request.ts";
import { listProcesses } from "#engine/inside/container_processes.ts";
import { type ExecEnd, execInContainer } from "#engine/inside/exec.ts";
import { findQuickly } from "#engine/record/exec_target.ts";
import type { ContainerState } from "#engine/record/container_state.ts";
import type { Fd } from "#linux/call.ts";
import { OsError } from "#linux/errno.ts";
import { canFail, injectFailure } from "#tape/inject.ts";
import type { Tape } from "#tape/step.ts";

/** What was seen. */
export type ExecReport = { tried: number; stopped: number; faults: string[]; leftProcesses: number; leftFds: number };

const EIO = 5;
const [root = "", run = "", container = ""] = process.argv.slice(2);
const places = { dataRoot: root, runRoot: run };

type Outcome = ExecEnd | { kind: "failed"; error: unknown };

async function enter(tty: boolean, transformTape: (tape: Tape) => Tape): Promise<Outcome> {
  const { request, options } = readExec(new Map([["tty", tty]]), ["true"], {
    lookUp: () => undefined,
    readFile: () => new Uint8Array(),
  });
  const out = openSync("/dev/null", "w");
  const input = openSync("/etc/os-release", "r");
  try {
    return await execInContainer({
      places,
      container,
      request,
      options,
      streams: { stdin: input as Fd, stdout: out as Fd, stderr: out as Fd },
      size: { rows: 24, columns: 80 },
      signals: undefined,
      findSlowly: () => {
        throw new Error("The container does not run");
      },
      transformTape,
    });
  } catch (error) {
    return { kind: "failed", error };
  } finally {
    closeSync(out);
    closeSync(input);
  }
}

function countProcesses(): number {
  return listProcesses(findQuickly(places, container) as ContainerState, false).length;
}

function countFds(): number {
  return readdirSync("/proc/self/fd").length;
}

async function tryAll(tty: boolean): Promise<ExecReport> {
  let planned: Tape | undefined;
  const first = await enter(tty, (tape) => planned = tape);
  if (first.kind !== "ended" || first.exitCode !== 0 || planned === undefined) {
    throw new Error(
      `exec does not work: ${JSON.stringify(first)} ${first.kind === "failed" ? String(first.error) : ""}`,
    );
  }
  const before = { processes: countProcesses(), fds: countFds() };
  const report: ExecReport = { tried: 0, stopped: 0, faults: [], leftProcesses: 0, leftFds: 0 };
  const joins = planned.steps.findIndex(({ call }) => call === "setns");
  for (const [index, step] of planned.steps.entries()) {
    // those are not played, or the last that is
    if (!canFail(step) || step.call === "fail" || step.call === "exit_group") continue;
    report.tried++;
    const outcome = await enter(tty, (tape) => injectFailure(tape, index, EIO));
    const name = `step ${index} (${step.call}: ${step.label} ${step.object ?? ""})`;
    if (outcome.kind === "failed") {
      report.stopped++;
      const own = outcome.error instanceof OsError ? outcome.error : (outcome.error as Error).cause;
      const isLost = (outcome.error as { code?: string }).code === "MONITOR_LOST";
      if (isLost && (step.jump?.to === "lost" || step.label === "tell")) continue;
      if (!(own instanceof OsError) || own.call !== step.label) report.faults.push(`${name}: ${String(outcome.error)}`);
      continue;
    }
    const isBorne = step.ignore === true || step.jump?.when === "error";
    // a program may be over before its copiers have begun, which are ended then
    const isCopier = step.call === "close_range" && index < joins;
    if (!isBorne && !isCopier) report.faults.push(`${name} did not stop it`);
  }
  // what was killed takes a moment to go
  for (let tries = 0; tries < 100 && (countProcesses() > before.processes || countFds() > before.fds); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  report.leftProcesses = countProcesses() - before.processes;
  report.leftFds = countFds() - before.fds;
  return report;
}

async function main(): Promise<void> {
  for (const tty of [false, true]) process.stdout.write(`${JSON.stringify(await tryAll(tty))}\n`);
}

void main();
