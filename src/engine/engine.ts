/**
 * The engine as a value: where its things are, who runs it, what the machine can do. Every function of this room takes
 * it; nothing is kept in modules.
 *
 * @module
 */
import { kernelRelease } from "#linux/machine.ts";
import { probeHost } from "#runtime/host.ts";
import { type Identity, loadIdentity } from "#runtime/identity.ts";
import type { HostFeatures } from "#runtime/setup.ts";
import { type ContentStore, openContentStore } from "#storage/content.ts";
import { openDataRoot } from "#storage/data_root.ts";
import { dataRootPath, openRunRoot } from "./paths.ts";

/** What an engine is opened with: the global options of the command line. */
export interface EngineOptions {
  readonly root?: string | undefined;
  readonly run?: string | undefined;
  /** A storage driver by name; undefined: the best that works. */
  readonly storageDriver?: string | undefined;
  /** The directory of Docker's client configuration: `--config`. */
  readonly config?: string | undefined;
  /** Gets notices that concern the user, one line each. */
  readonly warn?: (message: string) => void;
}

/** An opened engine. */
export interface Engine {
  readonly dataRoot: string;
  readonly runRoot: string;
  readonly store: ContentStore;
  readonly identity: Identity;
  readonly host: HostFeatures;
  readonly kernel: readonly [major: number, minor: number];
  readonly storageDriver: string | undefined;
  readonly config: string | undefined;
  readonly warn: (message: string) => void;
  /** The options that it was opened with. */
  readonly options: EngineOptions;
}

/**
 * Opens the engine: makes its directories where they are missing.
 * @throws {DugoutError} When a directory is not ours, or of a newer dugout.
 */
export function openEngine(options: EngineOptions = {}): Engine {
  const warn = options.warn ?? (() => {});
  const request = { root: options.root, run: options.run, env: process.env, uid: process.geteuid!() };
  const dataRoot = openDataRoot(dataRootPath(request));
  const runRoot = openRunRoot(request, warn);
  return {
    dataRoot,
    runRoot,
    store: openContentStore(dataRoot),
    identity: loadIdentity(runRoot),
    host: probeHost(),
    kernel: kernelVersion(kernelRelease()),
    storageDriver: options.storageDriver,
    config: options.config,
    warn,
    options,
  };
}

/** The first two numbers of `uname -r`. */
export function kernelVersion(text: string): readonly [major: number, minor: number] {
  const [major, minor] = /^([0-9]+)\.([0-9]+)/.exec(text)?.slice(1).map(Number) ?? [0, 0];
  return [major!, minor!];
}
