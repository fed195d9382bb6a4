/**
 * A request as JSON and back: a container on record is planned again from it each time it is started. Maps are lists of
 * pairs, numbers of 64 bits are text, what is undefined is null.
 *
 * A new field of {@linkcode RunRequest} does not compile until it stands in the schema here. Records are older than the
 * program that reads them: give it a default (`v.optional(…, …)`).
 *
 * @module
 */
import * as v from "valibot";
import { RLIMIT_NAMES } from "#linux/rlimits.ts";
import type { JsonValue } from "#oci/json.ts";
import { parseSchema } from "#oci/schema.ts";
import { newLimits } from "./limits.ts";
import type { RunOptions, RunRequest } from "./run_request.ts";

/** What a container keeps of the way that its maker went about it. */
export type KeptOptions = Pick<RunOptions, "rm" | "interactive" | "tty" | "detach" | "attach" | "rootfs">;

/** What a container is started from, each time. */
export interface KeptRequest {
  readonly request: RunRequest;
  readonly options: KeptOptions;
}

/** As plain data that JSON can hold. */
export function encodeRequest(request: RunRequest, options: KeptOptions): JsonValue {
  const { rm, interactive, tty, detach, attach, rootfs } = options;
  return encodeValue({ request, options: { rm, interactive, tty, detach, attach, rootfs } });
}

/**
 * Reads what {@linkcode encodeRequest} gave.
 * @throws {DugoutError} REQUEST_INVALID, with the first field that is not as it must be.
 */
export function decodeRequest(value: JsonValue): KeptRequest {
  return parseSchema(keptSchema(), value, "the record of a container", "REQUEST_INVALID");
}

function encodeValue(value: unknown): JsonValue {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return String(value);
  if (value instanceof Map) return [...value].map((pair) => pair.map(encodeValue));
  if (Array.isArray(value)) return value.map(encodeValue);
  if (typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, encodeValue(member)]));
  }
  return value as JsonValue;
}

/** A schema whose result is `T`, whatever it reads. */
type Reads<T> = v.GenericSchema<unknown, T>;

/** Made when a record is read: nothing else needs it. */
function keptSchema(): Reads<KeptRequest> {
  const text = v.string();
  const texts = v.array(text);
  const flag = v.boolean();
  const count = v.pipe(v.number(), v.safeInteger());
  const maybe = <T>(schema: Reads<T>): Reads<T | undefined> =>
    v.pipe(v.optional(v.nullable(schema), null), v.transform((value) => value ?? undefined));
  const textMap: Reads<Map<string, string>> = v.pipe(
    v.array(v.strictTuple([text, text])),
    v.transform((pairs) => new Map(pairs)),
  );
  const long: Reads<bigint> = v.pipe(v.string(), v.regex(/^-?[0-9]{1,20}$/), v.transform((digits) => BigInt(digits)));
  const one = <const Kind extends string>(...kinds: Kind[]) => v.picklist(kinds);
  const plain = <const Kind extends string>(kind: Kind) => v.strictObject({ kind: v.literal(kind) });

  const networkMode: Reads<RunRequest["network"]> = v.variant("kind", [
    plain("default"),
    plain("host"),
    plain("none"),
    v.strictObject({ kind: v.literal("container"), id: text }),
    v.strictObject({ kind: v.literal("bridge"), network: text }),
    plain("slirp"),
    plain("pasta"),
  ]);
  const other = v.strictObject({ kind: v.literal("container"), id: text });
  const range = v.strictObject({ first: count, last: count, protocol: one("tcp", "udp") });
  const mount: Reads<RunRequest["mounts"][number]> = v.variant("kind", [
    v.strictObject({
      kind: v.literal("bind"),
      source: text,
      target: text,
      readOnly: flag,
      readOnlyDepth: one("if-possible", "required", "top"),
      recursive: flag,
      propagation: one("private", "rprivate", "shared", "rshared", "slave", "rslave"),
      createSource: flag,
      relabel: maybe(one("shared", "private")),
    }),
    v.strictObject({
      kind: v.literal("volume"),
      name: maybe(text),
      target: text,
      readOnly: flag,
      noCopy: flag,
      subpath: maybe(text),
      driver: v.literal("local"),
      driverOptions: textMap,
      labels: textMap,
    }),
    v.strictObject({
      kind: v.literal("tmpfs"),
      target: text,
      readOnly: flag,
      exec: flag,
      suid: flag,
      dev: flag,
      atime: one("default", "noatime", "strictatime"),
      size: maybe(v.union([count, v.strictObject({ percent: count })])),
      inodes: maybe(count),
      mode: maybe(count),
      uid: maybe(count),
      gid: maybe(count),
    }),
    v.strictObject({
      kind: v.literal("image"),
      image: text,
      target: text,
      readOnly: flag,
      subpath: maybe(text),
    }),
  ]);

  const amounts = v.array(v.strictObject({ path: text, amount: count }));
  const limits: Reads<RunRequest["limits"]> = v.strictObject({
    mode: one("enforced", "best-effort"),
    memoryBytes: maybe(count),
    memoryReservationBytes: maybe(count),
    memorySwapBytes: maybe(count),
    nanoCpus: maybe(count),
    cpuShares: maybe(count),
    cpuPeriod: maybe(count),
    cpuQuota: maybe(count),
    cpusetCpus: maybe(text),
    cpusetMems: maybe(text),
    pidsLimit: maybe(count),
    blkioWeight: maybe(count),
    blkioWeightDevices: amounts,
    deviceReadBps: amounts,
    deviceWriteBps: amounts,
    deviceReadIops: amounts,
    deviceWriteIops: amounts,
    cgroupParent: maybe(text),
  });

  const request: Reads<RunRequest> = v.strictObject({
    image: maybe(text),
    command: maybe(texts),
    entrypoint: maybe(texts),
    env: v.array(v.strictTuple([text, text])),
    unsetEnv: v.optional(v.union([texts, v.literal("all")]), []),
    workingDir: maybe(text),
    user: maybe(text),
    groupAdd: texts,
    labels: textMap,
    annotations: textMap,
    hostname: maybe(text),
    domainname: maybe(text),
    extraHosts: v.array(v.strictObject({ name: text, address: v.union([text, plain("host-gateway")]) })),
    dns: v.strictObject({ servers: texts, search: texts, options: texts }),
    network: networkMode,
    endpoints: v.array(v.strictObject({
      network: networkMode,
      aliases: texts,
      ipv4: maybe(text),
      ipv6: maybe(text),
      linkLocal: texts,
      macAddress: maybe(text),
      driverOptions: textMap,
      gatewayPriority: count,
    })),
    egress: v.optional(
      v.array(v.strictObject({ action: v.picklist(["allow", "deny"]), to: maybe(text), port: maybe(count) })),
      [],
    ),
    links: v.optional(v.array(v.strictObject({ container: text, alias: text })), []),
    ports: v.array(v.strictObject({
      hostAddress: maybe(text),
      hostPorts: maybe(v.strictObject({ first: count, last: count })),
      containerPorts: range,
    })),
    exposedPorts: v.array(range),
    publishAll: flag,
    mounts: v.array(mount),
    volumesFrom: v.array(v.strictObject({ container: text, readOnly: maybe(flag) })),
    devices: v.array(v.strictObject({
      hostPath: text,
      containerPath: text,
      access: v.strictObject({ read: flag, write: flag, mknod: flag }),
    })),
    readOnlyRoot: flag,
    shmSizeBytes: count,
    privileged: flag,
    capAdd: texts,
    capDrop: texts,
    security: v.strictObject({
      seccomp: v.union([one("default", "unconfined"), v.strictObject({ text })]),
      noNewPrivileges: flag,
      apparmor: maybe(v.literal("unconfined")),
      label: maybe(v.literal("disable")),
      systemPaths: one("default", "unconfined"),
      mask: texts,
      unmask: v.union([v.literal("all"), texts]),
      writableCgroups: flag,
    }),
    userns: v.variant("kind", [
      plain("default"),
      plain("host"),
      v.strictObject({ kind: v.literal("keep-id"), uid: maybe(count), gid: maybe(count) }),
      plain("nomap"),
      other,
    ]),
    pid: v.variant("kind", [plain("private"), plain("host"), other]),
    ipc: v.variant("kind", [
      plain("default"),
      plain("private"),
      plain("shareable"),
      plain("none"),
      plain("host"),
      other,
    ]),
    uts: v.variant("kind", [plain("private"), plain("host"), other]),
    cgroupns: one("private", "host"),
    limits: v.optional(limits, newLimits),
    ulimits: v.array(v.strictObject({ name: v.picklist(RLIMIT_NAMES), soft: long, hard: long })),
    sysctls: textMap,
    oomScoreAdj: maybe(count),
    init: flag,
    stopSignal: maybe(count),
    stopTimeoutSeconds: maybe(count),
    health: v.variant("kind", [
      v.strictObject({
        kind: v.literal("image"),
        command: maybe(text),
        intervalNs: maybe(count),
        timeoutNs: maybe(count),
        startPeriodNs: maybe(count),
        startIntervalNs: maybe(count),
        retries: maybe(count),
        onFailure: v.exactOptional(one("kill", "restart", "stop")),
      }),
      plain("none"),
    ]),
    restart: v.variant("kind", [
      plain("no"),
      plain("always"),
      plain("unless-stopped"),
      v.strictObject({ kind: v.literal("on-failure"), maxRetries: count }),
    ]),
    log: v.strictObject({ driver: one("json-file", "local", "none"), options: textMap }),
  });
  const options: Reads<KeptOptions> = v.strictObject({
    rm: flag,
    interactive: flag,
    tty: flag,
    detach: flag,
    attach: maybe(v.array(one("stdin", "stdout", "stderr"))),
    rootfs: maybe(v.strictObject({ path: text, overlay: flag })),
  });
  return v.strictObject({ request, options });
}
