import * as fs from "node:fs";
import { DugoutError } from "#oci/error.ts";
import type { RunConfig } from "#oci/image_config.ts";
import type { MountSpec } from "#oci/runtime_spec.ts";
import { quote } from "#oci/text.ts";
import type { BindRequest, MountRequest, RunRequest, TmpfsRequest } from "#docker/run_request.ts";
import type { ContainerDirectory } from "./container_directory.ts";
import type { Engine } from "./engine.ts";

/** Mounts of the request's binds, volumes and tmpfs, and of the image's own volumes. */
export function volumeMounts(
  engine: Engine,
  request: RunRequest,
  _directory: ContainerDirectory,
  _config: RunConfig,
): MountSpec[] {
  return request.mounts.map((mount) => mountOf(engine, mount));
}

function mountOf(engine: Engine, mount: MountRequest): MountSpec {
  switch (mount.kind) {
    case "bind":
      return bindMount(engine, mount);
    case "tmpfs":
      return tmpfsMount(mount);
    case "volume":
    case "image":
      throw new DugoutError(
        "MOUNT_NOT_YET",
        `Cannot mount ${mount.kind === "volume" ? "a volume" : "an image"} at ${
          quote(mount.target)
        }: this version has binds and tmpfs`,
        {
          hint: "bind a directory of the host: -v /some/directory:" + mount.target,
        },
      );
    default:
      throw new Error(`Unknown mount ${mount satisfies never}`);
  }
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
