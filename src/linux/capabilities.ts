/**
 * Capabilities: names, numbers, sets, and how Docker's `--cap-add` and `--cap-drop` combine (capabilities(7)).
 *
 * @module
 */

/** In the order of their numbers, 0 to 40 (linux/capability.h; the last one, CHECKPOINT_RESTORE, is of Linux 5.9). */
const NAMES = [
  "CHOWN",
  "DAC_OVERRIDE",
  "DAC_READ_SEARCH",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETUID",
  "SETPCAP",
  "LINUX_IMMUTABLE",
  "NET_BIND_SERVICE",
  "NET_BROADCAST",
  "NET_ADMIN",
  "NET_RAW",
  "IPC_LOCK",
  "IPC_OWNER",
  "SYS_MODULE",
  "SYS_RAWIO",
  "SYS_CHROOT",
  "SYS_PTRACE",
  "SYS_PACCT",
  "SYS_ADMIN",
  "SYS_BOOT",
  "SYS_NICE",
  "SYS_RESOURCE",
  "SYS_TIME",
  "SYS_TTY_CONFIG",
  "MKNOD",
  "LEASE",
  "AUDIT_WRITE",
  "AUDIT_CONTROL",
  "SETFCAP",
  "MAC_OVERRIDE",
  "MAC_ADMIN",
  "SYSLOG",
  "WAKE_ALARM",
  "BLOCK_SUSPEND",
  "AUDIT_READ",
  "PERFMON",
  "BPF",
  "CHECKPOINT_RESTORE",
] as const;

/** A capability's name without its prefix, as in `--cap-add NET_ADMIN`. */
export type CapabilityName = typeof NAMES[number];

/** A set of capabilities: bit N is capability N. The empty set is `0n`. */
export type CapabilitySet = bigint;

/** The number of the last capability that we have a name for. */
export const LAST_CAPABILITY = NAMES.length - 1;

/** Every capability that we have a name for. A kernel may know fewer: see {@linkcode capabilitiesUpTo}. */
export const ALL_CAPABILITIES: CapabilitySet = capabilitiesUpTo(LAST_CAPABILITY);

/** What Docker gives a container: 14 capabilities. */
export const DEFAULT_CAPABILITIES: CapabilitySet = capabilitySet([
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "NET_RAW",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
]);

/**
 * The number of a capability, by a name as users write it: `CAP_NET_ADMIN`, `net_admin`.
 * @returns `undefined` when there is no such capability. `ALL` is none: see {@linkcode combineCapabilities}.
 */
export function capabilityNumber(name: string): number | undefined {
  const upper = name.toUpperCase();
  const bare = upper.startsWith("CAP_") ? upper.slice(4) : upper;
  const number = (NAMES as readonly string[]).indexOf(bare);
  return number === -1 ? undefined : number;
}

/** The name of a capability as the OCI runtime-spec writes it: 21 is `CAP_SYS_ADMIN`. */
export function capabilityName(number: number): string {
  const name = NAMES[number];
  if (name === undefined) throw new RangeError(`No capability has the number ${number}`);
  return `CAP_${name}`;
}

/** The set of these capabilities. */
export function capabilitySet(names: Iterable<CapabilityName>): CapabilitySet {
  let set = 0n;
  for (const name of names) set |= 1n << BigInt(NAMES.indexOf(name));
  return set;
}

/**
 * All capabilities that a kernel knows.
 * @param last The last one's number, from /proc/sys/kernel/cap_last_cap.
 */
export function capabilitiesUpTo(last: number): CapabilitySet {
  return (1n << BigInt(last + 1)) - 1n;
}

/** Whether a set holds a capability. */
export function hasCapability(set: CapabilitySet, name: CapabilityName): boolean {
  return (set >> BigInt(NAMES.indexOf(name)) & 1n) === 1n;
}

/** The names of a set, `CAP_CHOWN` first; bits that have no name are left out. */
export function capabilityNames(set: CapabilitySet): string[] {
  const names: string[] = [];
  for (let number = 0; number <= LAST_CAPABILITY; number++) {
    if ((set >> BigInt(number) & 1n) === 1n) names.push(capabilityName(number));
  }
  return names;
}

/**
 * A set as the two 32-bit words of `struct __user_cap_data_struct` (capset(2), version 3).
 * @returns The low word (capabilities 0 to 31), then the high one.
 */
export function capabilityWords(set: CapabilitySet): [low: number, high: number] {
  return [Number(set & 0xffffffffn), Number(set >> 32n & 0xffffffffn)];
}

/**
 * What `--cap-add` and `--cap-drop` make of a set, as Docker reads them: adding ALL gives all but those dropped by
 * name; else dropping ALL leaves those added by name; else those dropped go and those added come, so that a name in
 * both lists stays.
 *
 * @param base What the container would have without either flag.
 * @param all What the kernel knows: {@linkcode capabilitiesUpTo}.
 * @param add Names with or without `CAP_`, or `ALL`, in any case.
 * @throws {RangeError} When a name is unknown. The request's schema has refused such names before.
 */
export function combineCapabilities(
  base: CapabilitySet,
  all: CapabilitySet,
  add: readonly string[],
  drop: readonly string[],
): CapabilitySet {
  const added = parseNames(add);
  const dropped = parseNames(drop);
  if (added.all) return all & ~dropped.set;
  if (dropped.all) return added.set & all;
  return (base & ~dropped.set | added.set) & all;
}

function parseNames(names: readonly string[]): { all: boolean; set: CapabilitySet } {
  let all = false;
  let set = 0n;
  for (const name of names) {
    if (isAllCapabilities(name)) {
      all = true;
      continue;
    }
    const number = capabilityNumber(name);
    if (number === undefined) throw new RangeError(`No capability is called "${name}"`);
    set |= 1n << BigInt(number);
  }
  return { all, set };
}

/** Whether a name stands for all capabilities: `ALL`, in any case (Docker takes `CAP_ALL` as well). */
export function isAllCapabilities(name: string): boolean {
  const upper = name.toUpperCase();
  return upper === "ALL" || upper === "CAP_ALL";
}
