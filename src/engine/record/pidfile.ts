import * as fs from "node:fs";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";

/** A file for the pid, opened before there is one: a container whose pid cannot be written is not started. */
export interface Pidfile {
  write(pid: number): void;
  remove(): void;
}

/** Opens it. @throws {DugoutError} PIDFILE_FAILED. */
export function openPidfile(path: string): Pidfile {
  let fd: number;
  try {
    fd = fs.openSync(path, "w", 0o644);
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code;
    throw new DugoutError("PIDFILE_FAILED", `Cannot write the --pidfile ${quote(path)}: ${why}`, { cause: error });
  }
  return {
    write(pid) {
      fs.writeSync(fd, `${pid}\n`);
      fs.closeSync(fd);
    },
    remove() {
      fs.closeSync(fd);
      fs.rmSync(path, { force: true });
    },
  };
}
