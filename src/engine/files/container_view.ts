/**
 * Which root file system a command on a container's files works on. Of one that runs it is what its first process sees,
 * mounts and all: opened by that process's own file in /proc and passed on as a descriptor, so that nothing is resolved twice.
 * Of any other it is put together again, for a worker alone, as the next start would.
 *
 * @module
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { decodeRequest } from "#docker/request_codec.ts";
import type { Fd } from "#linux/call.ts";
import { AT_FDCWD, close, O_DIRECTORY, O_PATH, O_RDONLY, openAt } from "#linux/file.ts";
import type { IdMap } from "#linux/idmap.ts";
import { DugoutError } from "#oci/error.ts";
import type { WorkerOptions } from "#runtime/launch_worker.ts";
import { resolveInLayers } from "#runtime/resolve.ts";
import type { RootfsPlan } from "#runtime/setup.ts";
import type { ViewMount } from "#runtime/view_steps.ts";
import { containerDirectory } from "../record/container_directory.ts";
import type { ContainerId } from "../record/container_id.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import { readStatus } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { forgetVolatile, openKeptRoot } from "../prepare/kept_root.ts";
import { parseMapName } from "#linux/idmap.ts";
import { withContainerLock } from "../record/lock_container.ts";
import type { ContainerState } from "../record/container_state.ts";
import { whereabouts } from "../record/whereabouts.ts";

/** A view that was opened, and with which ids a worker looks at it. */
export interface OpenedView {
  readonly view: NonNullable<WorkerOptions["view"]>;
  readonly map: IdMap;
}

/**
 * Does something with a container's files as it sees them.
 * @param purpose What will be done: a container that does not run is not started while it is written to.
 * @throws {DugoutError} CONTAINER_ELSEWHERE, LAYERS_GONE, IDS_CHANGED.
 */
export async function withContainerView<T>(
  engine: Engine,
  record: ContainerRecord,
  purpose: "read" | "write",
  act: (opened: OpenedView) => Promise<T>,
): Promise<T> {
  const map = viewMap(record);
  const running = openRunning(engine, record);
  if (running !== undefined) {
    try {
      return await act({ view: { kind: "opened", root: running }, map });
    } finally {
      close(running);
    }
  }
  // one that has not been started may lack the places of its volumes: they are made as its start would
  const looks = purpose === "read" && !record.isNew;
  if (looks) return await act({ view: await stoppedView(engine, record, "read"), map });
  return await withContainerLock(engine, record.id, async () => {
    const started = openRunning(engine, record);
    if (started === undefined) return await act({ view: await stoppedView(engine, record, "write"), map });
    try {
      return await act({ view: { kind: "opened", root: started }, map });
    } finally {
      close(started);
    }
  });
}

/** The ids of a container's files, with its root as the worker's. */
export function viewMap(record: ContainerRecord): IdMap {
  const map = parseMapName(record.map);
  if (map !== undefined) return map;
  throw new DugoutError("CONTAINER_DAMAGED", `Cannot use the container "${record.name}": its record names no ids`, {
    exitCode: 1,
  });
}

/** The root of a running container's first process, as O_PATH; undefined where it does not run. */
function openRunning(engine: Engine, record: ContainerRecord): Fd | undefined {
  const status = readStatus(engine, record, whereabouts());
  if (status.kind === "elsewhere") {
    throw new DugoutError(
      "CONTAINER_ELSEWHERE",
      `Cannot use the files of the container "${record.name}": it was started on the machine "${status.machine}"`,
      { exitCode: 1, hint: "use them there" },
    );
  }
  return status.kind === "running" ? openProcessRoot(status.state) : undefined;
}

/** The directory in /proc stands for the process and not for its number, so that no other one's root is opened. */
function openProcessRoot({ pid, startTime }: ContainerState): Fd | undefined {
  let directory: Fd;
  try {
    directory = openAt(AT_FDCWD, `/proc/${pid}`, O_RDONLY | O_DIRECTORY);
  } catch {
    return undefined; // it has just ended
  }
  try {
    const text = readFileSync(`/proc/self/fd/${directory}/stat`, "latin1");
    if (text.slice(text.lastIndexOf(")") + 2).split(" ")[19] !== startTime) return undefined;
    return openAt(directory, "root", O_PATH | O_DIRECTORY);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ESRCH" || code === "ENOENT") return undefined;
    throw error;
  } finally {
    close(directory);
  }
}

async function stoppedView(
  engine: Engine,
  record: ContainerRecord,
  purpose: "read" | "write",
): Promise<OpenedView["view"]> {
  const directory = containerDirectory(engine.dataRoot, engine.runRoot, record.id as ContainerId);
  if (record.request === undefined) throw oldRecord(record);
  const kept = decodeRequest(record.request);
  const { root } = await openKeptRoot(engine, record, kept, directory);
  const rootfs = refuseTree(record, root.rootfs);
  const layers = rootfs.kind === "directory" ? [rootfs.path] : [rootfs.upper, ...rootfs.lowers];
  const mounts = record.mounts.flatMap((mount) => viewMount(mount, layers));
  if (rootfs.kind === "overlay" && purpose === "read") {
    return { kind: "snapshot", directories: layers, at: rootfs.merged, mounts };
  }
  forgetVolatile(rootfs);
  return { kind: "writable", rootfs, mounts, readOnly: kept.request.readOnlyRoot };
}

/** The files of a container as they lie on disk, without what is mounted: for `export`. */
export async function snapshotView(engine: Engine, record: ContainerRecord): Promise<OpenedView> {
  const directory = containerDirectory(engine.dataRoot, engine.runRoot, record.id as ContainerId);
  if (record.request === undefined) throw oldRecord(record);
  const kept = decodeRequest(record.request);
  const { root } = await openKeptRoot(engine, record, kept, directory);
  const rootfs = refuseTree(record, root.rootfs);
  const view: OpenedView["view"] = rootfs.kind === "overlay"
    ? { kind: "snapshot", directories: [rootfs.upper, ...rootfs.lowers], at: rootfs.merged, mounts: [] }
    : { kind: "writable", rootfs, mounts: [], readOnly: false };
  return { view, map: viewMap(record) };
}

function refuseTree(record: ContainerRecord, rootfs: RootfsPlan): Exclude<RootfsPlan, { kind: "tree" }> {
  if (rootfs.kind !== "tree") return rootfs;
  throw takenApart(record);
}

/** A root that is a tree of this machine under one overlay a directory: its parts are put together for its start alone. */
export function takenApart(record: ContainerRecord): DugoutError {
  return new DugoutError(
    "TREE_UNSUPPORTED",
    `Cannot use the files of the container "${record.name}": its root is this machine's, taken apart`,
    { exitCode: 1, hint: "'dugout cp' works while it runs" },
  );
}

/** The record of a container that an older version has made: what it was made with is not known. */
export function oldRecord(record: ContainerRecord): DugoutError {
  return new DugoutError(
    "RECORD_OLD",
    `Cannot use the files of the container "${record.name}": it was made by an older version, which did not keep what it was made with`,
    { exitCode: 1 },
  );
}

function viewMount(mount: ContainerRecord["mounts"][number], layers: readonly string[]): ViewMount[] {
  // what was in a tmpfs is gone, and an image is mounted to be read in the container only
  if ((mount.kind !== "bind" && mount.kind !== "volume") || !existsSync(mount.source)) return [];
  return [{
    source: mount.source,
    target: resolveInLayers(layers, mount.target).path,
    kind: mount.subpath === undefined && !statSync(mount.source).isDirectory() ? "file" : "directory",
    subpath: mount.subpath,
    readOnly: mount.readOnly,
  }];
}
