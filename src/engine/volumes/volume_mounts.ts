import * as fs from "node:fs";
import { DugoutError } from "#oci/error.ts";
import type { Digest } from "#oci/digest.ts";
import type { RunConfig } from "#oci/image_config.ts";
import type { MountSpec } from "#oci/runtime_spec.ts";
import { quote } from "#oci/text.ts";
import type { BindRequest, RunRequest, TmpfsRequest } from "#docker/run_request.ts";
import type { Engine } from "../engine.ts";

/** A mount for which everything is there. */
export type OpenedMount = BindRequest | TmpfsRequest | OpenedVolume | OpenedImage;

/** A volume that is there. */
export interface OpenedVolume {
  readonly kind: "volume";
  readonly name: string;
  /** Whether it goes with the container. */
  readonly isAnonymous: boolean;
  /** The volume's directory, and the data in it. */
  readonly path: string;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly noCopy: boolean;
  readonly subpath: string | undefined;
  /** Of the driver `local`. */
  readonly options: ReadonlyMap<string, string>;
}

/** An image whose layers are unpacked. */
export interface OpenedImage {
  readonly kind: "image";
  readonly image: string;
  readonly imageId: Digest;
  /** Topmost first. */
  readonly lowers: readonly string[];
  /** An empty directory where layers are laid over each other. */
  readonly place: string;
  readonly target: string;
  readonly subpath: string | undefined;
}

/** Whether a run has mounts that {@linkcode OpenedMount}s have to be made of first. */
export function needsOpening(request: RunRequest, config: RunConfig): boolean {
  return request.volumesFrom.length > 0 || (config.Volumes?.length ?? 0) > 0 ||
    request.mounts.some(({ kind }) => kind === "volume" || kind === "image");
}

/** The mounts of a run that needs none opened. */
export function plainMounts(request: RunRequest): OpenedMount[] {
  return request.mounts.flatMap((mount) => mount.kind === "bind" || mount.kind === "tmpfs" ? [mount] : []);
}

/** The mounts of the specification. Missing sources of binds are made where that was asked for. */
export function volumeMounts(engine: Engine, mounts: readonly OpenedMount[]): MountSpec[] {
  return mounts.map((mount) => mountOf(engine, mount));
}

function mountOf(engine: Engine, mount: OpenedMount): MountSpec {
  switch (mount.kind) {
    case "bind":
      return bindMount(engine, mount);
    case "tmpfs":
      return tmpfsMount(mount);
    case "volume":
      return volumeMount(mount);
    case "image":
      return imageMount(mount);
    default:
      throw new Error(`Unknown mount ${mount satisfies never}`);
  }
}

function volumeMount({ source, target, readOnly, subpath, options }: OpenedVolume): MountSpec {
  const flags = (options.get("o") ?? "").split(",").filter((flag) => flag !== "");
  const restrictions = [...(readOnly ? ["ro"] : []), ...beneath(subpath)];
  if (options.get("type") === "tmpfs") {
    return { destination: target, type: "tmpfs", source: "tmpfs", options: [...flags, ...restrictions] };
  }
  if (options.size === 0) {
    return { destination: target, type: "bind", source, options: ["bind", "rprivate", ...restrictions] };
  }
  // a volume that stands for a directory of the host
  return {
    destination: target,
    type: "bind",
    source: options.get("device") ?? source,
    options: [...flags, "rprivate", ...restrictions],
  };
}

/** One layer is bound as it is; of several an overlay is made that nobody writes to. */
function imageMount({ lowers, place, target, subpath }: OpenedImage): MountSpec {
  const options = ["ro", "nosuid", "nodev", ...beneath(subpath)];
  return lowers.length === 1
    ? { destination: target, type: "bind", source: lowers[0]!, options: ["bind", "rprivate", ...options] }
    : {
      destination: target,
      type: "overlay",
      source: place,
      options: [...options, ...lowers.map((path) => `x-lower=${path}`)],
    };
}

function beneath(subpath: string | undefined): string[] {
  return subpath === undefined ? [] : [`x-subpath=${subpath}`];
}

function bindMount(engine: Engine, mount: BindRequest): MountSpec {
  if (fs.statSync(mount.source, { throwIfNoEntry: false }) === undefined) {
    if (!mount.createSource) {
      throw new DugoutError(
        "BIND_SOURCE_MISSING",
        `Cannot bind ${quote(mount.source)}: there is nothing on this machine`,
        {
          hint: "make it first; -v makes a missing directory, --mount does not",
        },
      );
    }
    try {
      fs.mkdirSync(mount.source, { recursive: true });
    } catch (error) {
      throw new DugoutError(
        "BIND_SOURCE_FAILED",
        `Cannot make the directory ${quote(mount.source)} to bind it: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }
  if (mount.readOnly && mount.readOnlyDepth === "required" && !engine.host.mountSetattr) {
    throw new DugoutError(
      "READ_ONLY_TOP_ONLY",
      `Cannot bind ${quote(mount.source)} read-only with all that is mounted below it: this needs Linux 5.12`,
    );
  }
  const deep = mount.recursive && mount.readOnlyDepth !== "top" && engine.host.mountSetattr;
  return {
    destination: mount.target,
    type: "bind",
    source: mount.source,
    options: [
      mount.recursive ? "rbind" : "bind",
      ...(mount.readOnly ? [deep ? "rro" : "ro"] : []),
      mount.propagation,
    ],
  };
}

function tmpfsMount(mount: TmpfsRequest): MountSpec {
  const size = mount.size === undefined
    ? []
    : [`size=${typeof mount.size === "number" ? mount.size : `${mount.size.percent}%`}`];
  return {
    destination: mount.target,
    type: "tmpfs",
    source: "tmpfs",
    options: [
      ...(mount.readOnly ? ["ro"] : []),
      ...(mount.exec ? [] : ["noexec"]),
      ...(mount.suid ? [] : ["nosuid"]),
      ...(mount.dev ? [] : ["nodev"]),
      ...size,
      ...(mount.inodes === undefined ? [] : [`nr_inodes=${mount.inodes}`]),
      `mode=${(mount.mode ?? 0o1777).toString(8)}`,
      ...(mount.uid === undefined ? [] : [`uid=${mount.uid}`]),
      ...(mount.gid === undefined ? [] : [`gid=${mount.gid}`]),
    ],
  };
}
