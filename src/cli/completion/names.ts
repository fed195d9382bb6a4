/**
 * Names of what is there, for the completion of shells. They are read from the names of files alone: nothing is opened or
 * made, and a store that cannot be used has no names.
 *
 * @module
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { readName } from "#engine/record/container_directory.ts";
import { dataRootPath, findRunRoot } from "#engine/paths.ts";
import { familiarReference, parseReference } from "#oci/reference.ts";
import { EXIT_RECORD } from "#runtime/setup.ts";

/** Where names are looked for: `--root` and `--run`, where they were typed. */
export interface NamePlaces {
  readonly root?: string | undefined;
  readonly run?: string | undefined;
}

/** What can be listed by name. */
export type NamedKind = "containers" | "running containers" | "images" | "volumes";

/** Lists names of a kind; none where anything is wrong. */
export function listNamesOf(kind: NamedKind, places: NamePlaces): string[] {
  try {
    const request = { ...places, env: process.env, uid: process.geteuid!() };
    const dataRoot = dataRootPath(request);
    switch (kind) {
      case "containers":
        return listContainerNames(dataRoot);
      case "running containers": {
        const states = join(findRunRoot(request), "containers");
        return listContainerNames(dataRoot).filter((name) => {
          const state = join(states, readName(join(dataRoot, "containers/names", name)).id);
          return existsSync(join(state, "state.json")) && !existsSync(join(state, EXIT_RECORD));
        });
      }
      case "images":
        return readdirSync(join(dataRoot, "images/names")).flatMap(readImageName);
      case "volumes":
        return readdirSync(join(dataRoot, "volumes")).filter((name) => !name.startsWith("."));
      default:
        throw new Error(`Unknown kind ${kind satisfies never}`);
    }
  } catch {
    return [];
  }
}

function listContainerNames(dataRoot: string): string[] {
  return readdirSync(join(dataRoot, "containers/names")).filter((name) => !name.startsWith("."));
}

/** From the name of a file (storage/names.ts). One that is too long for that is left out. */
function readImageName(fileName: string): string[] {
  if (/^[@~]/.test(fileName) || !fileName.endsWith(".json")) return [];
  try {
    return [familiarReference(parseReference(decodeURIComponent(fileName.slice(0, -".json".length))))];
  } catch {
    return [];
  }
}
