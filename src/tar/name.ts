import type { ByteString } from "./bytes.ts";

/** Longest part of a path (NAME_MAX) and longest path without its NUL (PATH_MAX − 1), both in bytes. */
export const NAME_MAX_BYTES = 255;
export const PATH_MAX_BYTES = 4095;
/** Longest name of an extended attribute, and its largest value (xattr(7)). */
export const XATTR_NAME_MAX_BYTES = 255;
export const XATTR_VALUE_MAX_BYTES = 65_536;

/**
 * What is wrong with the name of an entry or the target of a hard link, as words for a message; undefined if nothing is.
 * Only its bytes and lengths are judged: where the path leads is `cleanPath`'s question.
 */
export function findPathFault(path: ByteString): string | undefined {
  const fault = findTargetFault(path);
  if (fault !== undefined) return fault;
  if (path.length > NAME_MAX_BYTES) {
    let start = 0;
    while (start <= path.length) {
      let slash = path.indexOf("/", start);
      if (slash < 0) slash = path.length;
      if (slash - start > NAME_MAX_BYTES) return `a part of the name has ${slash - start} bytes, more than 255`;
      start = slash + 1;
    }
  }
  return undefined;
}

/** The same for the text of a symlink, whose parts may be of any length. */
export function findTargetFault(path: ByteString): string | undefined {
  if (path.length === 0) return "the name is empty";
  if (path.length > PATH_MAX_BYTES) return `the name has ${path.length} bytes, more than ${PATH_MAX_BYTES}`;
  if (path.includes("\0")) return "the name holds a NUL byte";
  return undefined;
}

const ODD = /(?:^|\/)(?:\.\.?)?(?:\/|$)/;

/**
 * Makes a path of an archive relative to the archive's root: no leading or trailing slash, no empty, `.` or `..` parts.
 * `..` is taken back by the text alone, as every tar reader of the other engines does it; nothing is looked up.
 * @returns "" for the root itself, undefined for a path that leaves it.
 */
export function cleanPath(path: ByteString): ByteString | undefined {
  if (!ODD.test(path)) return path; // almost every name is clean already
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join("/") as ByteString;
}

/** A name in a directory, both by clean paths; "" is the root. */
export function joinName(directory: ByteString, name: string): ByteString {
  return (directory === "" ? name : `${directory}/${name}`) as ByteString;
}

/** The directory of a clean path; "" for what lies in the root. */
export function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(path.lastIndexOf("/"), 0)) as ByteString;
}

/** The last part of a clean path. */
export function nameOf(path: ByteString): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
