/**
 * `--tmpfs`: `TARGET[:OPTIONS]`, options as of mount(8) and tmpfs(5). Without options: rw, nosuid, nodev, noexec (C-127).
 *
 * @module
 */
import { flagError } from "./flag_error.ts";
import type { TmpfsRequest } from "./run_request.ts";
import { parseSize } from "./size.ts";
import { cleanPath, splitOnce } from "./text_rules.ts";

const FLAG = "--tmpfs";
const MAX_ID = 4294967294;

/** An empty tmpfs as Docker mounts it when nothing is said. */
export function newTmpfs(target: string): TmpfsRequest {
  return {
    kind: "tmpfs",
    target,
    readOnly: false,
    exec: false,
    suid: false,
    dev: false,
    atime: "default",
    size: undefined,
    inodes: undefined,
    mode: undefined,
    uid: undefined,
    gid: undefined,
  };
}

/**
 * Reads one `--tmpfs`. Where two options say the same thing, the last one counts, as in mount(8).
 * @throws {DugoutError} FLAG_INVALID.
 */
export function parseTmpfs(text: string): TmpfsRequest {
  const [targetText, list] = splitOnce(text, ":");
  const target = cleanPath(targetText);
  if (target === undefined) throw flagError(FLAG, text, "the target is not an absolute path");
  if (target === "/") throw flagError(FLAG, text, "the target cannot be the root");
  const tmpfs = newTmpfs(target);
  if (list === undefined || list === "") return tmpfs;
  for (const word of list.split(",")) {
    const [key, value] = splitOnce(word, "=");
    const done = value === undefined ? applyFlag(tmpfs, key) : applyValue(tmpfs, key, value);
    if (!done) throw flagError(FLAG, text, `there is no option "${word.slice(0, 100)}"`, OPTIONS_HINT);
  }
  return tmpfs;
}

const OPTIONS_HINT = "Options are ro, rw, exec, noexec, suid, nosuid, dev, nodev, noatime, relatime, strictatime, " +
  "size=64m or 50%, mode=755, uid=N, gid=N, nr_inodes=N, nr_blocks=N";

function applyFlag(tmpfs: TmpfsRequest, word: string): boolean {
  switch (word) {
    case "ro":
    case "rw":
      tmpfs.readOnly = word === "ro";
      return true;
    case "exec":
    case "noexec":
      tmpfs.exec = word === "exec";
      return true;
    case "suid":
    case "nosuid":
      tmpfs.suid = word === "suid";
      return true;
    case "dev":
    case "nodev":
      tmpfs.dev = word === "dev";
      return true;
    case "noatime":
    case "strictatime":
      tmpfs.atime = word;
      return true;
    case "relatime":
    case "atime":
      tmpfs.atime = "default";
      return true;
    case "defaults":
    // tmpfs has nothing to write back; access times of directories follow those of files
    case "async":
    case "sync":
    case "dirsync":
    case "diratime":
    case "nodiratime":
    // Podman's words for copying the image's files in, which we do not
    case "notmpcopyup":
      return true;
    default:
      return false;
  }
}

function applyValue(tmpfs: TmpfsRequest, key: string, value: string): boolean {
  switch (key) {
    case "size":
      tmpfs.size = parseTmpfsSize(value);
      return tmpfs.size !== undefined;
    case "mode":
      tmpfs.mode = parseMode(value);
      return tmpfs.mode !== undefined;
    case "uid":
    case "gid":
      tmpfs[key] = parseCount(value, MAX_ID);
      return tmpfs[key] !== undefined;
    case "nr_inodes":
      tmpfs.inodes = parseSize(value);
      return tmpfs.inodes !== undefined;
    case "nr_blocks": {
      const blocks = parseSize(value);
      // a block is a page (tmpfs(5)); 4,096 bytes on both architectures as distributions build them
      tmpfs.size = blocks === undefined ? undefined : blocks * 4096;
      return tmpfs.size !== undefined && Number.isSafeInteger(tmpfs.size);
    }
    default:
      return false;
  }
}

/** A size of a tmpfs: bytes, with units, or per cent of the memory. */
function parseTmpfsSize(text: string): TmpfsRequest["size"] {
  if (!text.endsWith("%")) return parseSize(text);
  const percent = parseCount(text.slice(0, -1), 100);
  return percent === undefined ? undefined : { percent };
}

/** Permission bits in octal: `755`, `1777`, `0o` not. */
export function parseMode(text: string): number | undefined {
  return /^[0-7]{1,5}$/.test(text) && Number.parseInt(text, 8) <= 0o7777 ? Number.parseInt(text, 8) : undefined;
}

function parseCount(text: string, most: number): number | undefined {
  return /^[0-9]{1,10}$/.test(text) && Number(text) <= most ? Number(text) : undefined;
}
