/**
 * The first use of a volume: content, owner and mode of the image's directory at its target are copied into it (C-083,
 * C-084), if it is empty; never again later. Everything is read by descriptors beneath the image's root and
 * written beside the volume's data, which it replaces by a rename that the kernel refuses where there is content.
 *
 * @module
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Fd } from "#linux/call.ts";
import { EEXIST, ENOTEMPTY } from "#linux/errno_values.ts";
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openAt } from "#linux/file.ts";
import { randomHex } from "#linux/random.ts";
import { renameName } from "#linux/tree.ts";
import { fromText } from "#tar/bytes.ts";
import { copyDirectoryMetadata, copyTreeOver } from "./copy_tree.ts";
import { findMerged, openLayerRoots } from "./merged_tree.ts";
import { errorCode } from "./private_dir.ts";
import { removePath } from "./remove_tree.ts";
import { treeError } from "./tree_error.ts";
import { withVolumeLock } from "./volumes.ts";

/** A volume to fill, and with what. */
export interface VolumeFill {
  /** The volume's directory, with `_data` in it. */
  readonly volume: string;
  /** Absolute in the container. */
  readonly target: string;
  /** Whether content is copied; owner and mode are in any case. */
  readonly copies: boolean;
}

const FILLED = "filled";
const TEMPORARY = /^fill\.[0-9a-f]{12}$/;

/** Whether a volume was used before. */
export function isFilled(volume: string): boolean {
  return existsSync(join(volume, FILLED));
}

/** Notes the first use of a volume for which the image has nothing. */
export function markFilled(volume: string): Promise<void> {
  return withVolumeLock(volume, () => writeFileSync(join(volume, FILLED), "", { mode: 0o600 }));
}

/**
 * Whether layers have nothing at all at a path, as far as one can tell from outside of a user namespace.
 * @returns false also where that is not certain.
 */
export function isSurelyMissing(directories: readonly string[], target: string): boolean {
  const parts = target.split("/").filter((part) => part !== "");
  // where no layer has the first parts there are no links to follow either
  return parts.some((_, index) =>
    directories.every((directory) => hasNothingAt(join(directory, ...parts.slice(0, index + 1))))
  );
}

function hasNothingAt(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined;
  } catch (error) {
    // ELOOP, or a directory of somebody else's: nothing is known
    return errorCode(error) === "ENOTDIR";
  }
}

/**
 * Fills volumes that were not used before. To be called in the user namespace of the map, also where that has a single
 * id: images have files that their owner may not read.
 * @param directories The image's layers, topmost first, or one directory.
 */
export async function fillVolumes(directories: readonly string[], fills: readonly VolumeFill[]): Promise<void> {
  const roots = openLayerRoots(directories);
  try {
    for (const fill of fills) {
      await withVolumeLock(fill.volume, () => {
        if (isFilled(fill.volume)) return;
        removeRemains(fill.volume);
        if (readdirSync(join(fill.volume, "_data")).length === 0) fillVolume(roots, fill);
        writeFileSync(join(fill.volume, FILLED), "", { mode: 0o600 });
      });
    }
  } finally {
    roots.forEach(close);
  }
}

/** What a killed process had copied so far. */
function removeRemains(volume: string): void {
  for (const name of readdirSync(volume)) if (TEMPORARY.test(name)) removePath(join(volume, name));
}

function fillVolume(roots: readonly Fd[], { volume, target, copies }: VolumeFill): void {
  const found = findMerged(roots, fromText(target));
  if (found.kind !== "directory") return;
  try {
    const temporary = join(volume, `fill.${randomHex(6)}`);
    mkdirSync(temporary, { mode: 0o700 });
    try {
      const fd = openAt(AT_FDCWD, temporary, O_RDONLY | O_DIRECTORY);
      try {
        // lowest first; owner and mode are those of the topmost one
        if (copies) { for (const part of [...found.parts].reverse()) copyTreeOver(part, fd, temporary); }
        else copyDirectoryMetadata(found.parts[0]!, fd);
      } finally {
        close(fd);
      }
      replaceEmpty(temporary, join(volume, "_data"));
    } catch (error) {
      removePath(temporary);
      throw error;
    }
  } finally {
    found.parts.forEach(close);
  }
}

/** rename(2) replaces a directory only if it is empty. */
function replaceEmpty(temporary: string, data: string): void {
  const result = renameName(AT_FDCWD, fromText(temporary), AT_FDCWD, fromText(data));
  if (result === -ENOTEMPTY || result === -EEXIST) removePath(temporary);
  else if (result < 0) throw treeError("rename", fromText(data), -result);
}
