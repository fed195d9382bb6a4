/**
 * A tree of the host as a container's root: `--rootfs /:O`.
 *
 * @module
 */
import * as fs from "node:fs";
import { join } from "node:path";
import type { TreePart } from "#runtime/setup.ts";
import type { ContainerDirectory } from "../record/container_directory.ts";

/** Directories that the engine makes in every container. */
const OWN = new Set(["/proc", "/sys", "/dev"]);
/** How deep a directory with mounts in it is taken apart; what is mounted deeper is an empty directory. */
const DEEPEST = 4;
/** overlayfs is mounted once a part; more than this are not started. */
const MOST_PARTS = 2000;

/** The mount points of this process's mount namespace (proc_pid_mountinfo(5), the fifth field). */
export function readMountPoints(): string[] {
  return fs.readFileSync("/proc/self/mountinfo", "utf8").trimEnd().split("\n").map((line) =>
    (line.split(" ")[4] ?? "").replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
  );
}

/** Whether something is mounted below a directory. */
export function hasMountBelow(directory: string, mountPoints: readonly string[]): boolean {
  const prefix = directory === "/" ? "/" : `${directory}/`;
  return mountPoints.some((point) => point !== directory && point.startsWith(prefix));
}

/** Plans the parts of a tree, parents first. Makes the directories that their overlays write to. */
export function planHostTree(root: string, mountPoints: readonly string[], directory: ContainerDirectory): TreePart[] {
  const parts: TreePart[] = [];
  const visit = (hostPath: string, path: string, depth: number) => {
    for (const entry of fs.readdirSync(hostPath, { withFileTypes: true })) {
      const [source, target] = [join(hostPath, entry.name), join(path, entry.name)];
      if (OWN.has(target) || parts.length >= MOST_PARTS) continue;
      if (entry.isSymbolicLink()) parts.push({ kind: "link", path: target, target: fs.readlinkSync(source) });
      else if (entry.isFile()) parts.push({ kind: "file", path: target, source });
      else if (entry.isDirectory()) visitDirectory(source, target, depth);
    }
  };
  const visitDirectory = (source: string, target: string, depth: number) => {
    if (!hasMountBelow(source, mountPoints)) {
      const name = encodeURIComponent(target);
      parts.push({
        kind: "overlay",
        path: target,
        lower: source,
        upper: join(directory.upper, name),
        work: join(directory.work, name),
      });
      return;
    }
    parts.push({ kind: "directory", path: target });
    if (depth < DEEPEST && isReadable(source)) visit(source, target, depth + 1);
  };
  visit(root, "/", 1);
  return parts;
}

/** Makes what the overlays of a tree write to, where it is not there: the host may have other directories than at the last start. */
export function makeTreeDirectories(parts: readonly TreePart[]): void {
  for (const part of parts) {
    if (part.kind !== "overlay") continue;
    if (!fs.existsSync(part.upper)) {
      fs.mkdirSync(part.upper);
      fs.chmodSync(part.upper, fs.statSync(part.lower).mode & 0o7777);
    }
    if (!fs.existsSync(part.work)) fs.mkdirSync(part.work, { mode: 0o700 });
  }
}

function isReadable(path: string): boolean {
  try {
    fs.accessSync(path, fs.constants.R_OK | fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
