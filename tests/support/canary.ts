import { createHash } from "node:crypto";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";

/**
 * Lays the directory that no test may change or read through: mode 0700, with a file, links, a fifo, a setuid file and
 * a directory (attacks.md, "How each is tested").
 */
export function layCanary(path: string): void {
  mkdirSync(path, { mode: 0o700 });
  writeFileSync(join(path, "file"), "canary\n", { mode: 0o600 });
  linkSync(join(path, "file"), join(path, "hardlink"));
  symlinkSync("file", join(path, "link"));
  mkdirSync(join(path, "directory"), { mode: 0o750 });
  writeFileSync(join(path, "directory/inner"), "inner canary\n", { mode: 0o644 });
  writeFileSync(join(path, "setuid"), "#!/bin/sh\n", { mode: 0o755 });
  chmodSync(join(path, "setuid"), 0o4755);
  const { status } = spawnSync("mkfifo", ["-m", "600", join(path, "fifo")]);
  if (status !== 0) throw new Error("mkfifo failed");
}

/**
 * One line an entry, in order: name, type and mode, owners, size, time of change of the content and of the inode, and a
 * digest or the link's target. Two listings are equal when nothing was touched.
 */
export function listTree(root: string): string[] {
  const lines: string[] = [];
  const pending = [""];
  while (pending.length > 0) {
    const name = pending.pop() ?? "";
    const path = join(root, name);
    const stat = lstatSync(path, { bigint: true });
    let content = "";
    if (stat.isFile()) content = createHash("sha256").update(readFileSync(path)).digest("hex");
    if (stat.isSymbolicLink()) content = readlinkSync(path);
    if (stat.isDirectory()) { for (const child of readdirSync(path)) pending.push(join(name, child)); }
    lines.push(
      `${name || "."} ${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${
        stat.isDirectory() ? 0 : stat.size
      } ${stat.nlink} ` +
        `${stat.mtimeNs} ${stat.ctimeNs} ${content}`,
    );
  }
  return lines.sort();
}
