import { parseDetachKeys } from "#docker/detach_keys.ts";
import { readRun } from "#docker/read_run.ts";
import { DEFAULT_DETACH_KEYS } from "#docker/run_request.ts";
import { attachContainer } from "#engine/life/attach_container.ts";
import { findContainer } from "#engine/record/containers.ts";
import { createContainer } from "#engine/life/create_container.ts";
import { openEngine } from "#engine/engine.ts";
import { holdSignals } from "#engine/streams/foreground.ts";
import { readKeptRequest } from "#engine/life/kept_container.ts";
import { restartContainer } from "#engine/life/restart_container.ts";
import { callersTerminalSize } from "#engine/life/run_kept.ts";
import { startAgain } from "#engine/life/start_again.ts";
import { leaveContainer, stayWithContainer } from "#engine/life/stay_with_container.ts";
import type { Fd } from "#linux/call.ts";
import { isTerminal } from "#linux/terminal.ts";
import { DugoutError } from "#oci/error.ts";
import { openContainerContext, warn } from "../context.ts";
import { forEachName, isRunning, readStopOptions, recordOf } from "./containers.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, switchOption, textOption } from "../options.ts";
import { printOut } from "../output.ts";
import type { Options } from "../scan.ts";
import { reportError } from "../report.ts";
import { usageError } from "../usage_error.ts";
import { withLatest } from "./latest.ts";
import { createRunContext, fetchImage, reportStay } from "./run.ts";

/** `dugout create` */
export async function runCreate(invocation: Invocation): Promise<number> {
  const { options, args, global } = invocation;
  const context = createRunContext();
  const read = readRun(options, args, context);
  const replaces = hasSwitch(options, "replace");
  if (replaces && read.options.name === undefined) throw usageError("--replace needs --name", 125, "add --name");
  const engine = openEngine({ ...global, warn: (message) => warn(global, message) });
  if (replaces) await (await import("#engine/life/replace_container.ts")).replaceContainer(engine, read.options.name!);
  const { plan } = await createContainer({
    engine,
    ...read,
    typed: context.isUsed() ? undefined : invocation.words,
    fetchImage: (name) => fetchImage(invocation, read, name),
  });
  printOut(`${plan.directory.id}\n`);
  return 0;
}

/** `dugout start` */
export async function runStart(invocation: Invocation): Promise<number> {
  const { options, args } = invocation;
  if (!hasSwitch(options, "attach") && !hasSwitch(options, "interactive")) {
    const exitCode = await forEachName(invocation, async (engine, name) => {
      const outcome = await startAgain(engine, recordOf(findContainer(engine, name)));
      if (outcome.kind === "started") {
        await leaveContainer(engine, outcome.container.plan.directory, outcome.started);
      }
      return name;
    }, { all: (container) => !isRunning(container) });
    // docker's, also of a program that is not found
    return exitCode === 0 ? 0 : 1;
  }
  if (args.length > 1) {
    throw new DugoutError("USAGE", "you cannot start and attach multiple containers at once", { exitCode: 1 });
  }
  return await startAttached(invocation, args[0] ?? "");
}

/** Starts a container and stays with it. @returns Its exit code. */
async function startAttached({ options, global }: Invocation, name: string): Promise<number> {
  const engine = await openContainerContext(global);
  const record = recordOf(findContainer(engine, name));
  const { options: kept } = readKeptRequest(record);
  const reads = hasSwitch(options, "interactive") && kept.interactive;
  if (reads && kept.tty && !isTerminal(0 as Fd)) {
    throw usageError("the input device is not a TTY", 1, "leave out -i");
  }
  const signals = switchOption(options, "sig-proxy") === false ? undefined : holdSignals();
  let outcome;
  try {
    outcome = await startAgain(engine, record, {
      stdin: reads && !kept.tty ? 0 as Fd : undefined,
      terminal: callersTerminalSize(),
      isAttached: true,
    });
  } catch (error) {
    signals?.release();
    return Math.min(1, reportError(error, { failureExitCode: 1, debug: global.debug }));
  }
  const streams = { stdout: 1 as Fd, stderr: 2 as Fd };
  const detachKeys = readDetachKeys(options);
  // docker attaches to what runs already
  if (outcome.kind === "running") {
    return reportStay(await attachContainer(engine, record, { streams, reads, detachKeys, signals }));
  }
  const end = await stayWithContainer(engine, outcome.container.plan.directory, outcome.started, {
    streams,
    terminal: kept.tty ? { interactive: reads, detachKeys } : undefined,
    signals,
  });
  return reportStay(end);
}

/** `dugout attach` */
export async function runAttach({ options, args, global }: Invocation): Promise<number> {
  const engine = await openContainerContext(global);
  const record = recordOf(findContainer(engine, withLatest(engine, { options, args })[0] ?? ""));
  const reads = !hasSwitch(options, "no-stdin");
  const signals = switchOption(options, "sig-proxy") === false ? undefined : holdSignals();
  const end = await attachContainer(engine, record, {
    streams: { stdout: 1 as Fd, stderr: 2 as Fd },
    reads,
    detachKeys: readDetachKeys(options),
    signals,
  });
  return reportStay(end);
}

function readDetachKeys(options: Options): readonly number[] {
  const keys = textOption(options, "detach-keys");
  return keys === undefined ? DEFAULT_DETACH_KEYS : parseDetachKeys(keys);
}

/** `dugout restart` */
export async function runRestart(invocation: Invocation): Promise<number> {
  const stop = readStopOptions(invocation);
  const exitCode = await forEachName(invocation, async (engine, name) => {
    await restartContainer(engine, recordOf(findContainer(engine, name)), stop);
    return name;
  }, { all: () => true });
  return exitCode === 0 ? 0 : 1;
}
