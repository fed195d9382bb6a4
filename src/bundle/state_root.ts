/**
 * Where the state of containers is. It is believed only where nobody else can write it; root, whom a batch system lets look
 * at a user's containers, becomes that user first.
 *
 * @module
 */
import { lstatSync, mkdirSync, readFileSync, type Stats } from "node:fs";
import { isAbsolute, join } from "node:path";
import { quote } from "#oci/text.ts";
import { bundleError } from "./error.ts";

/** What decides on the place. */
export interface StateRootRequest {
  /** `--root`. */
  readonly root: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

/** The place, and whose it is. */
export type StateRoot =
  | { readonly kind: "own"; readonly path: string }
  /** Root is asked for what belongs to a user. */
  | { readonly kind: "foreign"; readonly path: string; readonly uid: number; readonly gid: number }
  | { readonly kind: "missing"; readonly path: string };

/** Whether the caller is root of the machine, and not of a user namespace. */
export function isMachineRoot(): boolean {
  if (process.geteuid!() !== 0) return false;
  return /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync("/proc/self/uid_map", "latin1"));
}

/**
 * Finds the directory: `--root`; of the machine's root /run/dugout/runtime; else `dugout/runtime` below /run/user/UID or an
 * XDG_RUNTIME_DIR that are the caller's; else /tmp/dugout-UID/runtime.
 * @throws {DugoutError} STATE_ROOT_UNSAFE when it belongs to somebody else, or others may write there.
 */
export function findStateRoot({ root, env, uid }: StateRootRequest): StateRoot {
  if (root !== undefined && (root === "" || root.includes("\0"))) {
    throw bundleError("STATE_ROOT_UNSAFE", `cannot use ${quote(root)} as --root`);
  }
  const path = root === undefined ? usualPath(env, uid) : isAbsolute(root) ? root : join(process.cwd(), root);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return { kind: "missing", path };
  if (!stat.isDirectory()) {
    throw bundleError("STATE_ROOT_UNSAFE", `cannot use the directory of states ${quote(path)}: it is no directory`);
  }
  if (stat.uid !== uid) {
    if (isMachineRoot()) return { kind: "foreign", path, uid: stat.uid, gid: stat.gid };
    throw bundleError(
      "STATE_ROOT_UNSAFE",
      `cannot use the directory of states ${quote(path)}: it belongs to user ${stat.uid}`,
    );
  }
  requirePrivate(path, stat);
  return { kind: "own", path };
}

/** Makes the directory where it is missing, mode 0700. @throws {DugoutError} STATE_ROOT_UNSAFE. */
export function makeStateRoot(root: StateRoot): string {
  if (root.kind !== "missing") return root.path;
  mkdirSync(root.path, { recursive: true, mode: 0o700 });
  const stat = lstatSync(root.path);
  if (!stat.isDirectory() || stat.uid !== process.geteuid!()) {
    throw bundleError(
      "STATE_ROOT_UNSAFE",
      `cannot use the directory of states ${quote(root.path)}: somebody made it first`,
    );
  }
  requirePrivate(root.path, stat);
  return root.path;
}

function requirePrivate(path: string, { mode }: Stats): void {
  if ((mode & 0o022) === 0) return;
  throw bundleError(
    "STATE_ROOT_UNSAFE",
    `cannot use the directory of states ${quote(path)}: others may write there (mode ${(mode & 0o7777).toString(8)})`,
    "take write access away, or name another directory with --root",
  );
}

function usualPath(env: StateRootRequest["env"], uid: number): string {
  if (isMachineRoot()) return "/run/dugout/runtime";
  for (const directory of [`/run/user/${uid}`, env["XDG_RUNTIME_DIR"]]) {
    if (directory === undefined || !isAbsolute(directory)) continue;
    const stat = lstatSync(directory, { throwIfNoEntry: false });
    if (stat?.isDirectory() && stat.uid === uid) return join(directory, "dugout/runtime");
  }
  return `/tmp/dugout-${uid}/runtime`;
}
