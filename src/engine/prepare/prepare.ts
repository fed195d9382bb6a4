/**
 * From a request and an image to a container that can be started: its directory, its specification, its tape.
 *
 * @module
 */
import * as fs from "node:fs";
import { basename, join } from "node:path";
import { HOST_ARCH } from "#linux/arch.ts";
import { batchJob } from "#linux/batch_job.ts";
import { type IdMap, insideId, isSingle, mapName, outsideId } from "#linux/idmap.ts";
import { machineName } from "#linux/machine.ts";
import { planSeccomp } from "#linux/seccomp.ts";
import { statFileSystem } from "#linux/statfs.ts";
import { SIGNALS } from "#linux/signals.ts";
import { CGROUP2_SUPER_MAGIC } from "#linux/cgroup.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import type { RunConfig } from "#oci/image_config.ts";
import type { MountSpec, RuntimeSpec } from "#oci/runtime_spec.ts";
import type { RunRequest } from "#docker/run_request.ts";
import { planContainer } from "#runtime/container.ts";
import { chooseIdMap, isMapped } from "#runtime/identity.ts";
import type { Digest } from "#oci/digest.ts";
import { lockedFlags } from "#runtime/mount_steps.ts";
import { planPreserved } from "#runtime/preserved_fds.ts";
import { resolveInLayers } from "#runtime/resolve.ts";
import {
  type ContainerSetup,
  type ParentPlan,
  requireProcess,
  type RootfsPlan,
  type StdioPlan,
} from "#runtime/setup.ts";
import { MAX_ACCOUNT_FILE_BYTES, type ResolvedUser, resolveUser } from "#runtime/users.ts";
import type { LayersPath } from "#storage/layers.ts";
import type { Tape } from "#tape/step.ts";
import type { ContainerDirectory } from "../record/container_directory.ts";
import { deviceMounts } from "./devices.ts";
import type { Engine } from "../engine.ts";
import { hostsText, resolvText } from "./etc_files.ts";
import type { Networking } from "../network/networking.ts";
import { sharesHostNetwork, wantsNetworks } from "../network/wants_networks.ts";
import { type ContainerLimits, groupSetup } from "./limits.ts";
import { mapOf, shareNamespaces } from "./join.ts";
import { containerCapabilities, makeSpec } from "./spec.ts";
import { encodeSpecFile, makeSpecFile, SPEC_FILE } from "./spec_file.ts";
import { type OpenedMount, volumeMounts } from "../volumes/volume_mounts.ts";

/** What a container's root file system is made of: layers that are on this machine's disk, or a directory. */
export interface RootSource {
  /** The image's configuration; of a directory, nothing. */
  readonly config: RunConfig;
  /** Directories that lie over each other, topmost first. */
  readonly lowers: readonly string[];
  readonly rootfs: RootfsPlan;
  /** Of the image; of a directory, none. */
  readonly imageId?: Digest;
  /** The layers, topmost first, that have to be copied to where `rootfs` is: the vfs driver. */
  readonly copyOf?: { readonly layers: LayersPath; readonly map: IdMap; readonly diffIds: readonly Digest[] };
}

/** A container that can be started. */
export interface Prepared {
  readonly spec: RuntimeSpec;
  readonly setup: ContainerSetup;
  readonly tape: Tape;
  readonly user: ResolvedUser;
  /** Files that the engine has to write before the start: path and text. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
}

/** What preparing depends on beside the request. */
export interface PrepareInput {
  readonly engine: Engine;
  readonly request: RunRequest;
  readonly map: IdMap;
  readonly user: ResolvedUser;
  readonly root: RootSource;
  readonly directory: ContainerDirectory;
  readonly mounts: readonly OpenedMount[];
  readonly stdio: StdioPlan;
  /** Whether the monitor goes on with a tape of its own, which keeps the output. */
  readonly keepsOutput: boolean;
  /** Descriptors of the caller's that it keeps. */
  readonly preservedFds?: readonly number[];
  /** Whether it lives on when its caller is gone. */
  readonly outlivesCaller?: boolean;
  /** Whether a terminal of the caller's is among the container's descriptors. */
  readonly guardTerminal: boolean;
  readonly terminal: { rows: number; columns: number } | undefined;
  /** The file of the user namespace with {@linkcode parentMap}, where that is there already. */
  readonly parentFile?: string | undefined;
  readonly limits: ContainerLimits | undefined;
  /** The networks that it has joined. */
  readonly networking?: Networking | undefined;
}

const SINGLE_ROOT_ID = { uid: 0, gid: 0 };

/**
 * The container's user and id map. With a single id the user decides what it is called inside; with a range the map
 * comes first, and an id outside of it is refused (C-019).
 */
export function chooseUser(
  engine: Engine,
  request: RunRequest,
  source: { lowers: readonly string[]; config: RunConfig },
): { map: IdMap; user: ResolvedUser } {
  const mode = usernsMode(request);
  const shared = request.userns.kind === "container" ? mapOf(engine, request.userns.id) : undefined;
  const keepId = mode.kind === "keep-id"
    ? { uid: mode.uid ?? engine.identity.uid, gid: mode.gid ?? engine.identity.gid }
    : undefined;
  const wanted = request.user ?? (keepId === undefined ? source.config.User : `${keepId.uid}:${keepId.gid}`);
  const user = resolveUser({
    user: wanted,
    groupAdd: request.groupAdd,
    passwd: readAccounts(source.lowers, "/etc/passwd"),
    group: readAccounts(source.lowers, "/etc/group"),
  });
  const map = shared ?? chooseIdMap(engine.identity, mode, keepId ?? (wanted === undefined ? SINGLE_ROOT_ID : user));
  // of another container's single id the user cannot choose the name
  if (isSingle(map) && (shared === undefined || request.user === undefined || user.uid === map.uid[0]!.inside)) {
    checkSingleGroups(engine, request, map);
    return { map, user: { ...user, uid: map.uid[0]!.inside, gid: map.gid[0]!.inside, additionalGids: [] } };
  }
  checkMapped(map, user);
  return { map, user };
}

/** With one id the kernel lets nobody choose groups: those of the caller stay. @throws {DugoutError} ID_NOT_MAPPED. */
function checkSingleGroups({ identity }: Engine, { groupAdd }: RunRequest, map: IdMap): void {
  const own = ["keep-groups", String(map.gid[0]!.inside)];
  const other = groupAdd.find((group) => !own.includes(group));
  if (other === undefined) return;
  throw new DugoutError(
    "ID_NOT_MAPPED",
    `Cannot use --group-add ${quote(other)}: the container has one id alone, ${identity.reason}`,
    { hint: "your own groups are kept as they are; `dugout check` says what to ask the administrator for" },
  );
}

/** The map with which a container's layers are unpacked, whoever runs in it: of single ids all are alike. */
export function layerMap(engine: Engine, request: RunRequest): IdMap {
  return request.userns.kind === "container"
    ? mapOf(engine, request.userns.id)
    : chooseIdMap(engine.identity, usernsMode(request), SINGLE_ROOT_ID);
}

/** @throws {DugoutError} ID_NOT_MAPPED. */
function checkMapped(map: IdMap, user: ResolvedUser): void {
  for (
    const [what, ranges, ids] of [["user", map.uid, [user.uid]], ["group", map.gid, [
      user.gid,
      ...user.additionalGids,
    ]]] as const
  ) {
    const missing = ids.find((id) => outsideId(ranges, id) === undefined);
    if (missing !== undefined) {
      const last = Math.max(...ranges.map((range) => range.inside + range.count - 1));
      throw new DugoutError(
        "ID_NOT_MAPPED",
        `Cannot run as ${what} ${missing}: it is outside of the range of ids that you have, 0 to ${last}`,
        {
          hint: "choose a smaller id, or ask the administrator for a larger range in /etc/subuid and /etc/subgid",
        },
      );
    }
  }
}

/**
 * The ids of the user namespace in which that of a container is made: all that the user has. Undefined where another container's
 * is joined, where there is one id only, which needs nobody to be mapped, for root, who maps ids without programs, and in networks,
 * where it is made in the one that these belong to.
 */
export function parentMap({ identity }: Engine, request: RunRequest): IdMap | undefined {
  const joins = [request.pid, request.ipc, request.uts, request.network, request.userns].some(({ kind }) =>
    kind === "container"
  );
  if (identity.ranges === undefined || identity.uid === 0 || joins || wantsNetworks(request)) return undefined;
  return chooseIdMap(identity, { kind: "default" }, SINGLE_ROOT_ID);
}

/** `host` is what a rootless engine has anyway: the caller is root inside. */
function usernsMode({ userns: mode }: RunRequest) {
  if (mode.kind === "nomap") return { kind: "nomap" as const };
  if (mode.kind !== "keep-id") return { kind: "default" as const };
  return {
    kind: "keep-id" as const,
    ...(mode.uid === undefined ? {} : { uid: mode.uid }),
    ...(mode.gid === undefined ? {} : { gid: mode.gid }),
  };
}

function readAccounts(lowers: readonly string[], path: string): Uint8Array | undefined {
  const found = resolveInLayers(lowers, path);
  if (found.kind !== "file" || found.hostPath === undefined) return undefined;
  let fd: number;
  try {
    // the last part is no link any more, unless somebody has just put one there
    fd = fs.openSync(found.hostPath, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
  } catch {
    // closed to us: as good as not there, numbers still work (C-020)
    return undefined;
  }
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile()) return undefined;
    const bytes = new Uint8Array(Math.min(stat.size, MAX_ACCOUNT_FILE_BYTES + 1));
    return bytes.subarray(0, fs.readSync(fd, bytes));
  } finally {
    fs.closeSync(fd);
  }
}

/** Plans a container; writes nothing. */
export function prepareContainer(input: PrepareInput): Prepared {
  const { engine, directory, map, user, root, stdio, networking } = input;
  const { request, joined, shmNamespace, etcDirectory } = shareNamespaces(engine, input.request, map);
  const sharesNetwork = networking === undefined && sharesHostNetwork(request);
  const hostname = request.hostname ?? (etcDirectory === undefined ? undefined : readHostname(etcDirectory)) ??
    (sharesNetwork || request.uts.kind === "host" ? machineName() : directory.id.slice(0, 12));
  const files = [
    ...(etcDirectory === undefined
      ? etcFiles({ ...input, request }, hostname, sharesNetwork)
      : copyEtcFiles(directory, etcDirectory)),
    ...aptFile(input),
  ];
  const mounts: MountSpec[] = [
    ...files.map(({ path, destination }) => bindFile(path, destination)),
    ...deviceMounts(request),
    ...volumeMounts(engine, input.mounts),
  ];
  const spec = makeSpec({
    request,
    image: root.config,
    user,
    hostname,
    terminal: input.terminal,
    lastCapability: engine.host.lastCapability,
    ownNetwork: request.network.kind === "none" || networking !== undefined,
    ttyGroupMapped: outsideId(map.gid, 5) !== undefined,
    cgroup2: hasCgroup2() ? "/sys/fs/cgroup" : undefined,
    joined,
    mounts: withoutCovered(mounts),
    existing: fs.existsSync,
    limits: input.limits,
  });
  const layers = root.rootfs.kind === "directory" || root.rootfs.kind === "tree"
    ? root.lowers
    : [directory.upper, ...root.lowers];
  const profile = request.privileged && request.security.seccomp === "default"
    ? "unconfined"
    : request.security.seccomp;
  const filter = refusing(() =>
    planSeccomp({
      arch: HOST_ARCH,
      profile,
      capabilities: containerCapabilities(request, engine.host.lastCapability),
      kernel: engine.kernel,
      singleId: isSingle(map) && map.uid[0]!.inside === 0,
      guardTerminal: input.guardTerminal,
    })
  );
  // of one that is only explained nothing is there yet
  const volumes = new Set(input.mounts.flatMap((mount) => mount.kind === "volume" ? [mount.source] : []));
  const setup: ContainerSetup = {
    spec,
    rootfs: root.rootfs,
    map,
    callerId: isMapped(map, engine.identity) ? insideId(map.uid, engine.identity.uid) : undefined,
    parent: parentPlan(input),
    ...(shmNamespace === undefined ? {} : { shmNamespace }),
    ...(networking === undefined ? {} : { attachment: networking.attachment }),
    host: engine.host,
    stdio,
    ...(input.preservedFds?.length ? { preserved: planPreserved(input.preservedFds) } : {}),
    keepsOutput: input.keepsOutput,
    init: request.init,
    group: groupSetup(directory.id, input.limits?.group),
    affinity: input.limits?.affinity,
    filter,
    filterHidesKeys: profile === "default",
    // without an id of the caller's, nothing else of theirs either
    keepGroups: request.groupAdd.includes("keep-groups") ||
      (user.uid === 0 && request.groupAdd.length === 0 && request.userns.kind !== "nomap"),
    deathSignal: input.outlivesCaller || batchJob() === undefined ? undefined : SIGNALS.KILL,
    resolve: (path) => resolveInLayers(layers, path).path,
    lockedFlags: (source) => lockedFlags(statFileSystem(source).flags),
    // what is not there yet are files that the engine writes before the start
    maskKind,
    sourceKind: (source) => volumes.has(source) ? "directory" : sourceKind(source),
  };
  // for those who enter it later
  const entry = encodeSpecFile(makeSpecFile(setup, requireProcess(spec), request, root.config));
  return {
    spec,
    setup,
    tape: refusing(() => planContainer(setup)),
    user,
    files: [...files, { path: join(directory.path, SPEC_FILE), text: entry }],
  };
}

/** fuse-overlayfs is mounted in the monitor's namespace: of another one the mount would be locked in the container's. */
function parentPlan({ engine, request, root, parentFile }: PrepareInput): ParentPlan | undefined {
  const map = root.rootfs.kind === "fuse-overlayfs" ? undefined : parentMap(engine, request);
  return map === undefined ? undefined : { map, file: parentFile };
}

/** What is asked for and cannot be planned (too many layers, too long a filter) is the user's to know. */
function refusing<Value>(plan: () => Value): Value {
  try {
    return plan();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new DugoutError("PLAN_IMPOSSIBLE", `Cannot plan the container: ${error.message}`, { cause: error });
  }
}

/** What a source is, as far as one can tell from outside of the container's ids; most are directories. */
function sourceKind(source: string): "file" | "directory" {
  try {
    return fs.statSync(source, { throwIfNoEntry: false })?.isDirectory() ? "directory" : "file";
  } catch {
    return "directory";
  }
}

/** /proc and /sys show the same in the container; of other paths nothing is known. */
function maskKind(path: string): "file" | "directory" | undefined {
  if (!/^\/(proc|sys)\//.test(path)) return undefined;
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : stat.isDirectory() ? "directory" : "file";
}

/** Whether the machine's control groups are version 2 alone. */
export function hasCgroup2(): boolean {
  return fs.existsSync("/sys/fs/cgroup") && statFileSystem("/sys/fs/cgroup").type === CGROUP2_SUPER_MAGIC;
}

function bindFile(source: string, destination: string): MountSpec {
  return { destination, type: "bind", source, options: ["bind", "rprivate"] };
}

/** Of two mounts at one place the later one, the user's, counts. */
function withoutCovered(mounts: readonly MountSpec[]): MountSpec[] {
  return mounts.filter((mount, index) =>
    !mounts.slice(index + 1).some((later) => later.destination === mount.destination)
  );
}

interface EtcFile {
  readonly path: string;
  readonly text: string;
  readonly destination: string;
}

function etcFiles(
  { request, directory, networking }: PrepareInput,
  hostname: string,
  sharesNetwork: boolean,
): EtcFile[] {
  const added = [
    ...(networking?.links ?? []),
    ...request.extraHosts.map(({ name, address }) => ({
      name,
      // the host is itself where its network is shared
      address: typeof address === "string" ? address : networking === undefined ? "127.0.0.1" : networking.hostAddress,
    })),
  ];
  const ownName = request.domainname === undefined ? hostname : `${hostname}.${request.domainname} ${hostname}`;
  const own = (networking?.addresses ?? ["127.0.1.1"]).map((address) => ({ name: ownName, address }));
  return [
    {
      path: join(directory.path, "hosts"),
      text: hostsText(sharesNetwork ? readQuietly("/etc/hosts") : undefined, own, added),
      destination: "/etc/hosts",
    },
    { path: join(directory.path, "hostname"), text: `${hostname}\n`, destination: "/etc/hostname" },
    {
      path: join(directory.path, "resolv.conf"),
      text: resolvText(readQuietly("/etc/resolv.conf"), {
        servers: request.dns.servers.length > 0 ? request.dns.servers : networking?.nameServers ?? [],
        searches: request.dns.search,
        options: request.dns.options,
      }),
      destination: "/etc/resolv.conf",
    },
  ];
}

/** Whoever shares another container's network has its names and servers as well, as with docker. */
function copyEtcFiles(directory: ContainerDirectory, from: string): EtcFile[] {
  return ["hosts", "hostname", "resolv.conf"].map((name) => ({
    path: join(directory.path, name),
    text: readQuietly(join(from, name)),
    destination: `/etc/${name}`,
  }));
}

function readHostname(directory: string): string | undefined {
  return readQuietly(join(directory, "hostname")).trim() || undefined;
}

function readQuietly(path: string): string {
  try {
    return fs.readFileSync(path, "utf8");
  } catch {
    // a machine need not have it
    return "";
  }
}

/**
 * With a single id apt must not try to become the user _apt: changing ids is answered with success, and apt looks
 * whether they have changed ("Could not switch group").
 */
function aptFile({ map, root, directory }: PrepareInput): EtcFile[] {
  if (
    !isSingle(map) || root.rootfs.kind === "tree" ||
    resolveInLayers(root.lowers, "/etc/apt/apt.conf.d").kind !== "directory"
  ) {
    return [];
  }
  const name = "99-single-id";
  return [{
    path: join(directory.path, name),
    text: 'APT::Sandbox::User "root";\n',
    destination: `/etc/apt/apt.conf.d/${name}`,
  }];
}

/** A name for a container's record of its root: the layers and the map they were unpacked with. */
export function describeRoot(root: RootSource, map: IdMap): { map: string; lowers: string[] } {
  return { map: mapName(map), lowers: root.lowers.map((path) => basename(join(path, ".."))) };
}
