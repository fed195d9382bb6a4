/**
 * Names of the numbers that system calls take, for the printer. The numbers themselves are the constants of #linux: a
 * set is what a file there exports under a prefix, so that a constant which is added there is printed by its name.
 *
 * @module
 */
import * as clone from "#linux/clone.ts";
import * as file from "#linux/file.ts";
import * as ioctl from "#linux/ioctl.ts";
import * as keyctl from "#linux/keyctl.ts";
import * as landlock from "#linux/landlock.ts";
import * as mount from "#linux/mount.ts";
import * as namespaces from "#linux/namespaces.ts";
import * as poll from "#linux/poll.ts";
import * as prctl from "#linux/prctl.ts";
import * as seccomp from "#linux/seccomp_call.ts";
import { signalName } from "#linux/signals.ts";
import * as socket from "#linux/socket.ts";
import * as wait from "#linux/wait.ts";

/** Names by value. */
export type NameSet = ReadonlyMap<bigint, string>;

/** Bits with names. */
export interface FlagSet {
  /** In the order in which they are printed; some have several bits (O_TMPFILE holds O_DIRECTORY). */
  readonly bits: readonly (readonly [value: bigint, name: string])[];
  /** Bits that are a number of their own, and how that is printed; undefined where the rest says enough. */
  readonly field?: { readonly mask: bigint; readonly print: (value: bigint) => string | undefined };
}

type Constants = Readonly<Record<string, unknown>>;

/** The exported numbers of a file whose names begin so, and not with one of `except`. */
function constants(exported: Constants, prefix: string, except: readonly string[] = []): [bigint, string][] {
  const found: [bigint, string][] = [];
  for (const [name, value] of Object.entries(exported)) {
    if (!name.startsWith(prefix) || except.some((other) => name.startsWith(other))) continue;
    if (typeof value === "number" || typeof value === "bigint") found.push([BigInt(value), name]);
  }
  return found.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function names(exported: Constants, prefix: string, except: readonly string[] = []): NameSet {
  return new Map(constants(exported, prefix, except));
}

function flags(bits: readonly (readonly [bigint, string])[], field?: FlagSet["field"]): FlagSet {
  return { bits: bits.filter(([value]) => value > 0n), ...(field === undefined ? {} : { field }) };
}

const NAMESPACES = constants(namespaces, "CLONE_NEW");

/** Sets of flags, by the name that `calls.ts` uses. */
export const FLAG_SETS = {
  mount: flags(constants(mount, "MS_")),
  umount: flags([...constants(mount, "MNT_"), ...constants(mount, "UMOUNT_")]),
  mountAttr: flags(constants(mount, "MOUNT_ATTR_", ["MOUNT_ATTR_SIZE"])),
  openTree: flags([
    ...constants(mount, "OPEN_TREE_"),
    ...constants(file, "AT_", ["AT_FDCWD", "AT_REMOVEDIR"]),
    ...constants(mount, "AT_"),
  ]),
  moveMount: flags(constants(mount, "MOVE_MOUNT_")),
  fsopen: flags(constants(mount, "FSOPEN_")),
  fsmount: flags(constants(mount, "FSMOUNT_")),
  at: flags([...constants(file, "AT_", ["AT_FDCWD", "AT_REMOVEDIR"]), ...constants(mount, "AT_")]),
  unlink: flags(constants(file, "AT_REMOVEDIR")),
  open: flags(constants(file, "O_"), { mask: 3n, print: (mode) => names(file, "O_").get(mode) }),
  // where no access mode is meant
  status: flags(constants(file, "O_")),
  resolve: flags(constants(file, "RESOLVE_")),
  namespaces: flags(NAMESPACES),
  // the lowest byte is the signal of the child's end: CLONE_NEWTIME, which lies in it, is for unshare and clone3
  clone: flags(
    [...constants(clone, "CLONE_", ["CLONE_ARGS"]), ...NAMESPACES].filter(([value]) => value > 0xffn),
    { mask: 0xffn, print: (signal) => signal === 0n ? undefined : nameOfSignal(signal) },
  ),
  clone3: flags([...constants(clone, "CLONE_", ["CLONE_ARGS"]), ...NAMESPACES]),
  closeRange: flags(constants(file, "CLOSE_RANGE_")),
  memfd: flags(constants(file, "MFD_")),
  seals: flags(constants(file, "F_SEAL_")),
  descriptor: flags(constants(file, "FD_")),
  landlockFiles: flags(constants(landlock, "LANDLOCK_ACCESS_FS_")),
  landlockNet: flags(constants(landlock, "LANDLOCK_ACCESS_NET_")),
  landlockScope: flags(constants(landlock, "LANDLOCK_SCOPE_")),
  landlockCreate: flags(constants(landlock, "LANDLOCK_CREATE_RULESET_")),
  seccomp: flags(constants(seccomp, "SECCOMP_FILTER_FLAG_")),
  poll: flags(constants(poll, "POLL", ["POLLFD"])),
  wait: flags([...constants(wait, "W"), ...constants(wait, "__W")]),
  socketType: flags(
    constants(socket, "SOCK_").filter(([value]) => value > 15n),
    { mask: 15n, print: (type) => names(socket, "SOCK_").get(type) },
  ),
  message: flags(constants(socket, "MSG_")),
} satisfies Record<string, FlagSet>;

/** Sets of names, by the name that `calls.ts` uses. */
export const NAME_SETS = {
  fcntl: names(file, "F_", ["F_SEAL_"]),
  fsconfig: names(mount, "FSCONFIG_"),
  prctl: names(prctl, "PR_", ["PR_CAP_AMBIENT_"]),
  ambient: names(prctl, "PR_CAP_AMBIENT_"),
  keyctl: names(keyctl, "KEYCTL_"),
  keyring: names(keyctl, "KEY_SPEC_"),
  ioctl: new Map(["TC", "TIOC", "FIO", "FICLONE", "SIOC", "TUN"].flatMap((prefix) => constants(ioctl, prefix))),
  landlockRule: names(landlock, "LANDLOCK_RULE_"),
  waitid: names(wait, "P_"),
  family: names(socket, "AF_"),
  socketLevel: names(socket, "SOL_"),
  controlType: names(socket, "SCM_"),
  seccomp: names(seccomp, "SECCOMP_", ["SECCOMP_FILTER_FLAG_"]),
  sigmask: new Map([[0n, "SIG_BLOCK"], [1n, "SIG_UNBLOCK"], [2n, "SIG_SETMASK"]]),
  clock: new Map([[0n, "CLOCK_REALTIME"], [1n, "CLOCK_MONOTONIC"], [7n, "CLOCK_BOOTTIME"]]),
  seek: new Map([[0n, "SEEK_SET"], [1n, "SEEK_CUR"], [2n, "SEEK_END"]]),
  fileType: names(file, "S_IF", ["S_IFMT"]),
} satisfies Record<string, NameSet>;

export type FlagSetName = keyof typeof FLAG_SETS;
export type NameSetName = keyof typeof NAME_SETS;

function nameOfSignal(signal: bigint): string {
  return signal > 0n && signal <= 64n ? signalName(Number(signal)) : String(signal);
}

/**
 * A word of flags as C writes it: `MS_NOSUID|MS_NODEV`, with what has no name as a number at the end.
 * @param word Not negative.
 */
export function printFlags(set: FlagSet, word: bigint): string {
  const field = set.field?.print(word & set.field.mask);
  let rest = set.field === undefined ? word : word & ~set.field.mask;
  const unnamed = set.field !== undefined && field === undefined ? word & set.field.mask : 0n;
  // the widest first: what O_TMPFILE says is not said again by O_DIRECTORY
  const found = new Set<string>();
  for (const [value, name] of set.bits.toSorted(([a], [b]) => bitCount(b) - bitCount(a))) {
    if ((rest & value) !== value) continue;
    found.add(name);
    rest &= ~value;
  }
  const parts = set.bits.flatMap(([, name]) => (found.has(name) ? [name] : []));
  if (field !== undefined) parts.unshift(field);
  if ((rest | unnamed) !== 0n) parts.push(`0x${(rest | unnamed).toString(16)}`);
  return parts.join("|") || "0";
}

function bitCount(word: bigint): number {
  return word.toString(2).replaceAll("0", "").length;
}
