import {
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
} from "#linux/mount.ts";

/** What the options of an OCI mount mean (runtime-spec, config-linux.md; mount(8)). */
export interface MountOptions {
  /** MOUNT_ATTR_* to set, and to clear. */
  readonly set: number;
  readonly clear: number;
  /** MS_PRIVATE, MS_SLAVE or MS_SHARED; undefined leaves it as it is. */
  readonly propagation: number | undefined;
  /** Whether that holds for the mounts below as well: `rprivate` and its kin. */
  readonly recursivePropagation: boolean;
  readonly bind: boolean;
  readonly recursive: boolean;
  /** Whether read-only and its kin hold for the mounts below as well (`rro` …, and docker's `ro` since API 1.44). */
  readonly recursiveAttributes: boolean;
  /** `key=value` and `key` of the file system itself. */
  readonly data: readonly (readonly [key: string, value: string | undefined])[];
  /** `x-subpath=PATH`, an extension of ours: what is mounted is found beneath the source, by the kernel. */
  readonly subpath: string | undefined;
  /** `x-lower=DIRECTORY`, of type `overlay`, topmost first: an overlay that nobody writes to. */
  readonly lowers: readonly string[];
}

const ATTRIBUTES: Readonly<Record<string, readonly [attribute: number, set: boolean]>> = {
  ro: [MOUNT_ATTR_RDONLY, true],
  rw: [MOUNT_ATTR_RDONLY, false],
  nosuid: [MOUNT_ATTR_NOSUID, true],
  suid: [MOUNT_ATTR_NOSUID, false],
  nodev: [MOUNT_ATTR_NODEV, true],
  dev: [MOUNT_ATTR_NODEV, false],
  noexec: [MOUNT_ATTR_NOEXEC, true],
  exec: [MOUNT_ATTR_NOEXEC, false],
};

const PROPAGATIONS: Readonly<Record<string, number>> = {
  private: MS_PRIVATE,
  rprivate: MS_PRIVATE,
  slave: MS_SLAVE,
  rslave: MS_SLAVE,
  shared: MS_SHARED,
  rshared: MS_SHARED,
  unbindable: MS_UNBINDABLE,
  runbindable: MS_UNBINDABLE,
};

/** Reads the options of an OCI mount. Those that are not known are the file system's own. */
export function parseMountOptions(options: readonly string[]): MountOptions {
  let set = 0;
  let clear = 0;
  let propagation: number | undefined;
  let recursivePropagation = false;
  let bind = false;
  let recursive = false;
  let recursiveAttributes = false;
  let subpath: string | undefined;
  const lowers: string[] = [];
  const data: [string, string | undefined][] = [];
  for (const option of options) {
    const attribute = ATTRIBUTES[option] ?? (option.startsWith("r") ? ATTRIBUTES[option.slice(1)] : undefined);
    if (attribute !== undefined && Object.hasOwn(ATTRIBUTES, option.replace(/^r(?=ro$|rw$|no|suid|dev|exec)/, ""))) {
      recursiveAttributes ||= !Object.hasOwn(ATTRIBUTES, option);
      const [flag, on] = attribute;
      set = on ? set | flag : set & ~flag;
      clear = on ? clear & ~flag : clear | flag;
    } else if (Object.hasOwn(PROPAGATIONS, option)) {
      propagation = PROPAGATIONS[option]!;
      recursivePropagation = option.startsWith("r");
    } else if (option === "bind" || option === "rbind") {
      bind = true;
      recursive ||= option === "rbind";
    } else if (option.startsWith("x-subpath=")) {
      subpath = option.slice("x-subpath=".length);
    } else if (option.startsWith("x-lower=")) {
      lowers.push(option.slice("x-lower=".length));
    } else if (option !== "defaults" && option !== "relatime" && option !== "norelatime" && option !== "strictatime") {
      const equals = option.indexOf("=");
      data.push(equals < 0 ? [option, undefined] : [option.slice(0, equals), option.slice(equals + 1)]);
    }
  }
  return { set, clear, propagation, recursivePropagation, bind, recursive, recursiveAttributes, data, subpath, lowers };
}

/** The options that are not a file system's own, for `features` of the runtime-spec. */
export const KNOWN_MOUNT_OPTIONS: readonly string[] = [
  ...Object.keys(ATTRIBUTES).flatMap((name) => [name, `r${name}`]),
  ...Object.keys(PROPAGATIONS),
  "bind",
  "rbind",
  "defaults",
  "relatime",
  "norelatime",
  "strictatime",
].sort();
