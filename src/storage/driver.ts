/**
 * How layers and a container's own changes become one root file system: the kernel's overlayfs, fuse-overlayfs, or copies.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { type Digest, digestHex } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import type { ByteString } from "#tar/bytes.ts";
import { layerPaths, type LayersPath, readLayerRecord } from "./layers.ts";

export type DriverName = "overlay" | "fuse-overlayfs" | "vfs";

/** A driver that was chosen, and what it needs. */
export type Driver =
  | { readonly name: "overlay" }
  | { readonly name: "fuse-overlayfs"; readonly program: string }
  | { readonly name: "vfs" };

/** Where a container's root file system is put together. Absolute paths of directories that are there, and empty at first. */
export type RootfsPlaces = {
  readonly upper: string;
  readonly work: string;
  /** Where it is mounted. */
  readonly merged: string;
  /** For vfs: the copy. It is made by the worker's plan `vfsRoot`, and need not be there before. */
  readonly copy: string;
  /** Whether nothing has to outlive a crash of the machine. */
  readonly volatile: boolean;
};

/** A root file system of layers, as it is to be mounted. Directories are absolute paths of the host. */
export type LayeredRootfs =
  | {
    readonly kind: "overlay";
    /** Topmost first, as overlayfs wants them. */
    readonly lowers: readonly string[];
    readonly upper: string;
    readonly work: string;
    /** An empty directory to mount at. */
    readonly merged: string;
    /** Whether nothing has to outlive a crash of the machine: no sync (Linux 5.10). */
    readonly volatile: boolean;
  }
  | {
    readonly kind: "fuse-overlayfs";
    /** The absolute path of the program. */
    readonly program: string;
    readonly lowers: readonly string[];
    readonly upper: string;
    readonly work: string;
    readonly merged: string;
  }
  | { readonly kind: "directory"; readonly path: string };

/** Docker's drivers that we have not, and what to use in their place. */
const OTHERS: ReadonlyMap<string, string> = new Map([
  ["overlay2", "overlay"],
  ["aufs", "overlay"],
  ["devicemapper", "overlay"],
  ["zfs", "overlay (on a dataset of ZFS 2.2 or later) or vfs"],
  ["btrfs", "overlay, or vfs, which shares content on btrfs by reflinks"],
]);

/**
 * Reads the value of `--storage-driver`; `fuse` stands for fuse-overlayfs.
 * @throws {DugoutError} DRIVER_UNKNOWN, with what to use instead.
 */
export function parseDriverName(text: string): DriverName {
  if (text === "overlay" || text === "fuse-overlayfs" || text === "vfs") return text;
  if (text === "overlay2") return "overlay"; // the same thing by Docker's name
  if (text === "fuse") return "fuse-overlayfs";
  const instead = OTHERS.get(text);
  throw new DugoutError(
    "DRIVER_UNKNOWN",
    instead === undefined
      ? `Cannot use the storage driver ${quote(text)}: overlay, fuse-overlayfs and vfs are known`
      : `Cannot use the storage driver "${text}": it needs the rights of root, and this is an engine without`,
    {
      hint: instead === undefined ? "Leave --storage-driver out, and the best one is chosen" : `Use ${instead} instead`,
    },
  );
}

/**
 * Plans a container's root file system. Nothing is mounted or copied yet.
 * @param diffIds The image's layers, topmost first.
 * @throws {DugoutError} LAYER_UNKNOWN when a layer is not unpacked; DRIVER_UNFIT when a layer's whiteouts are not on disk.
 */
export function planRootfs(
  driver: Driver,
  layers: LayersPath,
  diffIds: readonly Digest[],
  places: RootfsPlaces,
): LayeredRootfs {
  if (driver.name === "vfs") return { kind: "directory", path: places.copy };
  const lowers = visibleLayers(layers, diffIds).map((diffId) => layerPaths(layers, diffId).diff);
  // overlayfs wants something below; an image without layers is an empty directory
  if (lowers.length === 0) return { kind: "directory", path: places.upper };
  const { upper, work, merged, volatile } = places;
  return driver.name === "overlay"
    ? { kind: "overlay", lowers, upper, work, merged, volatile }
    : { kind: "fuse-overlayfs", program: driver.program, lowers, upper, work, merged };
}

/**
 * The layers that show, topmost first: of one that occurs several times the topmost (overlayfs refuses a directory twice,
 * and the ones below add nothing, C-129), and none below a layer whose root is opaque, which overlayfs does not look at.
 */
export function visibleLayers(layers: LayersPath, diffIds: readonly Digest[]): Digest[] {
  const visible: Digest[] = [];
  for (const diffId of new Set(diffIds)) {
    const paths = layerPaths(layers, diffId);
    if (!existsSync(paths.record)) {
      throw new DugoutError("LAYER_UNKNOWN", `Cannot use the layer "${diffId}": it is not unpacked`, {
        hint: "Pull the image again",
      });
    }
    visible.push(diffId);
    if (!existsSync(paths.odd)) continue;
    const record = readLayerRecord(layers, diffId)!;
    const isRootOpaque = record.opaques.includes("" as ByteString);
    if (record.whiteouts.length > 0 || record.opaques.length > (isRootOpaque ? 1 : 0)) {
      throw new DugoutError(
        "DRIVER_UNFIT",
        `Cannot lay the layer "${
          digestHex(diffId).slice(0, 12)
        }" over others: the store's file system could not hold what it deletes`,
        { hint: "Use --storage-driver vfs, or --root on a local disk (ext4, XFS, btrfs, tmpfs)" },
      );
    }
    if (isRootOpaque) break;
  }
  return visible;
}

/**
 * Which layer's `diff` directory has the mode and the owner of the root: the topmost whose archive says anything about it.
 * An upper directory has to have the same, since overlayfs shows the topmost one's. Undefined where no layer says anything.
 */
export function findRootDirectory(layers: LayersPath, diffIds: readonly Digest[]): string | undefined {
  for (const diffId of diffIds) {
    const { rootless, diff } = layerPaths(layers, diffId);
    if (!existsSync(rootless)) return diff;
  }
  return undefined;
}
