/**
 * Files of the runtime directory: whole for whoever reads them, and gone with the next boot, so that nothing is flushed.
 *
 * @module
 */
import { renameSync, writeFileSync } from "node:fs";
import { randomHex } from "#linux/random.ts";

/** Writes a file beside its place and renames it there. */
export function writeState(path: string, value: unknown): void {
  const temporary = `${path}.${randomHex(6)}.new`;
  writeFileSync(temporary, JSON.stringify(value), { mode: 0o600 });
  renameSync(temporary, path);
}
