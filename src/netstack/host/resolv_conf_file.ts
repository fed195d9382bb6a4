/**
 * The host's name servers as they are now: the file is looked at when somebody asks, once a second at most, and read when it is
 * another one (C-140). A path that is a chain of links is followed each time (C-093), which watches of directories would not do.
 *
 * @module
 */
import { readFileSync, statSync } from "node:fs";
import { parseResolvConf, type ResolvConf } from "../socket/dns/resolv_conf.ts";

const LOOK_EVERY_MS = 1000;

/** @returns What gives the servers at a time; a file that cannot be read is as none. */
export function followResolvConf(path: string): (nowMs: number) => ResolvConf {
  let current = parseResolvConf(undefined);
  let stamp = "";
  let lookedMs = -Infinity;
  return (nowMs) => {
    if (nowMs - lookedMs < LOOK_EVERY_MS) return current;
    lookedMs = nowMs;
    const status = statSync(path, { bigint: true, throwIfNoEntry: false });
    const seen = status === undefined ? "none" : `${status.dev} ${status.ino} ${status.size} ${status.mtimeNs}`;
    if (seen === stamp) return current;
    stamp = seen;
    current = parseResolvConf(readText(path));
    return current;
  };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
