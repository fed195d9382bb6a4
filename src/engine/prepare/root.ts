/**
 * Where a container's root file system comes from: an image's layers, unpacked when they are not, or a directory.
 *
 * @module
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { type IdMap, outsideId } from "#linux/idmap.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import type { RunOptions, RunRequest } from "#docker/run_request.ts";
import { findImage, type FoundImage } from "#image/find.ts";
import { ensureHelloImage } from "#image/hello/ensure.ts";
import { isHelloName } from "#image/hello/name.ts";
import { isMapped } from "#runtime/identity.ts";
import type { RootfsPlan } from "#runtime/setup.ts";
import type { ResolvedUser } from "#runtime/users.ts";
import { type Driver, planRootfs } from "#storage/driver.ts";
import type { ContainerDirectory } from "../record/container_directory.ts";
import type { Engine } from "../engine.ts";
import { keepsOutput } from "../record/keeps_output.ts";
import { hasMountBelow, planHostTree, readMountPoints } from "./host_tree.ts";
import { checkHasLayers, ensureLayers, openLayerStore } from "./layers.ts";
import { chooseUser, layerMap, type RootSource } from "./prepare.ts";
import { openDriver } from "./storage_driver.ts";

/** What decides the root. */
export interface RootInput {
  readonly engine: Engine;
  readonly request: RunRequest;
  readonly options: RunOptions;
  readonly directory: ContainerDirectory;
  readonly fetchImage: ((text: string) => Promise<void>) | undefined;
}

/** A root, the ids it is mapped with, and the user that runs in it. */
export interface OpenedRoot {
  readonly root: RootSource;
  readonly map: IdMap;
  readonly user: ResolvedUser;
}

/**
 * Finds the image or the directory, pulls and unpacks what is missing.
 * @throws {DugoutError} IMAGE_NOT_FOUND, ROOTFS_MISSING, and what pulling and unpacking throw.
 */
export async function openRoot(input: RootInput): Promise<OpenedRoot> {
  return input.options.rootfs === undefined
    ? await openImageRoot(input)
    : openDirectoryRoot(input, input.options.rootfs, isVolatile(input));
}

async function openImageRoot(input: RootInput): Promise<OpenedRoot> {
  const { engine, request, directory } = input;
  const { image } = await getImage(input);
  const { config } = image.config;
  // which ids a layer is unpacked with depends on the map; the map, with a single id, on nothing in the layers
  const first = layerMap(engine, request);
  checkHasLayers(image, request.image ?? "");
  const { driver: best } = await openDriver(engine);
  const layers = openLayerStore(engine, first);
  const lowers = await ensureLayers(layers, image);
  const diffIds = image.layers.map(({ diffId }) => diffId).reverse();
  const { upper, work, merged } = directory;
  const copy = join(directory.path, "root");
  const { map, user } = chooseUser(engine, request, { lowers, config });
  const driver = fitDriver(best, map, engine);
  const rootfs = planRootfs(driver, layers.path, diffIds, {
    upper,
    work,
    merged,
    copy,
    volatile: isVolatile(input),
  });
  const root = { config, lowers, rootfs, imageId: image.id };
  if (driver.name !== "vfs") return { root, map, user };
  return { root: { ...root, copyOf: { layers: layers.path, map: first, diffIds } }, map, user };
}

/**
 * fuse-overlayfs mounts by itself as root of its user namespace; as anybody else it asks fusermount3, which is refused there.
 * A single id that is not called root inside has no root. And it looks its directories up by their names, which root may
 * not where the caller has no id.
 */
export function fitDriver(driver: Driver, map: IdMap, engine: Engine): Driver {
  const hasRoot = outsideId(map.uid, 0) !== undefined;
  if (driver.name !== "fuse-overlayfs" || (hasRoot && isMapped(map, engine.identity))) return driver;
  if (engine.storageDriver === undefined) return { name: "vfs" };
  const [who, flag] = hasRoot ? ["in which you have no id", "--userns"] : ["without root", "--user"];
  throw new DugoutError("DRIVER_UNFIT", `Cannot use the storage driver "${driver.name}" for a container ${who}`, {
    hint: `Leave --storage-driver out and its files are copied, or leave ${flag} out`,
  });
}

/**
 * Finds the image of a request; pulls it where it is missing and that is wanted.
 * @throws {DugoutError} IMAGE_NOT_FOUND.
 */
export async function getImage(
  { engine, request, options, fetchImage }: Pick<RootInput, "engine" | "request" | "options" | "fetchImage">,
): Promise<FoundImage> {
  const text = request.image ?? "";
  const find = () =>
    findImage(engine.store, text, options.platform === undefined ? {} : { platform: options.platform });
  const isEmbedded = isHelloName(text);
  let found = options.pull === "always" && !isEmbedded ? undefined : find();
  if (found === undefined && isEmbedded) {
    await ensureHelloImage(engine.store, { platform: options.platform });
    found = find();
  } else if (found === undefined && options.pull !== "never" && fetchImage !== undefined) {
    await fetchImage(text);
    found = find();
  }
  if (found === undefined) {
    throw new DugoutError("IMAGE_NOT_FOUND", `Cannot find the image ${quote(text)} on this machine`, {
      hint: options.pull === "never"
        ? "--pull never forbids to fetch it: pull or load it first"
        : "pull or load it first",
    });
  }
  return found;
}

/** Whether nothing has to outlive the container: the kernel refuses a volatile upper directory a second time. */
function isVolatile({ request, options }: Pick<RootInput, "request" | "options">): boolean {
  return options.rm && !keepsOutput(request, options);
}

/** A root that is a directory of this machine. @throws {DugoutError} ROOTFS_MISSING. */
export function openDirectoryRoot(
  { engine, request, directory }: Pick<RootInput, "engine" | "request" | "directory">,
  rootfs: NonNullable<RunOptions["rootfs"]>,
  volatile: boolean,
): OpenedRoot {
  if (!fs.statSync(rootfs.path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new DugoutError(
      "ROOTFS_MISSING",
      `Cannot use ${quote(rootfs.path)} as a root file system: it is no directory`,
    );
  }
  const lowers = [rootfs.path];
  const { map, user } = chooseUser(engine, request, { lowers, config: {} });
  const plan = rootfs.overlay
    ? overlayOnDirectory(rootfs.path, directory, volatile)
    : { kind: "directory" as const, path: rootfs.path };
  if (plan.kind === "tree" && !isMapped(map, engine.identity)) {
    throw new DugoutError(
      "ROOTFS_NEEDS_OWN_ID",
      `Cannot use ${
        quote(rootfs.path)
      } with --userns nomap: something is mounted in it, and the parts around it are yours`,
      { hint: "leave --userns out" },
    );
  }
  return { root: { config: {}, lowers, rootfs: plan }, map, user };
}

/** A directory of the host under an overlay of the container's; taken apart where something is mounted in it. */
function overlayOnDirectory(path: string, directory: ContainerDirectory, volatile: boolean): RootfsPlan {
  const mountPoints = readMountPoints();
  if (!hasMountBelow(path, mountPoints)) {
    const { upper, work, merged } = directory;
    return { kind: "overlay", lowers: [path], upper, work, merged, volatile };
  }
  return { kind: "tree", parts: planHostTree(path, mountPoints, directory), merged: directory.merged };
}
