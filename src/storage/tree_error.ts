import { errnoName, OsError } from "#linux/errno.ts";
import { type ByteString, quote } from "#tar/bytes.ts";
import { noSpaceError } from "./space.ts";

/**
 * The error for a call that failed on a name in a tree. A full disk is its own kind: the file system is named, and what
 * is free (C-045).
 * @param errno Positive.
 * @param place A path on the same file system, for the message about space.
 */
export function treeError(callName: string, path: string, errno: number, place?: string): Error {
  const code = errnoName(errno);
  const error = new OsError({ call: callName, object: quote(path as ByteString), code });
  if ((code === "ENOSPC" || code === "EDQUOT") && place !== undefined) {
    return noSpaceError(place, 0, `the file ${quote(path as ByteString)}`, error);
  }
  return error;
}
