/**
 * Directories that are the user's alone: what an image brings must not be reachable for other accounts.
 *
 * @module
 */
import { chmodSync, lstatSync, mkdirSync, type Stats } from "node:fs";
import { errnoText } from "#linux/errno.ts";
import { DugoutError } from "#oci/error.ts";

/**
 * Makes a directory with mode 0700, or checks that the one that is there is a real directory and ours; one of ours with
 * a wider mode (an older store, a strange umask) is narrowed. Parents must exist.
 * @throws {DugoutError} EPERM when it belongs to another user, ENOTDIR when it is a link or no directory.
 */
export function ensurePrivateDir(path: string): void {
  const there = lookAt(path);
  if (there === undefined) {
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      const code = errorCode(error);
      if (code !== "EEXIST") throw cannotMake(path, code, error);
    }
  }
  const stat = there ?? lookAt(path)!;
  checkOwnDirectory(path, stat);
  if ((stat.mode & 0o7777) !== 0o700) chmodSync(path, 0o700);
}

/** Throws unless `stat` is that of a directory of the caller's. */
export function checkOwnDirectory(path: string, stat: Stats): void {
  if (!stat.isDirectory()) {
    throw new DugoutError(
      "ENOTDIR",
      `Cannot open the directory "${path}": it is ${stat.isSymbolicLink() ? "a link" : "no directory"}`,
      {
        hint: "Remove it, or choose another place with --root",
      },
    );
  }
  const uid = process.geteuid!();
  if (stat.uid !== uid) {
    throw new DugoutError(
      "EPERM",
      `Cannot open the directory "${path}": it belongs to user ${stat.uid}, and we are user ${uid}`,
      {
        hint: "A store belongs to one user; choose another place with --root",
      },
    );
  }
}

function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function cannotMake(path: string, code: string, cause: unknown): DugoutError {
  return new DugoutError(code, `Cannot make the directory "${path}": ${code}: ${errnoText(code)}`, {
    hint: "Choose another place with --root",
    cause,
  });
}

/** The errno's name that node:fs puts on its errors, or an empty string. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
