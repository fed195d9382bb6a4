/**
 * What a path of the container leads to, before its root file system is mounted: symbolic links are followed through
 * the layers as the container will see them.
 *
 * This is a hint only, so that directories and files can be made where a dangling link points (C-025, C-026). The
 * kernel resolves every name again, beneath the root, when the tape is played.
 *
 * @module
 */
import { type BigIntStats, lstatSync, readlinkSync } from "node:fs";

/** The most links that are followed, as in the kernel (path_resolution(7)). */
const MOST_LINKS = 40;

/** What was found at the end of a path. */
export interface Resolved {
  /** The path without links, absolute in the container. */
  readonly path: string;
  /** Where it lies on the host: in one of the layers. Undefined where nothing is there. */
  readonly hostPath: string | undefined;
  readonly kind: "directory" | "file" | "missing";
}

/**
 * Follows `path` through directories that lie over each other.
 * @param layers The upper directory and the layers, topmost first. Whiteouts are overlayfs's character devices 0:0.
 */
export function resolveInLayers(layers: readonly string[], path: string): Resolved {
  const rest = path.split("/").filter((part) => part !== "" && part !== ".").reverse();
  const done: string[] = [];
  let at: Found = { hostPath: layers.at(-1), stat: undefined };
  let links = 0;
  while (rest.length > 0) {
    const part = rest.pop()!;
    if (part === "..") {
      done.pop();
      at = find(layers, done);
      continue;
    }
    done.push(part);
    at = find(layers, done);
    if (at.stat?.isSymbolicLink() && ++links <= MOST_LINKS) {
      const target = readLink(at.hostPath!);
      done.pop();
      if (target.startsWith("/")) done.length = 0;
      rest.push(...target.split("/").filter((name) => name !== "" && name !== ".").reverse());
    }
  }
  if (done.length === 0) return { path: "/", hostPath: layers[0], kind: "directory" };
  const kind = at.stat === undefined ? "missing" : at.stat.isDirectory() ? "directory" : "file";
  return { path: `/${done.join("/")}`, hostPath: at.stat === undefined ? undefined : at.hostPath, kind };
}

interface Found {
  readonly hostPath: string | undefined;
  readonly stat: BigIntStats | undefined;
}

function find(layers: readonly string[], parts: readonly string[]): Found {
  const name = parts.join("/");
  for (const layer of layers) {
    const hostPath = `${layer}/${name}`;
    let stat: BigIntStats | undefined;
    try {
      stat = lstatSync(hostPath, { bigint: true, throwIfNoEntry: false });
    } catch {
      // a part of it is a file, or a directory of a subordinate id that we may not enter: as good as not there
    }
    if (stat === undefined) continue;
    const whiteout = stat.isCharacterDevice() && stat.rdev === 0n;
    return whiteout ? { hostPath: undefined, stat: undefined } : { hostPath, stat };
  }
  return { hostPath: undefined, stat: undefined };
}

function readLink(hostPath: string): string {
  try {
    return readlinkSync(hostPath);
  } catch {
    return "";
  }
}
