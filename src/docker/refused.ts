/**
 * Flags of Docker's that cannot be had, each with the reason: for good, or in this version. Docker and Podman drop such
 * wishes with a warning; we refuse them with exit code 125 (A-045, C-064).
 *
 * A value that means "unset" is no use of a flag: Docker's own client sends such values always.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";

/** Flags by their long name without dashes: switches as booleans, values as text, repeatable ones as lists. */
export type FlagValues = ReadonlyMap<string, boolean | string | readonly string[]>;

/** Why a flag is refused. */
export interface Refusal {
  /** One line that fits behind the flag and a colon. */
  readonly reason: string;
  /** `never`: a user without root cannot have it. `not-yet`: a later version can. */
  readonly when: "never" | "not-yet";
  /** Values that ask for nothing. */
  readonly unset: readonly string[];
  readonly hint?: string;
}

const NUMBER_UNSET = ["", "0"];

function never(reason: string, unset: readonly string[] = [""], hint?: string): Refusal {
  return { reason, when: "never", unset, ...(hint === undefined ? {} : { hint }) };
}

function notYet(reason: string, unset: readonly string[] = [""], hint?: string): Refusal {
  return { reason, when: "not-yet", unset, ...(hint === undefined ? {} : { hint }) };
}

function network(what: string, unset: readonly string[] = [""]): Refusal {
  return notYet(`${what} needs the network stack that this version does not have yet`, unset, NETWORK_HINT);
}

const NETWORK_HINT = "--network host shares the machine's network, --network none has a loopback alone";
const WINDOWS = "it is for Windows containers";
const REAL_TIME = "real-time scheduling by cgroup needs cgroup v1 and root";

/** Flag, without dashes, → why it is refused. */
export const REFUSED: ReadonlyMap<string, Refusal> = new Map([
  // for good
  ["cpu-rt-period", never(REAL_TIME, NUMBER_UNSET)],
  ["cpu-rt-runtime", never(REAL_TIME, NUMBER_UNSET)],
  ["memory-swappiness", never("cgroup v2 has no swappiness of a group's own", ["", "-1"])],
  ["oom-kill-disable", never("cgroup v2 cannot turn the out-of-memory killer off", ["", "false"])],
  ["kernel-memory", never("Linux and Docker's API have dropped it", NUMBER_UNSET)],
  [
    "device-cgroup-rule",
    never(
      "device rules are BPF programs, which the kernel refuses to users",
      [""],
      "--device passes a device that you may open",
    ),
  ],
  ["pod", never("there are no pods; --network, --pid and --ipc container:NAME share what pods share")],
  ["secret", notYet("secrets are not there yet", [""], "mount a file: -v FILE:/run/secrets/NAME:ro")],
  ["cpu-count", never(WINDOWS, NUMBER_UNSET)],
  ["cpu-percent", never(WINDOWS, NUMBER_UNSET)],
  ["io-maxbandwidth", never(WINDOWS, NUMBER_UNSET)],
  ["io-maxiops", never(WINDOWS, NUMBER_UNSET)],

  ["link-local-ip", never("addresses of a link are the kernel's own here; --ip6 chooses one of the network")],

  // until containers outlive the command

  // others
  [
    "gpus",
    notYet(
      "the Container Device Interface is not in this version yet",
      [""],
      "--device passes a device that you may open",
    ),
  ],
  [
    "storage-opt",
    never("size limits of a root file system need project quotas, which only root can set", [""], "--tmpfs has a size"),
  ],
  ["use-api-socket", notYet("there is no API in this version yet", ["", "false"])],
]);

/** Flags of which only some values are refused: here is what may be said. */
const ALLOWED_VALUES: ReadonlyMap<string, { readonly allowed: readonly string[]; readonly refusal: Refusal }> = new Map(
  [
    ["runtime", { allowed: ["", "dugout"], refusal: notYet("other OCI runtimes are not in this version yet") }],
    ["isolation", { allowed: ["", "default"], refusal: never(WINDOWS) }],
    ["volume-driver", { allowed: ["", "local"], refusal: never('the only volume driver is "local"') }],
  ],
);

/**
 * Why a flag with this value is refused.
 * @returns `undefined` when it is not, or when the value asks for nothing.
 */
export function findRefusal(flag: string, value: boolean | string | readonly string[]): Refusal | undefined {
  const values = typeof value === "object" ? value : [String(value)];
  const limited = ALLOWED_VALUES.get(flag);
  if (limited !== undefined) {
    return values.every((text) => limited.allowed.includes(text)) ? undefined : limited.refusal;
  }
  const refusal = REFUSED.get(flag);
  if (refusal === undefined || values.every((text) => refusal.unset.includes(text))) return undefined;
  return refusal;
}

/** The error for a refused flag: exit code 125 and one line. */
export function refusalError(flag: string, { reason, hint }: Refusal): DugoutError {
  return new DugoutError("FLAG_REFUSED", `Cannot use --${flag}: ${reason}`, { hint });
}

/**
 * Refuses the first flag that cannot be had.
 * @throws {DugoutError} FLAG_REFUSED.
 */
export function refuseFlags(flags: FlagValues): void {
  for (const [flag, value] of flags) {
    const refusal = findRefusal(flag, value);
    if (refusal !== undefined) throw refusalError(flag, refusal);
  }
}

/** The networks that are there already; the others are refused with their name. */
export function refuseNetwork(kind: string): Refusal | undefined {
  if (kind === "default" || kind === "host" || kind === "none" || kind === "container" || kind === "bridge") {
    return undefined;
  }
  return network(`a network stack of the container's own`);
}
