/**
 * The data directory as a whole: whose it is, and which version of dugout's layout it holds.
 *
 * @module
 */
import { chmodSync, mkdirSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DugoutError } from "#oci/error.ts";
import { checkOwnDirectory, ensurePrivateDir, errorCode } from "./private_dir.ts";
import { writeFileWhole } from "./write_file_whole.ts";

/** The layout that this dugout writes. A higher number on disk is refused: we would not know what we break. */
export const STORE_VERSION = 1;

const VERSION_FILE = "version";

/**
 * Makes the data directory, or checks the one that is there: ours, 0700, and not of a newer dugout. Called before
 * anything in it is touched. A link in the place of the directory itself is followed (homes are often moved that way);
 * below it, none is.
 * @returns The directory's real path.
 * @throws {DugoutError} EPERM, ENOTDIR, STORE_TOO_NEW, STORE_FOREIGN (a directory with other things in it that others
 * can read: narrowing its mode could break what it is for).
 */
export function openDataRoot(path: string): string {
  let root: string;
  try {
    root = realpathSync(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    ensurePrivateDir(path);
    root = realpathSync(path);
  }
  const stat = statSync(root);
  checkOwnDirectory(root, stat);
  const version = readVersion(root);
  if (version !== undefined && version > STORE_VERSION) {
    throw new DugoutError(
      "STORE_TOO_NEW",
      `Cannot open the store "${root}": a newer dugout wrote it (layout ${version}, this one knows ${STORE_VERSION})`,
      { hint: "Use the newer dugout, or choose another place with --root" },
    );
  }
  if ((stat.mode & 0o7777) !== 0o700) {
    if (version === undefined && readdirSync(root).length > 0) {
      const mode = (stat.mode & 0o7777).toString(8).padStart(4, "0");
      throw new DugoutError(
        "STORE_FOREIGN",
        `Cannot open the store "${root}": the directory is open to others (mode ${mode}) and holds other things`,
        { hint: "Give --root an empty directory, or one that is not there yet" },
      );
    }
    chmodSync(root, 0o700);
  }
  if (version === undefined) writeFileWhole(join(root, VERSION_FILE), `${STORE_VERSION}\n`);
  return root;
}

function readVersion(root: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(join(root, VERSION_FILE), "latin1");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  if (!/^[0-9]{1,9}\n?$/.test(text)) {
    throw new DugoutError(
      "STORE_DAMAGED",
      `Cannot open the store "${root}": the file "${VERSION_FILE}" in it holds no version`,
      {
        hint: `Write the line "${STORE_VERSION}" into it, if the store is one of dugout's`,
      },
    );
  }
  return Number(text);
}
