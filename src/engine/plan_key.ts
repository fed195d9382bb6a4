/**
 * What decides a plan, as one hash: while it is the same, the tape that was planned once is the one that would be planned
 * again. Whatever planning reads belongs in here.
 *
 * @module
 */
import { existsSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { backend, hashHex } from "#ffi/mod.ts";
import type { Fd } from "#linux/call.ts";
import { S_IFMT } from "#linux/file.ts";
import { machineName } from "#linux/machine.ts";
import { statName } from "#linux/stat.ts";
import { statFileSystem } from "#linux/statfs.ts";
import { isTerminal } from "#linux/terminal.ts";
import { identityKey } from "#runtime/identity_key.ts";
import { MASKED_PATHS, READONLY_PATHS } from "./system_paths.ts";

/** What a plan is made for. */
export interface KeyInput {
  readonly dataRoot: string;
  readonly runRoot: string;
  readonly storageDriver: string | undefined;
  /** The command line behind `run`, when it alone says what is asked for: no file, variable or directory of the caller's. */
  readonly words: readonly string[];
}

/** What a plan was made for, when its files were looked at. */
export interface PlanKey {
  /** 64 hexadecimal digits. */
  readonly hash: string;
  /**
   * Whether all files have been as they are for longer than their clocks are coarse: a change at the same moment would
   * leave no trace in the key.
   */
  readonly isSettled: boolean;
}

/** Changes with the form of what is remembered. */
const FORM = 2;

/** File systems with coarse clocks count seconds, some two at a time. */
const SETTLED_AFTER_MS = 2500;

/** Files of the machine's whose text goes into a container. */
const HOST_FILES = ["/etc/hosts", "/etc/resolv.conf"];

/**
 * Looks at what decides a plan.
 * @param program The file of this program, as it was built: {@linkcode ownProgram}.
 */
export function makePlanKey(input: KeyInput, program: string): PlanKey {
  let newestMs = 0;
  const stamp = (path: string): string => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return "-";
    newestMs = Math.max(newestMs, stat.ctimeMs);
    return `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeMs}:${stat.ctimeMs}`;
  };
  const text = JSON.stringify([
    FORM,
    // another build plans otherwise
    stamp(program),
    input.words,
    input.storageDriver,
    input.dataRoot,
    input.runRoot,
    // the user, its groups and subordinate ids, this boot and with it the kernel
    identityKey(),
    // each name that is given or taken changes the directory
    stamp(join(input.dataRoot, "images/names")),
    HOST_FILES.map(stamp),
    machineName(),
    // which /proc, /sys and mounts there are, and what is in them
    ["mnt", "user", "pid", "net"].map((kind) => readlinkSync(`/proc/self/ns/${kind}`)),
    [...MASKED_PATHS, ...READONLY_PATHS].map(existsSync).map(Number).join(""),
    statSync("/sys/fs/cgroup", { throwIfNoEntry: false })?.dev,
    statFileSystem(input.dataRoot).flags,
    process.env["SLURM_JOB_ID"] !== undefined,
    [0, 1, 2].map((fd) => describeStream(fd as Fd)),
  ]);
  return { hash: hashHex("sha256", text), isSettled: Math.abs(Date.now() - newestMs) > SETTLED_AFTER_MS };
}

/** The file of this program; undefined where it runs from sources, which may change between two runs. */
export function ownProgram(): string | undefined {
  return backend().compiled ? process.execPath : undefined;
}

/** The shape of a stream: which copiers it needs, and whether the filter has to guard a terminal. */
function describeStream(fd: Fd): string {
  const stat = statName(fd, "");
  if (typeof stat === "number") return "closed";
  return `${stat.mode & S_IFMT}:${stat.uid}:${isTerminal(fd)}`;
}
