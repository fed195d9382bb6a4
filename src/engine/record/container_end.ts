/**
 * How a container ended. The monitor leaves the wait status in the runtime directory; whoever sees it first writes the
 * end beside the container's record, where the machine's next boot finds it.
 *
 * @module
 */
import { linkSync, readFileSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomHex } from "#linux/random.ts";
import { isJsonObject, parseJson } from "#oci/json.ts";
import { exitCodeOf } from "#runtime/launch_container.ts";
import { EXIT_RECORD } from "#runtime/setup.ts";
import { readEndRecord } from "./wait_status.ts";

/** An end. Times in milliseconds since 1970. */
export interface ContainerEnd {
  /** Undefined where nobody could write it down: the machine went down, or the monitor was killed. */
  readonly exitCode: number | undefined;
  readonly startedMs: number | undefined;
  readonly finishedMs: number | undefined;
  /** Whether a process of it was killed because there was no memory left in its control group. */
  readonly oomKilled?: boolean;
  /** Why it could not be started. */
  readonly error?: string;
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
    if ((error as NodeJS.ErrnoException).code === "EEXIST" && !isOfEarlierStart(readEnd(directory), end.startedMs)) {
      unlinkSync(temporary);
      return false;
    }
    // file systems without hard links, or the end of an earlier start
    renameSync(temporary, file);
    return true;
  }
  unlinkSync(temporary);
  return true;
}

/** Whether an end is not that of the start at this time: whoever saw it wrote it down late. */
export function isOfEarlierStart(end: ContainerEnd | undefined, startedMs: number | undefined): boolean {
  return end?.startedMs !== undefined && startedMs !== undefined && end.startedMs < startedMs;
}

/** Forgets how a container ended, since it is started again: what the monitor left first, so that nobody writes it down. */
export function forgetEnd({ path, state }: { readonly path: string; readonly state: string }): void {
  for (const file of [join(state, EXIT_RECORD), join(path, EXIT_RECORD), join(path, FILE)]) {
    rmSync(file, { force: true });
  }
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
    const error = value["error"];
    return {
      exitCode: number("exitCode"),
      startedMs: number("startedMs"),
      finishedMs: number("finishedMs"),
      ...(value["oomKilled"] === true ? { oomKilled: true } : {}),
      ...(typeof error === "string" ? { error } : {}),
    };
  } catch {
    return undefined;
  }
}

/**
 * What a monitor left, as an exit code, and when.
 * @param directory The container's in the runtime directory; where that was swept away, its other one.
 */
export function readExitRecord(
  directory: string,
): { exitCode: number; finishedMs: number; oomKilled?: true } | undefined {
  const record = readEndRecord(directory);
  if (record === undefined) return undefined;
  const written = statSync(join(directory, EXIT_RECORD), { throwIfNoEntry: false });
  return written === undefined ? undefined : {
    exitCode: exitCodeOf(record.waitStatus),
    finishedMs: written.mtimeMs,
    ...(record.oomKilled ? { oomKilled: true } : {}),
  };
}
