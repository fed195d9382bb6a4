/**
 * config.json of a bundle (OCI runtime-spec 1.2, config.md and config-linux.md), read strictly: what is there has the type
 * that the specification gives it; keys that it does not name are passed over, as it demands.
 *
 * @module
 */
import * as v from "valibot";
import { DugoutError } from "./error.ts";
import { parseJson } from "./json.ts";
import { LIMITS } from "./limits.ts";
import type { ProcessSpec, ResourcesSpec, RuntimeSpec } from "./runtime_spec.ts";
import { countSchema, integerSchema, mapSchema, optional, parseSchema, stringsSchema } from "./schema.ts";
import { quote } from "./text.ts";

const MOST = { words: 100_000, mounts: 10_000, rules: 10_000, hooks: 1000, entries: LIMITS.configEntries } as const;
const LAST_ID = 2 ** 32 - 2;
const U64 = 0xffff_ffff_ffff_ffffn;

/** No NUL, which no call takes. */
const textSchema = v.pipe(v.string(), v.check((text) => !text.includes("\0"), "holds a NUL character"));
const textsSchema = v.pipe(v.array(textSchema), v.maxLength(MOST.words));
const absoluteSchema = v.pipe(textSchema, v.startsWith("/", "not an absolute path"));
const idSchema = v.pipe(countSchema, v.maxValue(LAST_ID));
const u64Schema = v.pipe(
  v.union([countSchema, v.bigint()], "not a whole number from 0"),
  v.transform((value) => BigInt(value)),
  v.check((value) => value >= 0n && value <= U64, "does not fit into 64 bits"),
);
/** A limit; one that JavaScript cannot hold exactly is none: -1. */
const limitSchema = v.pipe(
  v.union([integerSchema, v.bigint()], "not a whole number"),
  v.transform((value) => typeof value === "bigint" ? -1 : value),
);

const mappingsSchema = v.pipe(
  v.array(v.object({ containerID: idSchema, hostID: idSchema, size: v.pipe(countSchema, v.minValue(1)) })),
  v.maxLength(340),
);

const rlimitSchema = v.object({
  type: v.pipe(v.string(), v.regex(/^RLIMIT_[A-Z]{2,12}$/, "no resource limit, such as RLIMIT_NOFILE")),
  soft: u64Schema,
  hard: u64Schema,
});

const processSchema = v.object({
  terminal: optional(v.boolean()),
  consoleSize: optional(v.object({
    width: v.pipe(countSchema, v.maxValue(65535)),
    height: v.pipe(countSchema, v.maxValue(65535)),
  })),
  cwd: absoluteSchema,
  env: optional(textsSchema),
  args: optional(textsSchema),
  user: v.object({
    uid: v.optional(idSchema, 0),
    gid: v.optional(idSchema, 0),
    umask: optional(v.pipe(countSchema, v.maxValue(0o777))),
    additionalGids: optional(v.pipe(v.array(idSchema), v.maxLength(65536))),
  }),
  capabilities: optional(v.object({
    effective: optional(stringsSchema(1000)),
    bounding: optional(stringsSchema(1000)),
    inheritable: optional(stringsSchema(1000)),
    permitted: optional(stringsSchema(1000)),
    ambient: optional(stringsSchema(1000)),
  })),
  rlimits: optional(v.pipe(v.array(rlimitSchema), v.maxLength(64))),
  noNewPrivileges: optional(v.boolean()),
  apparmorProfile: optional(textSchema),
  selinuxLabel: optional(textSchema),
  oomScoreAdj: optional(v.pipe(integerSchema, v.minValue(-1000), v.maxValue(1000))),
  scheduler: optional(v.object({
    policy: v.string(),
    nice: optional(integerSchema),
    priority: optional(integerSchema),
    flags: optional(stringsSchema(16)),
    runtime: optional(countSchema),
    deadline: optional(countSchema),
    period: optional(countSchema),
  })),
  ioPriority: optional(v.object({
    class: v.picklist(["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]),
    priority: v.pipe(countSchema, v.maxValue(7)),
  })),
});

const mountSchema = v.object({
  destination: absoluteSchema,
  type: optional(textSchema),
  source: optional(textSchema),
  options: optional(textsSchema),
  uidMappings: optional(mappingsSchema),
  gidMappings: optional(mappingsSchema),
});

const hooksSchema = v.pipe(
  v.array(v.object({
    path: absoluteSchema,
    args: optional(textsSchema),
    env: optional(textsSchema),
    timeout: optional(v.pipe(countSchema, v.minValue(1))),
  })),
  v.maxLength(MOST.hooks),
);

const deviceSchema = v.object({
  type: v.picklist(["c", "b", "u", "p"]),
  path: absoluteSchema,
  major: optional(v.pipe(countSchema, v.maxValue(4095))),
  minor: optional(v.pipe(countSchema, v.maxValue(1048575))),
  fileMode: optional(countSchema),
  uid: optional(idSchema),
  gid: optional(idSchema),
});

const seccompSchema = v.object({
  defaultAction: v.string(),
  defaultErrnoRet: optional(countSchema),
  architectures: optional(stringsSchema(100)),
  flags: optional(stringsSchema(100)),
  listenerPath: optional(v.string()),
  syscalls: optional(v.pipe(
    v.array(v.object({
      names: stringsSchema(MOST.rules),
      action: v.string(),
      errnoRet: optional(countSchema),
      args: optional(v.pipe(
        v.array(v.object({
          index: countSchema,
          value: u64Schema,
          valueTwo: optional(u64Schema),
          op: v.string(),
        })),
        v.maxLength(1000),
      )),
    })),
    v.maxLength(MOST.rules),
  )),
});

const throttlesSchema = v.pipe(
  v.array(v.object({ major: countSchema, minor: countSchema, rate: limitSchema })),
  v.maxLength(1000),
);

const resourcesSchema = v.object({
  unified: optional(mapSchema(textSchema, 1000)),
  devices: optional(v.pipe(
    v.array(v.object({
      allow: v.boolean(),
      type: optional(v.picklist(["a", "c", "b"])),
      major: optional(integerSchema),
      minor: optional(integerSchema),
      access: optional(v.string()),
    })),
    v.maxLength(MOST.rules),
  )),
  pids: optional(v.object({ limit: v.optional(limitSchema, 0) })),
  memory: optional(v.object({
    limit: optional(limitSchema),
    reservation: optional(limitSchema),
    swap: optional(limitSchema),
    swappiness: optional(limitSchema),
    disableOOMKiller: optional(v.boolean()),
  })),
  cpu: optional(v.object({
    shares: optional(limitSchema),
    quota: optional(limitSchema),
    period: optional(limitSchema),
    cpus: optional(textSchema),
    mems: optional(textSchema),
    idle: optional(limitSchema),
    burst: optional(limitSchema),
  })),
  blockIO: optional(v.object({
    weight: optional(limitSchema),
    weightDevice: optional(v.array(v.object({ major: countSchema, minor: countSchema, weight: limitSchema }))),
    throttleReadBpsDevice: optional(throttlesSchema),
    throttleWriteBpsDevice: optional(throttlesSchema),
    throttleReadIOPSDevice: optional(throttlesSchema),
    throttleWriteIOPSDevice: optional(throttlesSchema),
  })),
  hugepageLimits: optional(v.pipe(
    v.array(v.object({ pageSize: textSchema, limit: limitSchema })),
    v.maxLength(100),
  )),
});

const offsetSchema = optional(v.object({
  secs: v.optional(integerSchema, 0),
  nanosecs: v.optional(v.pipe(countSchema, v.maxValue(999_999_999)), 0),
}));

const linuxSchema = v.object({
  namespaces: optional(v.pipe(
    v.array(v.object({
      type: v.picklist(["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"]),
      path: optional(textSchema),
    })),
    v.maxLength(16),
  )),
  uidMappings: optional(mappingsSchema),
  gidMappings: optional(mappingsSchema),
  timeOffsets: optional(v.object({ monotonic: offsetSchema, boottime: offsetSchema })),
  devices: optional(v.pipe(v.array(deviceSchema), v.maxLength(MOST.mounts))),
  cgroupsPath: optional(textSchema),
  resources: optional(resourcesSchema),
  // podman writes the recursive names, and means the same: it is always recursive
  rootfsPropagation: optional(v.pipe(
    v.string(),
    v.transform((text) => text.replace(/^r(?=s|p|u)/, "")),
    v.picklist(["shared", "slave", "private", "unbindable", ""], "no propagation that is known"),
  )),
  seccomp: optional(seccompSchema),
  sysctl: optional(mapSchema(textSchema, MOST.entries)),
  maskedPaths: optional(v.pipe(v.array(absoluteSchema), v.maxLength(MOST.mounts))),
  readonlyPaths: optional(v.pipe(v.array(absoluteSchema), v.maxLength(MOST.mounts))),
  mountLabel: optional(textSchema),
  personality: optional(v.object({
    domain: v.picklist(["LINUX", "LINUX32"]),
    flags: optional(stringsSchema(100)),
  })),
  intelRdt: optional(v.looseObject({})),
  netDevices: optional(v.looseObject({})),
});

const configSchema = v.object({
  ociVersion: v.pipe(
    v.string(),
    v.regex(/^1\.[0-9]{1,3}\.[0-9]{1,3}(?:[-+][0-9A-Za-z.+-]{1,64})?$/, "not a version 1.x"),
  ),
  hostname: optional(textSchema),
  domainname: optional(textSchema),
  process: optional(processSchema),
  root: optional(v.object({ path: textSchema, readonly: optional(v.boolean()) })),
  mounts: optional(v.pipe(v.array(mountSchema), v.maxLength(MOST.mounts))),
  hooks: optional(v.object({
    prestart: optional(hooksSchema),
    createRuntime: optional(hooksSchema),
    createContainer: optional(hooksSchema),
    startContainer: optional(hooksSchema),
    poststart: optional(hooksSchema),
    poststop: optional(hooksSchema),
  })),
  annotations: optional(mapSchema(v.string(), MOST.entries)),
  linux: optional(linuxSchema),
  vm: optional(v.looseObject({})),
});

/**
 * Reads a bundle's config.json.
 * @throws {DugoutError} JSON_*, CONFIG_INVALID with the field that does not fit, CONFIG_REFUSED for what cannot be had.
 */
export function parseRuntimeConfig(bytes: Uint8Array, what: string): RuntimeSpec {
  const json = parseJson(bytes, what, { maxBytes: LIMITS.configBytes, wide: true });
  const config = parseSchema(configSchema, json, what, "CONFIG_INVALID");
  refuse(config.vm !== undefined, "vm", "containers here are no virtual machines");
  const { linux, process } = config;
  refuse(linux?.intelRdt !== undefined, "linux.intelRdt", "Intel RDT groups are root's alone, and not of this runtime");
  refuse(linux?.netDevices !== undefined, "linux.netDevices", "moving devices of the machine is not of this runtime");
  refuse((linux?.mountLabel ?? "") !== "", "linux.mountLabel", "SELinux labels are not set by this runtime");
  refuseLabels(process);
  for (const [index, { uidMappings, gidMappings, options }] of (config.mounts ?? []).entries()) {
    const maps = uidMappings !== undefined || gidMappings !== undefined ||
      options?.some((option) => option === "idmap" || option === "ridmap");
    refuse(maps, `mounts.${index}.uidMappings`, "mounts with ids of their own are not of this runtime");
  }
  return config as RuntimeSpec;
}

/** Reads the process.json of `exec --process`. @throws {DugoutError} As {@linkcode parseRuntimeConfig}. */
export function parseProcess(bytes: Uint8Array, what: string): ProcessSpec {
  const json = parseJson(bytes, what, { maxBytes: LIMITS.configBytes, wide: true });
  const process = parseSchema(processSchema, json, what, "CONFIG_INVALID");
  refuseLabels(process);
  return process as ProcessSpec;
}

/** Reads the limits of `update --resources`. @throws {DugoutError} JSON_*, CONFIG_INVALID. */
export function parseResources(bytes: Uint8Array, what: string): ResourcesSpec {
  const json = parseJson(bytes, what, { maxBytes: LIMITS.configBytes, wide: true });
  return parseSchema(resourcesSchema, json, what, "CONFIG_INVALID") as ResourcesSpec;
}

function refuseLabels(
  process: { apparmorProfile?: string | undefined; selinuxLabel?: string | undefined } | undefined,
) {
  const profile = process?.apparmorProfile ?? "";
  refuse(
    profile !== "" && profile !== "unconfined",
    "process.apparmorProfile",
    `AppArmor profiles are not set by this runtime (${quote(profile)})`,
  );
  refuse((process?.selinuxLabel ?? "") !== "", "process.selinuxLabel", "SELinux labels are not set by this runtime");
}

function refuse(isThere: boolean | undefined, field: string, why: string): void {
  if (isThere) throw new DugoutError("CONFIG_REFUSED", `Cannot use config.json: ${field}: ${why}`);
}
