/**
 * The files of a log.
 *
 * @module
 */
import { closeSync, fstatSync, openSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { LOG_FILE } from "#runtime/log_frame.ts";

/** A log file that is open. Its name may be another one already: the inode stays. */
export interface LogFile {
  readonly fd: number;
  readonly inode: number;
}

/** The files of a container's log, opened, the oldest first. The caller closes them. */
export function openLogFiles(directory: string): LogFile[] {
  const numbers = readdirSync(directory).flatMap((name) => {
    if (name === LOG_FILE) return [0];
    const match = /^log\.([1-9][0-9]{0,6})$/.exec(name);
    return match === null ? [] : [Number(match[1])];
  });
  const files: LogFile[] = [];
  for (const number of numbers.sort((a, b) => b - a)) {
    const file = openLogFile(join(directory, number === 0 ? LOG_FILE : `${LOG_FILE}.${number}`));
    // renamed while we look: it was opened already, under its older name
    if (file === undefined) continue;
    if (files.some(({ inode }) => inode === file.inode)) closeSync(file.fd);
    else files.push(file);
  }
  return files;
}

/** Opens a log file; undefined where there is none. */
export function openLogFile(path: string): LogFile | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return { fd, inode: fstatSync(fd).ino };
}

/** Closes them. */
export function closeLogFiles(files: readonly LogFile[]): void {
  for (const { fd } of files) closeSync(fd);
}
