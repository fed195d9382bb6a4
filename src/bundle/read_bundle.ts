/**
 * A bundle from disk: a directory with config.json and, most often, the root file system (runtime-spec, bundle.md).
 *
 * @module
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { LIMITS } from "#oci/limits.ts";
import { parseRuntimeConfig } from "#oci/runtime_config.ts";
import type { RuntimeSpec } from "#oci/runtime_spec.ts";
import { quote } from "#oci/text.ts";
import { bundleError } from "./error.ts";
import { isMachineRoot } from "./state_root.ts";

/** A bundle, read. */
export interface Bundle {
  /** Absolute. */
  readonly path: string;
  /** config.json as it is on disk. */
  readonly bytes: Uint8Array;
  readonly spec: RuntimeSpec;
  /** The root file system; absolute. */
  readonly rootPath: string;
}

/**
 * Reads a bundle. All that is in config.json is done with the caller's rights, so root takes it from root alone.
 * @throws {DugoutError} BUNDLE_INVALID, UNTRUSTED_BUNDLE, JSON_*, CONFIG_*.
 */
export function readBundle(directory: string): Bundle {
  let path: string;
  try {
    path = realpathSync(directory);
  } catch (error) {
    throw bundleError("BUNDLE_INVALID", `chdir ${directory}: ${reason(error)}`, undefined, error);
  }
  const config = join(path, "config.json");
  const bytes = readTrusted(config, path);
  const spec = parseRuntimeConfig(bytes, config);
  if (spec.root === undefined) throw bundleError("BUNDLE_INVALID", "Root must be specified");
  const rootPath = isAbsolute(spec.root.path) ? spec.root.path : join(path, spec.root.path);
  try {
    if (!statSync(rootPath).isDirectory()) throw bundleError("BUNDLE_INVALID", `rootfs (${rootPath}) is no directory`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw bundleError("BUNDLE_INVALID", `rootfs (${rootPath}) does not exist`);
  }
  return { path, bytes, spec, rootPath: realpathSync(rootPath) };
}

function readTrusted(config: string, directory: string): Uint8Array {
  let fd: number;
  try {
    fd = openSync(config, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw bundleError("BUNDLE_INVALID", "JSON specification file config.json not found");
    throw bundleError("BUNDLE_INVALID", `open ${config}: ${reason(error)}`, undefined, error);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw bundleError("BUNDLE_INVALID", `${config} is no file`);
    if (stat.size > LIMITS.configBytes) {
      throw bundleError("BUNDLE_INVALID", `${config} has ${stat.size} bytes, more than ${LIMITS.configBytes}`);
    }
    if (isMachineRoot()) {
      requireRoots(config, stat);
      requireRoots(directory, statSync(directory));
    }
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

function requireRoots(path: string, { uid, mode }: { readonly uid: number; readonly mode: number }): void {
  if (uid === 0 && (mode & 0o022) === 0) return;
  const whose = uid === 0 ? `others may write it (mode ${(mode & 0o7777).toString(8)})` : `it belongs to user ${uid}`;
  throw bundleError(
    "UNTRUSTED_BUNDLE",
    `cannot run the bundle as root: ${quote(path)}: ${whose}`,
    "what is in config.json would be done with root's rights: run it as its owner, or give it to root",
  );
}

/** An error of node:fs in the words of strerror(3) that callers look for. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return ({ ENOENT: "no such file or directory", EACCES: "permission denied", ENOTDIR: "not a directory" } as Record<
    string,
    string
  >)[code ?? ""] ?? code ?? message;
}
