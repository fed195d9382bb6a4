/**
 * Where the engine's things are, without the rest of it: for commands whose way is short.
 *
 * @module
 */
import { openDataRoot } from "#storage/data_root.ts";
import type { Engine, EngineOptions } from "../engine.ts";
import { dataRootPath, openRunRoot } from "../paths.ts";

/**
 * Opens the two directories, and makes them where they are missing.
 * @throws {DugoutError} When one is not ours, or of a newer dugout.
 */
export function openPlaces(
  options: Pick<EngineOptions, "root" | "run">,
  warn: (message: string) => void,
): Pick<Engine, "dataRoot" | "runRoot"> {
  const request = { root: options.root, run: options.run, env: process.env, uid: process.geteuid!() };
  return { dataRoot: openDataRoot(dataRootPath(request)), runRoot: openRunRoot(request, warn) };
}
