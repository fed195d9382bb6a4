/**
 * The holder: a process of the user's that holds a user namespace with all ids that they have, in which containers make
 * theirs. Where it is to be found stands in the runtime directory:
 *
 *     RUN/holder/NAME    boot id, pid and start time of the process that holds it; its time says when it was used last
 *     RUN/holder/lock    held by whoever is about to make one
 *
 * Whoever opens a namespace by the record has it for as long as the descriptor is open, whatever becomes of the holder. By the
 * kernel's own calls: node:fs takes a millisecond to load.
 *
 * @module
 */
import { addressOf, allocate, cString, hashHex } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { AT_FDCWD, close, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY } from "#linux/file.ts";
import { type IdMap, mapName } from "#linux/idmap.ts";
import { readBootId, readProcFile, startTimeOf } from "#linux/proc.ts";
import { readSoftLimit, rlimitNumber } from "#linux/rlimits.ts";

/** A holder that was found. */
export interface FoundHolder {
  /** `/proc/PID` of it, and of no process that may get its number later. */
  readonly process: Fd;
  /** Its record, at the start. Whoever needs the holder beyond its usual time takes a shared lock of it (flock(2)). */
  readonly record: Fd;
}

/** The directory of the records. */
export function holderDirectory(runRoot: string): string {
  return `${runRoot}/holder`;
}

/** What the name of a holder begins with: the ids that it holds. */
export function holderIds(map: IdMap): string {
  return hashHex("sha256", mapName(map)).slice(0, 16);
}

/**
 * Limits that the kernel notes with a user namespace when it is made, and holds all processes in it to, together with the
 * caller's others (Linux 5.14, `set_userns_rlimit_max`): a holder that a shell with other limits has made is not for this one.
 */
const NOTED_LIMITS = ["nproc", "memlock", "sigpending", "msgqueue"] as const;

/** The name of the holder that is for this process. @param ids {@linkcode holderIds}. */
export function holderName(ids: string): string {
  return [ids, ...NOTED_LIMITS.map((limit) => readSoftLimit(rlimitNumber(limit)))].join(".");
}

/** Finds a holder that runs, and notes that it was used. */
export function openHolder(runRoot: string, name: string): FoundHolder | undefined {
  const record = tryOpen(AT_FDCWD, `${holderDirectory(runRoot)}/${name}`, O_RDONLY | O_NOFOLLOW);
  if (record === undefined) return undefined;
  const process = openRecorded(record);
  if (process === undefined) {
    close(record);
    return undefined;
  }
  tryCall("utimensat", record, 0, 0, 0);
  return { process, record };
}

/** Opens a namespace that it holds: `user`. Undefined where the holder has just ended. */
export function openHeld({ process }: FoundHolder, kind: string): Fd | undefined {
  return tryOpen(process, `ns/${kind}`, O_RDONLY);
}

/** Lets go of what was found. */
export function closeHolder({ process, record }: FoundHolder): void {
  close(process);
  close(record);
}

const MOST_BYTES = 128;

/** The process that a record names, if it still is the one that was meant. */
function openRecorded(record: Fd): Fd | undefined {
  const bytes = allocate(MOST_BYTES);
  // its offset stays where it is
  const count = tryCall("pread64", record, addressOf(bytes), bytes.length, 0);
  if (count <= 0) return undefined;
  const [bootId, pid, startTime] = new TextDecoder().decode(bytes.subarray(0, count)).split(" ");
  if (bootId !== readBootId() || !/^[1-9][0-9]*$/.test(pid ?? "")) return undefined;
  const process = tryOpen(AT_FDCWD, `/proc/${pid}`, O_PATH | O_DIRECTORY);
  if (process === undefined) return undefined;
  const stat = readProcFile("stat", process);
  if (stat !== undefined && startTimeOf(stat) === startTime) return process;
  close(process);
  return undefined;
}

/** What a record says of a process. */
export function recordText(pid: number, startTime: string): string {
  // all three have an end, so that none is a part of another one
  return `${readBootId()} ${pid} ${startTime} \n`;
}

function tryOpen(dir: Fd, path: string, flags: number): Fd | undefined {
  const name = cString(path);
  const fd = tryCall("openat", dir, addressOf(name), flags | O_CLOEXEC, 0);
  return fd < 0 ? undefined : fd as Fd;
}
