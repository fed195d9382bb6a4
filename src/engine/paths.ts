/**
 * Where dugout keeps its things: what lasts in the data directory, what dies with the machine in the runtime directory.
 *
 * @module
 */
import { lstatSync, mkdirSync, type Stats } from "node:fs";
import { isAbsolute, join } from "node:path";
import { ST_NOEXEC, statFileSystem } from "#linux/statfs.ts";
import { findAccount } from "#linux/account.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";

/** What the caller's environment and options say about places. */
export interface PathRequest {
  /** `--root`. */
  readonly root?: string | undefined;
  /** `--run`. */
  readonly run?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

/**
 * The data directory: `--root`, else `dugout` below XDG_DATA_HOME, else `~/.local/share/dugout`. A home that the
 * environment does not name is asked of the machine's accounts (C-057).
 */
export function dataRootPath(request: PathRequest): string {
  if (request.root !== undefined) return absolute(request.root, "--root");
  const data = request.env["XDG_DATA_HOME"];
  if (data !== undefined && isAbsolute(data)) return join(data, "dugout");
  const home = request.env["HOME"];
  const found = home !== undefined && isAbsolute(home) ? home : findAccount(request.uid)?.home;
  if (found === undefined) {
    throw new DugoutError("NO_HOME", `Cannot find a place for images: user ${request.uid} has no home directory`, {
      hint: "name a directory of yours with --root",
    });
  }
  return join(found, ".local/share/dugout");
}

/**
 * The runtime directory, made if it is missing: `--run`, else `dugout` below /run/user/UID where that is ours, whatever the environment
 * says, so that all commands of a user meet (C-057); else below an XDG_RUNTIME_DIR that is ours (C-056); else
 * /tmp/dugout-UID.
 * @param warn Told when the environment's directory is somebody else's.
 */
export function openRunRoot(request: PathRequest, warn: (message: string) => void): string {
  return makePrivate(findRunRoot(request, warn));
}

/** Where the runtime directory is, or would be made. */
export function findRunRoot(request: PathRequest, warn: (message: string) => void = () => {}): string {
  if (request.run !== undefined) return absolute(request.run, "--run");
  const usual = `/run/user/${request.uid}`;
  // an empty one is none (XDG Base Directory Specification)
  const named = request.env["XDG_RUNTIME_DIR"] || undefined;
  if (named !== undefined && named !== usual && !isOurs(named, request.uid)) {
    warn(`XDG_RUNTIME_DIR ${quote(named)} is not a directory of user ${request.uid}: ignored`);
  }
  for (const directory of [usual, named]) {
    if (directory !== undefined && isAbsolute(directory) && isOurs(directory, request.uid)) {
      return join(directory, "dugout");
    }
  }
  return `/tmp/dugout-${request.uid}`;
}

function absolute(path: string, option: string): string {
  if (path === "" || path.includes("\0")) {
    throw new DugoutError("PATH_INVALID", `Cannot use ${quote(path)} as ${option}`);
  }
  return isAbsolute(path) ? path : join(process.cwd(), path);
}

function isOurs(path: string, uid: number): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat !== undefined && stat.isDirectory() && stat.uid === uid;
}

/**
 * Makes a directory of mode 0700, or takes one that is there if it is a real directory, ours, and closed to others
 * what somebody else made first is neither followed nor removed.
 */
function makePrivate(path: string): string {
  const stat = lstatSync(path, { throwIfNoEntry: false }) ?? makeDirectory(path);
  const uid = process.geteuid!();
  const problem = !stat.isDirectory()
    ? "it is no directory"
    : stat.uid !== uid
    ? `it belongs to user ${stat.uid}`
    : (stat.mode & 0o077) !== 0
    ? `others may enter it (mode ${(stat.mode & 0o7777).toString(8)})`
    : undefined;
  if (problem !== undefined) {
    throw new DugoutError("RUN_ROOT_UNSAFE", `Cannot use the runtime directory ${quote(path)}: ${problem}`, {
      hint: "remove it, or name another one with --run",
    });
  }
  return path;
}

/** Makes a directory of mode 0700, or leaves to its maker the one that has just been made there. */
function makeDirectory(path: string): Stats {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") {
      mkdirSync(path, { mode: 0o700, recursive: true });
    } else if (code !== "EEXIST") {
      throw new DugoutError("RUN_ROOT_FAILED", `Cannot make the runtime directory ${quote(path)}: ${code}`, {
        hint: "name another one with --run",
        cause: error,
      });
    }
  }
  return lstatSync(path);
}

/** Whether programs may be executed on the file system of a path: not where it is mounted noexec (C-068). */
export function isNoexec(path: string): boolean {
  return (statFileSystem(path).flags & ST_NOEXEC) !== 0;
}

/** Where the user's configuration is looked for. A home that the environment does not name is asked of the machine's accounts. */
export function userPlaces({ identity }: { readonly identity: { readonly uid: number } }): {
  env: NodeJS.ProcessEnv;
  home: string;
} {
  return { env: process.env, home: process.env["HOME"] ?? findAccount(identity.uid)?.home ?? "/" };
}
