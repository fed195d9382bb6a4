/**
 * The root of a container that is started again: the layers and the configuration that it was made with, whatever has become
 * of the image's name since.
 *
 * @module
 */
import { chmodSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { mapName } from "#linux/idmap.ts";
import { DugoutError } from "#oci/error.ts";
import { isDigest } from "#oci/digest.ts";
import { parseRunConfig } from "#oci/image_config.ts";
import type { KeptRequest } from "#docker/request_codec.ts";
import type { RootfsPlan } from "#runtime/setup.ts";
import { planRootfs } from "#storage/driver.ts";
import { hasLayer, layerPaths } from "#storage/layers.ts";
import type { ContainerDirectory } from "../record/container_directory.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { makeTreeDirectories } from "./host_tree.ts";
import { openLayerStore } from "./layers.ts";
import { chooseUser, layerMap } from "./prepare.ts";
import { fitDriver, openDirectoryRoot, type OpenedRoot } from "./root.ts";
import { openDriver } from "./storage_driver.ts";

/**
 * Opens it.
 * @throws {DugoutError} LAYERS_GONE, IDS_CHANGED, ROOTFS_MISSING.
 */
export async function openKeptRoot(
  engine: Engine,
  record: ContainerRecord,
  { request, options }: KeptRequest,
  directory: ContainerDirectory,
): Promise<OpenedRoot> {
  if (options.rootfs !== undefined) {
    const opened = openDirectoryRoot({ engine, request, directory }, options.rootfs, false);
    if (opened.root.rootfs.kind === "tree") makeTreeDirectories(opened.root.rootfs.parts);
    return opened;
  }
  const config = parseRunConfig(record.imageConfig ?? "{}", "the record of a container");
  // as it was unpacked: see openRoot
  const first = layerMap(engine, request);
  const layers = openLayerStore(engine, first);
  const diffIds = record.lowers.slice(0, record.rootLayers).map((hex) => `sha256:${hex}`).filter(isDigest);
  const missing = diffIds.find((diffId) => !hasLayer(layers.path, diffId));
  if (missing !== undefined || diffIds.length === 0) {
    throw new DugoutError(
      "LAYERS_GONE",
      `Cannot start the container "${record.name}": layers of its image are not there${
        mapName(first) === record.map ? "" : " for the ids that you have now"
      }`,
      { hint: "make another container from the image" },
    );
  }
  const lowers = diffIds.map((diffId) => layerPaths(layers.path, diffId).diff);
  const { map, user } = chooseUser(engine, request, { lowers, config });
  if (mapName(map) !== record.map) {
    throw new DugoutError(
      "IDS_CHANGED",
      `Cannot start the container "${record.name}": its files have the ids "${record.map}", and you have "${
        mapName(map)
      }" now`,
      { hint: "make another container from the image" },
    );
  }
  const copy = join(directory.path, "root");
  const { driver: best } = await openDriver(engine);
  const driver = existsSync(copy) ? { name: "vfs" as const } : fitDriver(best, map, engine);
  const { upper, work, merged } = directory;
  const rootfs = planRootfs(driver, layers.path, diffIds, { upper, work, merged, copy, volatile: false });
  return {
    root: { config, lowers, rootfs, ...(record.imageId === undefined ? {} : { imageId: record.imageId }) },
    map,
    user,
  };
}

/**
 * Lets go of the mark by which overlayfs refuses to mount once more what was mounted without syncs ("volatile"): nothing has
 * to outlive a crash there, and the machine has not crashed.
 */
export function forgetVolatile(rootfs: RootfsPlan): void {
  const works = rootfs.kind === "overlay"
    ? [rootfs.work]
    : rootfs.kind === "tree"
    ? rootfs.parts.flatMap((part) => part.kind === "overlay" ? [part.work] : [])
    : [];
  for (const work of works) {
    const mark = join(work, "work/incompat");
    try {
      // overlayfs makes them with mode 0
      for (const path of [join(work, "work"), mark, join(mark, "volatile")]) chmodSync(path, 0o700);
      rmSync(mark, { recursive: true });
    } catch {
      // there is none: it was mounted with syncs, or never
    }
  }
}
