import { EXIT_RECORD } from "#runtime/setup.ts";

/**
 * The wait status that a monitor left in a directory (wait4(2); 4 bytes, little-endian); undefined where it left none. node:fs is
 * loaded when it is asked for: a run whose end was told does without.
 */
export function readWaitStatus(directory: string): number | undefined {
  try {
    const bytes = process.getBuiltinModule("node:fs").readFileSync(`${directory}/${EXIT_RECORD}`);
    return bytes.length === 4 ? bytes.readInt32LE(0) : undefined;
  } catch {
    return undefined;
  }
}
