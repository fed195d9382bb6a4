/**
 * What /proc says of processes and of this boot. By the kernel's own calls: node:fs takes a millisecond to load, half of what
 * a container takes.
 *
 * @module
 */
import { addressOf, allocate, cString } from "#ffi/mod.ts";
import { type Fd, tryCall } from "./call.ts";
import { OsError } from "./errno.ts";
import { AT_FDCWD, close, O_CLOEXEC, O_RDONLY } from "./file.ts";

const MOST_BYTES = 4096;

/** A small file of /proc, by its whole name or beneath a directory of it; undefined where it cannot be read. */
export function readProcFile(path: string, dir: Fd = AT_FDCWD): string | undefined {
  const name = cString(path);
  const fd = tryCall("openat", dir, addressOf(name), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const bytes = allocate(MOST_BYTES);
  const count = tryCall("read", fd, addressOf(bytes), bytes.length);
  close(fd as Fd);
  return count < 0 ? undefined : new TextDecoder("latin1").decode(bytes.subarray(0, count));
}

/** This boot of the machine. */
export function readBootId(): string {
  const path = "/proc/sys/kernel/random/boot_id";
  const text = readProcFile(path);
  if (text === undefined) throw new OsError({ call: "read", object: path, code: "ENOENT" });
  return text.trim();
}

/**
 * When a process started, in clock ticks since boot (proc(5), /proc/PID/stat, field 22): a pid is not a process. Undefined when
 * there is none, or one that has ended and was not waited for.
 */
export function readStartTime(pid: number): string | undefined {
  const text = readProcFile(`/proc/${pid}/stat`);
  return text === undefined ? undefined : startTimeOf(text);
}

/** The same from the text of that file. */
export function startTimeOf(text: string): string | undefined {
  // the name, in parentheses, may hold anything
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

/** The number of a process in its own pid namespace (proc(5), /proc/PID/status, NSpid; Linux 4.1). */
export function readInnerPid(pid: number): number | undefined {
  const found = /^NSpid:\s.*?(\d+)$/m.exec(readProcFile(`/proc/${pid}/status`) ?? "");
  return found === null ? undefined : Number(found[1]);
}

/** Which signals a process handles and which wait, bit n − 1 for signal n (proc_pid_status(5)); undefined when it is gone. */
export function readSignalMasks(pid: number): { readonly caught: bigint; readonly blocked: bigint } | undefined {
  const text = readProcFile(`/proc/${pid}/status`) ?? "";
  const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(text)?.[1];
  const blocked = /^SigBlk:\s*([0-9a-f]+)$/m.exec(text)?.[1];
  return caught === undefined || blocked === undefined
    ? undefined
    : { caught: BigInt(`0x${caught}`), blocked: BigInt(`0x${blocked}`) };
}
