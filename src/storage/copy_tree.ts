/**
 * Lays one tree over another, as overlayfs would show them: for the vfs driver and for volumes. Content is shared by
 * reflink where the file system can (btrfs, XFS), else copied within the kernel.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { readDirectory } from "#linux/directory.ts";
import { EINVAL, ENOSYS, EOPNOTSUPP, EXDEV } from "#linux/errno_values.ts";
import {
  close,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "#linux/file.ts";
import { setModeOfPathFd } from "#linux/path_fd.ts";
import { type FileStat, statName } from "#linux/stat.ts";
import {
  cloneContent,
  copyRange,
  makeDirectory,
  makeHardLink,
  makeNode,
  makeSymlink,
  openName,
  openResolved,
  readLink,
  setMode,
  setMtime,
  setOwner,
} from "#linux/tree.ts";
import { getXattr, setXattr } from "#linux/xattr.ts";
import type { ByteString } from "#tar/bytes.ts";
import type { TarEntry } from "#tar/entry.ts";
import { RESOLVE_STRICT } from "./directory_cache.ts";
import { removeTree } from "./remove_tree.ts";
import { treeError } from "./tree_error.ts";
import { readXattrs } from "./tree_xattrs.ts";
import { OPAQUE_XATTR } from "./whiteout.ts";

/** Of a directory: set when everything in it is there. */
type Visited = { readonly path: string; readonly stat: FileStat; readonly xattrs: TarEntry["xattrs"] };

const COPY_BYTES = 1 << 30;

/**
 * Copies everything of `source` over `target`: whiteouts remove, opaque directories replace, directories merge, the rest
 * replaces. Runs with the right to read all of it: in a user namespace, or on trees that are the caller's and readable.
 * @param place A path on the target's file system, for messages.
 */
export function copyTreeOver(source: Fd, target: Fd, place: string): void {
  const pending = [""];
  const visited: Visited[] = [];
  /** Where files with several names went, by their identity. */
  const linked = new Map<string, string>();
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const from = expect(openDirectory(source, path), "open", path, place);
    try {
      const to = expect(openDirectory(target, path), "open", path, place);
      try {
        visited.push({ path, ...describeDirectory(from, path) });
        if (typeof getXattr(from, OPAQUE_XATTR) !== "number") emptyDirectory(to, path, place);
        const entries = readDirectory(from);
        if (typeof entries === "number") throw treeError("read", path, -entries);
        for (const { name } of entries) {
          const below = path === "" ? name : `${path}/${name}`;
          if (copyName(from, to, name, below, { target, linked, place }) === "directory") pending.push(below);
        }
      } finally {
        close(to);
      }
    } finally {
      close(from);
    }
  }
  for (const { path, stat, xattrs } of visited.sort((a, b) => b.path.length - a.path.length)) {
    const fd = expect(openDirectory(target, path), "open", path, place);
    describe(fd, stat, xattrs, path);
    close(fd);
  }
}

/** Gives a directory the owner, mode, time and attributes of another one. */
export function copyDirectoryMetadata(source: Fd, target: Fd): void {
  const { stat, xattrs } = describeDirectory(source, "");
  describe(target, stat, xattrs, "");
}

type CopyContext = { readonly target: Fd; readonly linked: Map<string, string>; readonly place: string };

function copyName(from: Fd, to: Fd, name: string, path: string, context: CopyContext): "directory" | "done" {
  const stat = statName(from, name);
  if (typeof stat === "number") throw treeError("stat", path, -stat);
  const type = stat.mode & S_IFMT;
  if (type === S_IFDIR) {
    const there = statName(to, name);
    if (typeof there !== "number" && (there.mode & S_IFMT) === S_IFDIR) return "directory";
    if (typeof there !== "number") removeTree(to, name);
    expect(makeDirectory(to, name, 0o700), "mkdir", path, context.place);
    return "directory";
  }
  removeTree(to, name);
  if (type === S_IFCHR && stat.deviceMajor === 0 && stat.deviceMinor === 0) return "done"; // a whiteout
  const first = stat.links > 1 ? context.linked.get(stat.key) : undefined;
  if (first !== undefined) {
    const slash = first.lastIndexOf("/");
    const parent = expect(
      openDirectory(context.target, slash < 0 ? "" : first.slice(0, slash)),
      "open",
      first,
      context.place,
    );
    const result = makeHardLink(parent, first.slice(slash + 1), to, name);
    close(parent);
    expect(result, "link", path, context.place);
    return "done";
  }
  switch (type) {
    case S_IFREG:
      copyFile(from, to, name, stat, path, context.place);
      break;
    case S_IFLNK: {
      const link = readLink(from, name);
      if (typeof link === "number") throw treeError("readlink", path, -link);
      expect(makeSymlink(link, to, name), "symlink", path, context.place);
      describeName(to, name, stat);
      break;
    }
    case S_IFIFO: {
      expect(makeNode(to, name, S_IFIFO | 0o600), "mknod", path, context.place);
      const fd = expect(openName(to, name, O_PATH | O_NOFOLLOW), "open", path, context.place);
      setModeOfPathFd(fd, stat.mode & 0o7777);
      close(fd);
      describeName(to, name, stat);
      break;
    }
    default:
      return "done"; // sockets are nobody's when their server is gone; devices have stand-ins
  }
  if (stat.links > 1) context.linked.set(stat.key, path);
  return "done";
}

function copyFile(from: Fd, to: Fd, name: string, stat: FileStat, path: string, place: string): void {
  const source = expect(openName(from, name, O_RDONLY | O_NOFOLLOW), "open", path, place);
  try {
    const target = expect(openName(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600), "open", path, place);
    try {
      copyContent(target, source, stat.sizeBytes, path, place);
      describe(target, stat, readXattrs(source), path);
    } finally {
      close(target);
    }
  } finally {
    close(source);
  }
}

function copyContent(target: Fd, source: Fd, sizeBytes: number, path: string, place: string): void {
  if (sizeBytes === 0 || cloneContent(target, source) >= 0) return;
  for (let left = sizeBytes; left > 0;) {
    const copied = copyRange(target, source, Math.min(left, COPY_BYTES));
    if (copied === 0) return;
    if (copied < 0) {
      if (copied === -EXDEV || copied === -ENOSYS || copied === -EOPNOTSUPP || copied === -EINVAL) {
        return copyByHand(target, source, path, place);
      }
      throw treeError("copy_file_range", path, -copied, place);
    }
    left -= copied;
  }
}

/** Where the kernel does not copy between these two: through our memory, from where both stand. */
function copyByHand(target: Fd, source: Fd, path: string, place: string): void {
  const buffer = allocate(1 << 20);
  const address = addressOf(buffer);
  for (;;) {
    const got = expect(tryCall("read", source, address, buffer.length), "read", path, place);
    if (got === 0) return;
    for (let done = 0; done < got;) {
      done += expect(tryCall("write", target, address + done, got - done), "write", path, place);
    }
  }
}

function describeDirectory(fd: Fd, path: string): { stat: FileStat; xattrs: TarEntry["xattrs"] } {
  const stat = statName(fd, "");
  if (typeof stat === "number") throw treeError("stat", path, -stat);
  return { stat, xattrs: readXattrs(fd) };
}

function describe(fd: Fd, stat: FileStat, xattrs: TarEntry["xattrs"], path: string): void {
  describeOwner(fd, "", stat);
  for (const [name, value] of xattrs) if (!name.startsWith("system.")) setXattr(fd, name, value);
  const result = setMode(fd, stat.mode & 0o7777);
  if (result < 0) throw treeError("fchmod", path, -result);
  for (const [name, value] of xattrs) if (name.startsWith("system.")) setXattr(fd, name, value);
  setMtime(fd, "", stat.mtimeSeconds, stat.mtimeNanoseconds);
}

function describeName(dir: Fd, name: string, stat: FileStat): void {
  describeOwner(dir, name, stat);
  setMtime(dir, name, stat.mtimeSeconds, stat.mtimeNanoseconds);
}

function describeOwner(dir: Fd, name: string, stat: FileStat): void {
  const own = statName(dir, name);
  if (typeof own === "number" || (own.uid === stat.uid && own.gid === stat.gid)) return;
  setOwner(dir, name, stat.uid, stat.gid);
}

function emptyDirectory(dir: Fd, path: string, place: string): void {
  const fd = expect(openName(dir, ".", O_RDONLY | O_DIRECTORY), "open", path, place);
  try {
    const entries = readDirectory(fd);
    if (typeof entries === "number") throw treeError("read", path, -entries);
    for (const { name } of entries) removeTree(fd, name);
  } finally {
    close(fd);
  }
}

function openDirectory(root: Fd, path: string): number {
  return path === ""
    ? openName(root, ".", O_RDONLY | O_DIRECTORY)
    : openResolved(root, path, O_RDONLY | O_DIRECTORY, RESOLVE_STRICT);
}

function expect(result: number, callName: string, path: string, place: string): Fd {
  if (result < 0) throw treeError(callName, path as ByteString, -result, place);
  return result as Fd;
}
