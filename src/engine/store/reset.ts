/**
 * `system reset`: everything of a store goes, whatever state it is in. So nothing here opens the store or believes what is
 * in it: containers are found by their processes, and files are removed by name from the top, by descriptors, following no
 * link.
 *
 * @module
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { SIGNALS } from "#linux/signals.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { close } from "#linux/file.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { chooseIdMap, loadIdentity } from "#runtime/identity.ts";
import { holderDirectory } from "#runtime/holder/holder_record.ts";
import { RECORD_FD } from "#runtime/holder/record_fd.ts";
import { CONTAINER_FD } from "#runtime/monitor_fds.ts";
import { STATE_FD } from "#runtime/setup.ts";
import { listDirectory } from "#storage/content.ts";
import { delay } from "#storage/delay.ts";
import { checkOwnDirectory, errorCode } from "#storage/private_dir.ts";
import { removePath } from "#storage/remove_tree.ts";
import { isStateOf } from "../record/container_directory.ts";
import type { EngineOptions } from "../engine.ts";
import { keeperDirectory } from "../keeper/keeper_lock.ts";
import { dataRootPath, openRunRoot } from "../paths.ts";
import { readStartTime } from "#linux/proc.ts";
import { runInWorker } from "../worker.ts";

/** What is to go. */
export interface ResetPlaces {
  /** As it was named; it may be a link. */
  readonly named: string;
  /** The store itself; undefined where there is none. */
  readonly dataRoot: string | undefined;
  readonly runRoot: string;
}

/** What a store has at its top; other things in its directory are somebody else's. */
const STORE_ENTRIES: readonly string[] = ["containers", "images", "layers", "volumes", "networks", "version"];
/** So long a container has to end after SIGKILL. */
const KILL_MS = 10_000;
const LOOK_MS = 20;
const ATTEMPTS = 10;

/**
 * Finds what a reset would remove.
 * @throws {DugoutError} NO_STORE when the directory is none of dugout's; EPERM when it is somebody else's.
 */
export function findResetPlaces(options: EngineOptions): ResetPlaces {
  const request = { root: options.root, run: options.run, env: process.env, uid: process.geteuid!() };
  const named = dataRootPath(request);
  return { named, dataRoot: findStore(named), runRoot: openRunRoot(request, options.warn ?? (() => {})) };
}

function findStore(named: string): string | undefined {
  let root: string;
  try {
    root = realpathSync(named);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  checkOwnDirectory(root, lstatSync(root));
  const entries = readdirSync(root);
  if (entries.length === 0 || isStore(root)) return root;
  throw new DugoutError("NO_STORE", `Cannot reset ${quote(root)}: it is not a store of dugout's`, {
    hint: "nothing was removed; is the path of --root right?",
  });
}

/** A version, or what no other program makes: a damaged store may have lost any of them. */
function isStore(root: string): boolean {
  try {
    if (/^[0-9]{1,9}\n?$/.test(readFileSync(join(root, "version"), "latin1"))) return true;
  } catch {
    // it has lost it
  }
  const signs = ["images/names", "images/ingest", "layers/single", "containers/names"];
  return signs.some((name) => lstatSync(join(root, name), { throwIfNoEntry: false })?.isDirectory() === true) ||
    listDirectory(root).includes("layers") &&
      listDirectory(join(root, "layers")).some((name) => /^0-[0-9_-]+/.test(name));
}

/**
 * Ends what runs and removes all of it.
 * @returns Names in the directory of the store that were not the store's, and so are still there.
 * @throws {DugoutError | OsError} When something cannot be removed; what could be, is gone.
 */
export async function resetStore(places: ResetPlaces): Promise<string[]> {
  const { named, dataRoot, runRoot } = places;
  if (dataRoot !== undefined) endKeeper(dataRoot, runRoot);
  const own: OwnContainers = { folder: join(dataRoot ?? named, "containers"), ids: new Set() };
  for (const id of listDirectory(own.folder)) own.ids.add(id);
  await endContainers(own, runRoot);
  // all ids that the user has, whatever map a container had
  const map = chooseIdMap(loadIdentity(runRoot), { kind: "default" }, { uid: 0, gid: 0 });
  let left: string[] = [];
  if (dataRoot !== undefined) {
    for (const name of STORE_ENTRIES) {
      const path = join(dataRoot, name);
      if (lstatSync(path, { throwIfNoEntry: false }) === undefined) continue;
      await runInWorker(map, { kind: "removeTree", path });
    }
    left = readdirSync(dataRoot);
    if (left.length === 0) removeEmptyRoot(named, dataRoot);
  }
  await removeRuntime(dataRoot ?? named, own, runRoot);
  return left;
}

/** A directory that a link leads to may be a mount point, or one that the user made: that it cannot go is no fault. */
function removeEmptyRoot(named: string, dataRoot: string): void {
  try {
    rmdirSync(dataRoot);
    if (lstatSync(named, { throwIfNoEntry: false })?.isSymbolicLink() === true) unlinkSync(named);
  } catch (error) {
    if (!["EBUSY", "EACCES", "EPERM", "ENOENT", "EROFS"].includes(errorCode(error))) throw error;
  }
}

/** The containers of the store, as far as it still knows them. */
interface OwnContainers {
  /** Their directory, which may be gone. */
  readonly folder: string;
  readonly ids: Set<string>;
}

/** The runtime directory goes, unless containers of another store run by it, or are just being made. */
async function removeRuntime(dataRoot: string, own: OwnContainers, runRoot: string): Promise<void> {
  const states = join(runRoot, "containers");
  for (let attempt = 1;; attempt++) {
    try {
      for (const id of listDirectory(states)) if (isOurState(own, states, id)) removePath(join(states, id));
      removePath(keeperDirectory({ dataRoot, runRoot }));
      // whoever makes a container of another store meanwhile keeps its directory: only an empty one is removed
      if (!removeEmpty(states)) return;
      endHolders(runRoot);
      for (const name of listDirectory(runRoot)) if (name !== "containers") removePath(join(runRoot, name));
      removeEmpty(runRoot);
      return;
    } catch (error) {
      // commands that see their containers end write of it
      if (errorCode(error) !== "TREE_CHANGED" || attempt === ATTEMPTS) throw error;
      await delay(LOOK_MS * attempt);
    }
  }
}

/** @returns Whether it is gone; false where something is in it. */
function removeEmpty(path: string): boolean {
  try {
    rmdirSync(path);
  } catch (error) {
    if (errorCode(error) === "ENOTEMPTY") return false;
    if (errorCode(error) !== "ENOENT") throw error;
  }
  return true;
}

/** A container's directory has no link to its store, or its store no container, for no longer than this while it is being made. */
const MAKING_MS = 60_000;

/** Whether what lies in the runtime directory is of a container of this store, or of none that is there. */
function isOurState({ folder, ids }: OwnContainers, states: string, id: string): boolean {
  const state = join(states, id);
  if (ids.has(id) || isStateOf(state, join(folder, id))) return true;
  const stat = lstatSync(state, { throwIfNoEntry: false });
  if (stat === undefined || Date.now() - stat.mtimeMs < MAKING_MS) return false;
  try {
    return lstatSync(readlinkSync(join(state, "store")), { throwIfNoEntry: false }) === undefined;
  } catch {
    return true;
  }
}

/** Ends the first process of each container; its monitor goes then, or is ended as well. */
async function endContainers(own: OwnContainers, runRoot: string): Promise<void> {
  const states = join(runRoot, "containers");
  const monitors = listProcesses().filter((pid) => isOurMonitor(pid, own, states));
  for (const monitor of monitors) for (const child of readChildren(monitor)) kill(child);
  const stopMs = performance.now() + KILL_MS;
  const alive = (pid: number): boolean => readStartTime(pid) !== undefined;
  while (monitors.some(alive) && performance.now() < stopMs) await delay(LOOK_MS);
  for (const monitor of monitors.filter(alive)) kill(monitor);
}

/**
 * Whether a process is the monitor of a container of this store. The runtime directory may have been swept, and the store may
 * have lost anything: the monitor's own descriptors tell as well. Of another store's nothing is ended, whatever is missing.
 */
function isOurMonitor(pid: number, { folder, ids }: OwnContainers, states: string): boolean {
  const pathOf = (fd: number) => readDescriptor(pid, fd)?.replace(/ \(deleted\)$/, "");
  const state = pathOf(STATE_FD);
  if (state === undefined || !state.startsWith(`${states}/`)) return false;
  const id = state.slice(states.length + 1);
  const place = join(folder, id);
  return ids.has(id) || pathOf(CONTAINER_FD) === place || isStateOf(state, place);
}

/** Whoever holds the lock of this store's keeper would start containers again. */
function endKeeper(dataRoot: string, runRoot: string): void {
  const lock = join(keeperDirectory({ dataRoot, runRoot }), "lock");
  for (const pid of listProcesses()) {
    if (pid === process.pid) continue;
    if (listNames(`/proc/${pid}/fd`).some((fd) => readDescriptor(pid, Number(fd)) === lock)) kill(pid);
  }
}

/** Those who hold user namespaces leave when they are not used for a while; with the runtime directory they go at once. */
function endHolders(runRoot: string): void {
  for (const pid of listProcesses()) {
    if (readDescriptor(pid, RECORD_FD)?.startsWith(`${holderDirectory(runRoot)}/`)) kill(pid);
  }
}

function kill(pid: number): void {
  const startTime = readStartTime(pid);
  const pidfd = tryCall("pidfd_open", pid, 0);
  if (pidfd < 0) return;
  // the number may have been given to another process before it was opened, not afterwards
  if (startTime !== undefined && readStartTime(pid) === startTime) {
    tryCall("pidfd_send_signal", pidfd, SIGNALS.KILL, 0, 0);
  }
  close(pidfd as Fd);
}

function listProcesses(): number[] {
  return listNames("/proc").filter((name) => /^[0-9]+$/.test(name)).map(Number);
}

function listNames(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    // somebody else's process, or one that has just ended
    return [];
  }
}

function readDescriptor(pid: number, fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return undefined;
  }
}

function readChildren(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
