/**
 * The container that is to be entered: found without reading every record, and held by a descriptor that refers to one
 * process and no other.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { addressOf, allocate } from "#ffi/mod.ts";
import { type Fd, type Pid, tryCall } from "#linux/call.ts";
import { errnoName, OsError } from "#linux/errno.ts";
import {
  AT_FDCWD,
  close,
  O_DIRECTORY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  openAt,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  S_IFMT,
  S_IFREG,
} from "#linux/file.ts";
import { statName } from "#linux/stat.ts";
import { openResolved } from "#linux/tree.ts";
import { DugoutError } from "#oci/error.ts";
import type { NamespaceType } from "#oci/runtime_spec.ts";
import { MAX_ACCOUNT_FILE_BYTES } from "#runtime/users.ts";
import { readName } from "./container_directory.ts";
import type { EventPlace } from "../events/events.ts";
import { readStartTime } from "#linux/proc.ts";
import type { ContainerState } from "./container_state.ts";
import { readState } from "./state.ts";

/**
 * A running container by its name, its id, or the beginning of one; undefined where it takes a look at the records to tell, or to
 * say why not.
 */
export function findQuickly(places: EventPlace, text: string): ContainerState | undefined {
  const id = findId(join(places.dataRoot, "containers"), text);
  return id === undefined ? undefined : readState(places, id);
}

function findId(containers: string, text: string): string | undefined {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(text)) return undefined;
  try {
    return readName(join(containers, "names", text)).id;
  } catch {
    // then it may be the beginning of an id
  }
  if (!/^[0-9a-f]+$/.test(text) || !existsSync(containers)) return undefined;
  const matching = readdirSync(containers).filter((name) => name.startsWith(text));
  return matching.length === 1 ? matching[0] : undefined;
}

/** A process of a container. */
export interface ExecTarget {
  readonly pid: Pid;
  readonly pidfd: Fd;
  /** Whether the container still runs. */
  isAlive(): boolean;
  [Symbol.dispose](): void;
}

/**
 * Opens the process whose namespaces are to be joined: the first one; with `--init` the reaper's program, since the reaper is
 * closed to everybody.
 * @throws {DugoutError} CONTAINER_NOT_RUNNING.
 */
export function openTarget(state: ContainerState, hasReaper: boolean): ExecTarget {
  const isAlive = () => readStartTime(state.pid) === state.startTime;
  const pid = openProcess(state.pid, hasReaper) as Pid | undefined;
  const pidfd = pid === undefined ? -1 : tryCall("pidfd_open", pid, 0);
  const parent = hasReaper && pid !== undefined ? readParent(pid) : undefined;
  // the numbers may have been given to others before they were opened, not afterwards
  if (pid === undefined || pidfd < 0 || (hasReaper && parent !== state.pid) || !isAlive()) {
    if (pidfd >= 0) close(pidfd as Fd);
    throw notRunning(state.id);
  }
  return { pid, pidfd: pidfd as Fd, isAlive, [Symbol.dispose]: () => close(pidfd as Fd) };
}

/** Docker's words. */
export function notRunning(id: string): DugoutError {
  return new DugoutError("CONTAINER_NOT_RUNNING", `container ${id} is not running`, { exitCode: 1 });
}

/**
 * The process of a container whose files below /proc are open to the caller: the first one, or the reaper's program; undefined
 * where that has ended.
 */
export function openProcess(firstProcess: number, hasReaper: boolean): number | undefined {
  return hasReaper ? findProgram(firstProcess) : firstProcess;
}

/** The first child of the reaper, which ends with it. */
function findProgram(reaper: number): number | undefined {
  try {
    const first = readFileSync(`/proc/${reaper}/task/${reaper}/children`, "latin1").split(" ", 1)[0] ?? "";
    return first === "" ? undefined : Number(first);
  } catch {
    return undefined;
  }
}

function readParent(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

/** Names of the files below /proc/PID/ns. */
const NAMESPACE_FILES: Readonly<Record<NamespaceType, string>> = {
  user: "user",
  mount: "mnt",
  pid: "pid",
  ipc: "ipc",
  uts: "uts",
  network: "net",
  cgroup: "cgroup",
  time: "time",
};

/**
 * The namespaces of a process that are not the caller's: those of its own and those of other containers that it shares, not
 * those of the host.
 * @throws {OsError} EACCES where the process is closed to the caller, ESRCH where it has just ended.
 */
export function differingNamespaces(pid: number): NamespaceType[] {
  const types: NamespaceType[] = [];
  for (const [type, file] of Object.entries(NAMESPACE_FILES)) {
    const own = readNamespace("self", file);
    if (own === undefined) continue;
    if (readNamespace(pid, file) !== own) types.push(type as NamespaceType);
  }
  return types;
}

/** undefined where the kernel has no such namespaces. */
function readNamespace(pid: number | "self", file: string): string | undefined {
  const path = `/proc/${pid}/ns/${file}`;
  try {
    return readlinkSync(path);
  } catch (error) {
    if (pid === "self") return undefined;
    const { code } = error as NodeJS.ErrnoException;
    // a process that is about to end has none any more, though it is still there
    throw new OsError({ call: "read namespace", object: path, code: code === "ENOENT" ? "ESRCH" : code ?? "EIO" });
  }
}

/**
 * A file of accounts as the container has it now, resolved by the kernel beneath its root; undefined where there is none that
 * can be read.
 */
export function readAccountFile({ pid }: ExecTarget, path: string): Uint8Array | undefined {
  let root: Fd;
  try {
    root = openAt(AT_FDCWD, `/proc/${pid}/root`, O_PATH | O_DIRECTORY);
  } catch {
    return undefined;
  }
  try {
    // a fifo must not keep us waiting
    const fd = openResolved(root, path, O_RDONLY | O_NONBLOCK, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    if (fd < 0) return undefined;
    try {
      return readRegular(fd as Fd, path);
    } finally {
      close(fd as Fd);
    }
  } finally {
    close(root);
  }
}

const CHUNK_BYTES = 65536;

/** What is in a regular file, up to more than a file of accounts may have. */
function readRegular(fd: Fd, path: string): Uint8Array | undefined {
  const stat = statName(fd, "");
  if (typeof stat === "number" || (stat.mode & S_IFMT) !== S_IFREG) return undefined;
  const pieces: Uint8Array[] = [];
  for (let length = 0; length <= MAX_ACCOUNT_FILE_BYTES;) {
    const piece = allocate(CHUNK_BYTES);
    const count = tryCall("read", fd, addressOf(piece), piece.length);
    if (count < 0) throw new OsError({ call: "read", object: path, code: errnoName(-count) });
    if (count === 0) break;
    pieces.push(piece.subarray(0, count));
    length += count;
  }
  return Buffer.concat(pieces);
}
