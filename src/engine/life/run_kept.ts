/**
 * Running a container whose output is kept: it is made, started, and the caller leaves it or stays with it.
 *
 * @module
 */
import { type Fd } from "#linux/call.ts";
import { readTerminalSize } from "#linux/terminal.ts";
import { openParentNamespace } from "#runtime/holder/parent_namespace.ts";
import type { ContainerId } from "../record/container_id.ts";
import { createContainer } from "./create_container.ts";
import { containerEvent, type EventSubject, noteEvent } from "../events/events.ts";
import { HOST_ARCH } from "#linux/arch.ts";
import { encodeTape } from "#tape/encode.ts";
import { isRememberable, rememberPlan } from "../again/remember.ts";
import { makeRecord, recordMounts } from "../record/container_record.ts";
import { whereabouts } from "../record/whereabouts.ts";
import { findFooting, type Footing } from "./footing.ts";
import { holdSignals } from "../streams/foreground.ts";
import { withContainerLock } from "../record/lock_container.ts";
import { asNew, type Plan, rootMode, startNotices, unmakeContainer } from "./make_container.ts";
import { openPidfile } from "../record/pidfile.ts";
import { hasCgroup2, parentMap, prepareContainer } from "../prepare/prepare.ts";
import type { RunInput } from "./run.ts";
import { monitorTape, startKept } from "./start_container.ts";
import { leaveContainer, type StayEnd, stayWithContainer } from "./stay_with_container.ts";

/** What became of a run. */
export type KeptRunEnd = StayEnd | { readonly kind: "left" };

/** The size of the terminal that the caller sits at. */
export function callersTerminalSize(): { rows: number; columns: number } | undefined {
  return readTerminalSize(0 as Fd) ?? readTerminalSize(1 as Fd);
}

/**
 * Makes a container and starts it.
 * @throws {DugoutError | OsError} When it could not be made, nothing of it is left; when it could not be started, it stays
 * on record, unless it was to go at its end.
 */
export async function runKept(input: RunInput): Promise<{ id: ContainerId; end: KeptRunEnd }> {
  const { engine, request, options } = input;
  // before anything is read that it is about
  const footing = options.detach ? await findFooting(input) : undefined;
  // ids are mapped by programs of the system while we plan
  const parent = parentMap(engine, request);
  using held = parent === undefined ? undefined : openParentNamespace(engine.runRoot, parent);
  const { plan, subject, mounts } = await createContainer(input, () => held?.mapIds());
  const { directory } = plan;
  // docker's order (C-122)
  if (!options.detach) noteEvent(engine, containerEvent(subject, "attach"));
  const pidfile = options.pidfile === undefined ? undefined : openPidfile(options.pidfile);
  const signals = options.detach || !options.sigProxy ? undefined : holdSignals();
  let started;
  try {
    started = await withContainerLock(engine, directory.id, () =>
      startKept({
        engine,
        request,
        options,
        plan,
        mounts,
        subject,
        isNew: true,
        restartCount: 0,
        stdin: options.detach || options.tty ? undefined : input.streams.stdin,
        terminal: callersTerminalSize(),
        outlivesCaller: options.detach,
        held,
        pidfile,
        transformTape: input.transformTape,
      }));
  } catch (error) {
    signals?.release();
    pidfile?.remove();
    if (options.rm) await unmakeContainer(input, plan, subject.name);
    throw error;
  }
  input.started?.({ id: directory.id, name: subject.name, running: started.running });
  if (options.detach) {
    await leaveContainer(engine, directory, started);
    // where there are groups to be had, each container gets one of its own, by asking somebody for it
    if (footing !== undefined && !hasCgroup2() && isRememberable(request, options, plan.root)) {
      keepPlan(input, plan, footing, subject);
    }
    return { id: directory.id, end: { kind: "left" } };
  }
  const { interactive, tty, detachKeys } = options;
  const { stdout, stderr } = input.streams;
  const end = await stayWithContainer(engine, directory, started, {
    streams: { stdout, stderr },
    terminal: tty ? { interactive, detachKeys } : undefined,
    signals,
  });
  if (end.kind === "ended") plan.limits?.leaveGroup(directory.id);
  return { id: directory.id, end };
}

/** Plans once more, without a user namespace that somebody holds, and keeps that. */
function keepPlan(input: RunInput, plan: Plan, footing: Footing, { name, labels }: EventSubject): void {
  const { engine, request, options } = input;
  const { directory, root, map } = plan;
  const prepared = prepareContainer({
    engine,
    request,
    ...plan,
    mounts: [],
    stdio: { kind: "inherit", relays: [] },
    keepsOutput: true,
    outlivesCaller: true,
    guardTerminal: false,
    terminal: undefined,
  });
  const made = makeRecord({
    id: directory.id,
    name,
    request,
    options,
    root,
    map,
    mounts: recordMounts(request.mounts),
  });
  rememberPlan(engine, {
    ...footing,
    directory,
    request,
    options,
    rootMode: rootMode(root),
    streams: [false, false, false],
    relays: [],
    hasTerminal: false,
    // in the order in which it is written when it is made and then started
    record: { ...asNew(made, input.typed), isNew: false, startedMs: 0, restartCount: 0, ...whereabouts() },
    labels,
    notices: startNotices(request, plan),
    prepared,
    monitor: encodeTape(monitorTape(input, prepared), HOST_ARCH),
  });
}
