/**
 * The state of a container: a directory `ROOT/ID` with `state.json`, `config.json` as it was read, and while the container
 * waits for its start the fifo `start`.
 *
 * A pid is believed only with the boot and the start time that stand beside it (C-059): after a reboot nothing runs.
 *
 * @module
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { isFrozen } from "#cgroup/find_group.ts";
import type { Pid } from "#linux/call.ts";
import { readBootId, readStartTime } from "#linux/proc.ts";
import { parseJson } from "#oci/json.ts";
import { parseContainerState, type StoredState } from "#oci/runtime_state.ts";
import { quote } from "#oci/text.ts";
import { bundleError } from "./error.ts";

/** What a container is, by the specification, and paused, which freezing makes of a running one. */
export type ContainerStatus = "creating" | "created" | "running" | "paused" | "stopped";

/** A container that is on record. */
export interface BundleContainer {
  readonly directory: string;
  readonly stored: StoredState;
}

const GATE = "start";
const STATE = "state.json";
const CONFIG = "config.json";
const MOST_STATE_BYTES = 16 << 20;

/** The names that runc takes: letters, digits and `_ + - .`. @throws {DugoutError} ID_INVALID. */
export function checkId(id: string): string {
  if (/^[\w+.-]{1,1024}$/.test(id) && id !== "." && id !== "..") return id;
  throw bundleError(
    "ID_INVALID",
    "invalid container ID format",
    `${quote(id)} may hold letters, digits and _ + - . only`,
  );
}

/** The fifo that a created container waits at. */
export function gatePath(directory: string): string {
  return join(directory, GATE);
}

/**
 * Makes the directory of a new container; one that a killed command left half made is taken over.
 * @throws {DugoutError} CONTAINER_EXISTS.
 */
export function makeContainerDirectory(root: string, id: string): string {
  const directory = join(root, checkId(id));
  for (let attempt = 0;; attempt++) {
    try {
      mkdirSync(directory, { mode: 0o700 });
      return directory;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    if (attempt > 0 || !isAbandoned(directory)) {
      throw bundleError("CONTAINER_EXISTS", "container with given ID already exists");
    }
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Whether the command that made a directory is gone, and has left no state: `maker` has its pid and start time. */
export function isAbandoned(directory: string): boolean {
  if (lstatSync(join(directory, STATE), { throwIfNoEntry: false }) !== undefined) return false;
  const maker = readSmall(join(directory, "maker"), 256)?.toString("latin1").split(" ");
  if (maker === undefined) return false;
  return maker[0] !== readBootId() || readStartTime(Number(maker[1])) !== maker[2];
}

/** Notes who makes a container. */
export function noteMaker(directory: string): void {
  const text = `${readBootId()} ${process.pid} ${readStartTime(process.pid)}`;
  writeFileSync(join(directory, "maker"), text, { mode: 0o600, flag: "wx" });
}

/** Keeps config.json as it was read: the bundle may be gone when it is needed again. */
export function keepConfig(directory: string, bytes: Uint8Array): void {
  writeFileSync(join(directory, CONFIG), bytes, { mode: 0o600 });
}

/** What {@linkcode keepConfig} kept. */
export function readKeptConfig({ directory }: BundleContainer): Uint8Array {
  const bytes = readSmall(join(directory, CONFIG), MOST_STATE_BYTES);
  if (bytes === undefined) throw bundleError("STATE_INVALID", `cannot read ${quote(join(directory, CONFIG))}`);
  return bytes;
}

/** Writes the state beside, and puts it in place. */
export function writeState(directory: string, stored: StoredState): void {
  const path = join(directory, STATE);
  const text = JSON.stringify({ ...stored, annotations: Object.fromEntries(stored.annotations) });
  writeFileSync(`${path}.${process.pid}`, text, { mode: 0o600 });
  renameSync(`${path}.${process.pid}`, path);
}

/**
 * Looks a container up.
 * @throws {DugoutError} CONTAINER_NOT_FOUND, with runc's words; STATE_INVALID.
 */
export function readContainer(root: string, id: string): BundleContainer {
  const directory = join(root, checkId(id));
  const found = lstatSync(directory, { throwIfNoEntry: false });
  const bytes = found?.isDirectory() && found.uid === process.geteuid!()
    ? readSmall(join(directory, STATE), MOST_STATE_BYTES)
    : undefined;
  if (bytes === undefined) throw bundleError("CONTAINER_NOT_FOUND", "container does not exist");
  const what = `the state of container ${quote(id)}`;
  const stored = parseContainerState(parseJson(bytes, what, { maxBytes: MOST_STATE_BYTES }), what);
  if (stored.id !== id) throw bundleError("STATE_INVALID", `${what} is that of another one`);
  return { directory, stored };
}

/** What has become of it. */
export function statusOf({ directory, stored }: BundleContainer): ContainerStatus {
  if (!isAlive(stored)) return "stopped";
  if (stored.creating) return "creating";
  if (lstatSync(gatePath(directory), { throwIfNoEntry: false }) !== undefined) return "created";
  return stored.group !== undefined && isFrozen(stored.group) ? "paused" : "running";
}

/** Whether its first process is there. */
export function isAlive({ pid, bootId, startTime }: StoredState): boolean {
  return bootId === readBootId() && readStartTime(pid) === startTime;
}

/** The container's gate is open from now on. @returns Whether it was closed: of several who start it, one finds it so. */
export function takeGate(directory: string): boolean {
  try {
    unlinkSync(gatePath(directory));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** Refers to the first process of a state as a number. */
export function pidOf({ stored }: BundleContainer): Pid {
  return stored.pid as Pid;
}

/** A small regular file; undefined where there is none. What is no regular file is not waited for. */
export function readSmall(path: string, mostBytes: number): Buffer | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const stat = fstatSync(fd);
    return stat.isFile() && stat.size <= mostBytes ? readFileSync(fd) : undefined;
  } finally {
    closeSync(fd);
  }
}
