/**
 * What a tree takes on disk.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { OsError } from "#linux/errno.ts";
import { readDirectory } from "#linux/directory.ts";
import { AT_FDCWD, close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt, S_IFDIR, S_IFMT } from "#linux/file.ts";
import { statName } from "#linux/stat.ts";
import { openName, openResolved } from "#linux/tree.ts";
import type { ByteString } from "#tar/bytes.ts";
import { RESOLVE_STRICT } from "./directory_cache.ts";

/** The bytes of a tree; 0 of one that is gone, or never was. */
export function measureTreeIfThere(path: string): number {
  try {
    return measureTree(path).sizeBytes;
  } catch (error) {
    if (error instanceof OsError && (error.code === "ENOENT" || error.code === "ENOTDIR")) return 0;
    throw error;
  }
}

/**
 * Bytes of all files below a directory, each file once, whatever its names. By descriptors; what cannot be read, or is
 * deeper than a path can say, is not counted.
 */
export function measureTree(path: string): { sizeBytes: number; files: number } {
  const root = openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  const seen = new Set<string>();
  const pending: ByteString[] = ["" as ByteString];
  let sizeBytes = 0;
  let files = 0;
  try {
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      const dir = at === ""
        ? openName(root, ".", O_RDONLY | O_DIRECTORY)
        : openResolved(root, at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_STRICT);
      if (dir < 0) continue;
      const entries = readDirectory(dir as Fd);
      for (const { name } of typeof entries === "number" ? [] : entries) {
        const stat = statName(dir as Fd, name);
        if (typeof stat === "number") continue;
        if ((stat.mode & S_IFMT) === S_IFDIR) pending.push((at === "" ? name : `${at}/${name}`) as ByteString);
        else if (stat.links === 1 || !seen.has(stat.key)) {
          if (stat.links > 1) seen.add(stat.key);
          sizeBytes += stat.sizeBytes;
          files++;
        }
      }
      close(dir as Fd);
    }
  } finally {
    close(root);
  }
  return { sizeBytes, files };
}
