import { readFileSync } from "node:fs";
import {
  type Container,
  findContainer,
  type FoundContainer,
  listContainers,
  lookForContainer,
} from "#engine/record/containers.ts";
import type { ContainerRecord } from "#engine/record/container_record.ts";
import type { Engine } from "#engine/engine.ts";
import {
  compileContainerFilter,
  LIST_CONTAINER_FILTERS,
  parseContainerFilters,
  PRUNE_CONTAINER_FILTERS,
} from "#engine/describe/filter_containers.ts";
import { pruneContainers, type PrunedContainers } from "#engine/life/prune_containers.ts";
import { removeContainer } from "#engine/life/remove_container.ts";
import { renameContainer } from "#engine/life/rename_container.ts";
import { waitForExitCode } from "#engine/life/signal_container.ts";
import { wakeKeeper } from "#engine/keeper/keeper_lock.ts";
import { restartPolicyOf } from "#engine/keeper/restart_policy.ts";
import { findDependents } from "#engine/record/dependents.ts";
import { noteStop } from "#engine/record/stop_marks.ts";
import { killContainer, stopContainer, type StopOptions } from "#engine/life/stop_container.ts";
import { parseSignal, SIGNALS } from "#linux/signals.ts";
import { DugoutError } from "#oci/error.ts";
import { escapeText, quote } from "#oci/text.ts";
import { askYesNo } from "../ask.ts";
import { openContainerContext } from "../context.ts";
import { humanSize } from "../format/units.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, listOption, textOption } from "../options.ts";
import type { Options } from "../scan.ts";
import { printError, printOut } from "../output.ts";
import { reportError } from "../report.ts";
import { usageError } from "../usage_error.ts";
import { withLatest } from "./latest.ts";

/** `dugout rm` */
export async function runRemoveContainers(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const force = hasSwitch(options, "force");
  const volumes = hasSwitch(options, "volumes");
  const time = textOption(options, "time");
  if (time !== undefined && !force) throw usageError("--time is for --force", 125, "add --force");
  const removeOne = async (engine: Engine, found: FoundContainer): Promise<void> => {
    if (time !== undefined && found.record !== undefined) {
      await stopContainer(engine, found.record, { signal: undefined, timeoutSeconds: Number(time) });
    }
    // whoever ran it with --rm may have removed it then
    if (time === undefined || lookForContainer(engine, found.id) !== undefined) {
      await removeContainer(engine, found, { force, volumes });
    }
  };
  return await forEachName(invocation, async (engine, name) => {
    const found = force ? lookForContainer(engine, name) : findContainer(engine, name);
    if (found === undefined) {
      // docker tells, and succeeds
      if (!hasSwitch(options, "ignore")) printError(`dugout: No such container: ${escapeText(name, 300)}\n`);
      return undefined;
    }
    const dependents = hasSwitch(options, "depend") ? findDependents(engine, found.id) : [];
    for (const record of dependents) await removeOne(engine, { id: record.id, record });
    await removeOne(engine, found);
    return [...dependents.map(({ id }) => id), name].join("\n");
  }, { all: () => true });
}

/** `dugout kill` */
export async function runKill(invocation: Invocation): Promise<number> {
  const signal = readSignal(textOption(invocation.options, "signal") ?? "SIGKILL");
  return await forEachName(invocation, (engine, name) => {
    const record = recordOf(findContainer(engine, name));
    // before it ends: its restart policy leaves it alone then. Other signals may mean anything
    if (signal === SIGNALS.KILL || signal === (record.stopSignal ?? SIGNALS.TERM)) noteStop(engine, record.id);
    killContainer(engine, record, signal);
    return name;
  }, { all: isRunning });
}

/** `dugout stop`: all are asked at once. */
export async function runStop(invocation: Invocation): Promise<number> {
  const stop = readStopOptions(invocation);
  return await forEachName(invocation, async (engine, name) => {
    const record = recordOf(findContainer(engine, name));
    noteStop(engine, record.id);
    await stopContainer(engine, record, stop);
    if (restartPolicyOf(record).kind !== "no") wakeKeeper(engine);
    return name;
  }, { all: isAtWork, isAtOnce: true });
}

/** `dugout wait` */
export async function runWait(invocation: Invocation): Promise<number> {
  return await forEachName(
    invocation,
    async (engine, name) => String(await waitForExitCode(engine, recordOf(findContainer(engine, name)))),
    { isAtOnce: true },
  );
}

/** `dugout rename` */
export async function runRename({ args, global }: Invocation): Promise<number> {
  const engine = await openContainerContext(global);
  const [name = "", wanted = ""] = args;
  await renameContainer(engine, recordOf(findContainer(engine, name)), wanted);
  return 0;
}

/** `dugout container prune` */
export async function runPruneContainers({ options, global }: Invocation): Promise<number> {
  const filter = parseContainerFilters(listOption(options, "filter"), PRUNE_CONTAINER_FILTERS);
  const engine = await openContainerContext(global);
  if (
    !hasSwitch(options, "force") &&
    !askYesNo("WARNING! This will remove all stopped containers.\nAre you sure you want to continue?")
  ) return 0;
  const pruned = await pruneContainers(engine, compileContainerFilter(engine, filter, Date.now()));
  tellPruned(pruned);
  printOut(`Total reclaimed space: ${humanSize(pruned.freedBytes)}\n`);
  return reportAll(pruned.errors, global.debug);
}

/** Docker's list of what was removed. */
export function tellPruned({ ids }: PrunedContainers): void {
  if (ids.length > 0) printOut(`Deleted Containers:\n${ids.join("\n")}\n\n`);
}

/** @returns The exit code. */
export function reportAll(errors: readonly unknown[], debug: boolean): number {
  return errors.reduce<number>((_, error) => reportError(error, { failureExitCode: 1, debug }), 0);
}

/** `--signal` and `--timeout` of `stop` and `restart`. */
export function readStopOptions({ options }: Invocation): StopOptions {
  const signal = textOption(options, "signal");
  const timeout = textOption(options, "timeout") ?? textOption(options, "time");
  return {
    signal: signal === undefined ? undefined : readSignal(signal),
    timeoutSeconds: timeout === undefined ? undefined : Number(timeout),
  };
}

/** How containers are gone through. */
export interface EachRules {
  /** Which containers `--all` means; undefined where there is no such flag. */
  readonly all?: (container: Container) => boolean;
  /** Not one after the other. */
  readonly isAtOnce?: boolean;
}

/** What `--all` of commands that end containers means. */
export function isRunning({ status }: Container): boolean {
  return status.kind === "running";
}

/** The same for one that is about to run again, which can be stopped as well. */
function isAtWork(container: Container): boolean {
  const { status } = container;
  return isRunning(container) || (status.kind === "exited" && status.isRestarting === true);
}

/**
 * Does what it can, reports the rest, and fails then.
 * @param act What is printed of one; undefined for nothing.
 */
export async function forEachName(
  { args, options, global }: Invocation,
  act: (engine: Engine, name: string) => string | undefined | Promise<string | undefined>,
  rules: EachRules = {},
): Promise<number> {
  const engine = await openContainerContext(global);
  const names = rules.all === undefined
    ? withLatest(engine, { options, args })
    : chooseNames(engine, args, options, rules.all);
  const ignoresMissing = hasSwitch(options, "ignore");
  let exitCode = 0;
  const one = async (name: string): Promise<void> => {
    try {
      const line = await act(engine, name);
      if (line !== undefined) printOut(`${line}\n`);
    } catch (error) {
      if (ignoresMissing && error instanceof DugoutError && error.code === "CONTAINER_UNKNOWN") return;
      exitCode = reportError(error, { failureExitCode: 1, debug: global.debug });
    }
  };
  if (rules.isAtOnce === true) await Promise.all(names.map(one));
  else for (const name of names) await one(name);
  return exitCode;
}

/** The names that were typed, and those that `--all`, `--latest` and `--cidfile` stand for. */
function chooseNames(
  engine: Engine,
  args: readonly string[],
  options: Options,
  fits: (container: Container) => boolean,
): string[] {
  const files = listOption(options, "cidfile").map(readIdFile);
  const isAll = hasSwitch(options, "all");
  const isLatest = hasSwitch(options, "latest");
  const filters = listOption(options, "filter");
  if (!isAll && !isLatest && filters.length === 0) return [...args, ...files];
  if (args.length > 0 || files.length > 0 || (isAll && isLatest)) {
    throw usageError("--all, --filter, --latest and names of containers exclude each other", 125, "");
  }
  const { containers } = listContainers(engine);
  const passes = compileContainerFilter(engine, parseContainerFilters(filters, LIST_CONTAINER_FILTERS), Date.now());
  return (!isLatest ? containers.filter((container) => fits(container) && passes(container)) : containers.slice(0, 1))
    .map(({ record }) => record.id);
}

function readIdFile(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw usageError(`Cannot read the --cidfile ${quote(path)}: ${(error as NodeJS.ErrnoException).code}`, 125, "");
  }
}

/** A container that can be used. @throws {DugoutError} CONTAINER_DAMAGED. */
export function recordOf({ id, record }: FoundContainer): ContainerRecord {
  if (record !== undefined) return record;
  throw new DugoutError("CONTAINER_DAMAGED", `Cannot use the container "${id.slice(0, 12)}": its record is damaged`, {
    exitCode: 1,
    hint: `'dugout rm -f ${id.slice(0, 12)}' removes it`,
  });
}

function readSignal(text: string): number {
  const signal = parseSignal(text);
  if (signal === undefined) throw usageError(`there is no signal ${quote(text)}`, 1, "for example TERM, SIGHUP or 9");
  return signal;
}
