/**
 * How a container ended. The monitor leaves the wait status in the runtime directory; whoever sees it first writes the
 * end beside the container's record, where the machine's next boot finds it.
 *
 * @module
 */
import { linkSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomHex } from "#linux/random.ts";
import { isJsonObject, parseJson } from "#oci/json.ts";
import { exitCodeOf } from "#runtime/launch_container.ts";
import { EXIT_RECORD } from "#runtime/setup.ts";

/** An end. Times in milliseconds since 1970. */
export interface ContainerEnd {
  /** Undefined where nobody could write it down: the machine went down, or the monitor was killed. */
  readonly exitCode: number | undefined;
  readonly startedMs: number | undefined;
  readonly finishedMs: number | undefined;
}

const FILE = "end.json";

/**
 * Writes an end into a container's directory: beside, then linked there, so that of several who see it one writes it.
 * @returns Whether it was this one, who then tells of it (events.ts).
 */
export function writeEnd(directory: string, end: ContainerEnd): boolean {
  const file = join(directory, FILE);
  const temporary = `${file}.${randomHex(6)}.new`;
  writeFileSync(temporary, JSON.stringify(end), { mode: 0o600 });
  try {
    linkSync(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") {
      unlinkSync(temporary);
      return false;
    }
    // file systems without hard links
    renameSync(temporary, file);
    return true;
  }
  unlinkSync(temporary);
  return true;
}

/** Reads an end; undefined where none is written. */
export function readEnd(directory: string): ContainerEnd | undefined {
  try {
    const value = parseJson(readFileSync(join(directory, FILE)), "the end of a container", { maxBytes: 65536 });
    if (!isJsonObject(value)) return undefined;
    const number = (key: string): number | undefined => {
      const found = value[key];
      return typeof found === "number" ? found : undefined;
    };
    return { exitCode: number("exitCode"), startedMs: number("startedMs"), finishedMs: number("finishedMs") };
  } catch {
    return undefined;
  }
}

/** What a monitor left in the runtime directory: wait status, 4 bytes little-endian. */
export function readExitRecord(stateDirectory: string): { exitCode: number; finishedMs: number } | undefined {
  const file = join(stateDirectory, EXIT_RECORD);
  try {
    const bytes = readFileSync(file);
    if (bytes.length !== 4) return undefined;
    return { exitCode: exitCodeOf(bytes.readInt32LE(0)), finishedMs: statSync(file).mtimeMs };
  } catch {
    return undefined;
  }
}
