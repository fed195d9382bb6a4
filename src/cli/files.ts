import { closeSync, createReadStream, fstatSync, openSync, renameSync, unlinkSync } from "node:fs";
import { DugoutError } from "#oci/error.ts";
import { errnoText } from "#linux/errno.ts";
import { quote } from "#oci/text.ts";
import { writeAll } from "./output.ts";

/** Reads a file of the user's piece by piece; standard input when there is no path. */
export function readPieces(path: string | undefined): AsyncIterable<Uint8Array> {
  if (path === undefined) return createReadStream("", { fd: 0, autoClose: false, highWaterMark: 1 << 18 });
  const fd = openFor("read", path, path, "r");
  return createReadStream("", { fd, highWaterMark: 1 << 18 });
}

/**
 * Writes pieces to a file: beside it first, so that a file which was there stays whole until the new one is. What is no plain
 * file (a pipe, /dev/stdout) is written to as it is.
 */
export async function writePieces(path: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const beside = isPlain(path) ? `${path}.${process.pid}.part` : undefined;
  const fd = openFor("write", path, beside ?? path, beside === undefined ? "w" : "wx");
  try {
    for await (const piece of pieces) writeAll(fd, piece);
    closeSync(fd);
    if (beside !== undefined) renameSync(beside, path);
  } catch (error) {
    if (beside !== undefined) unlinkSync(beside);
    throw explain("write", path, error);
  }
}

/**
 * The same for what is written by another process, to a descriptor.
 * @throws What `act` throws; nothing of the file is left then.
 */
export async function withOutputFile(path: string, act: (fd: number) => Promise<void>): Promise<void> {
  const beside = isPlain(path) ? `${path}.${process.pid}.part` : undefined;
  const fd = openFor("write", path, beside ?? path, beside === undefined ? "w" : "wx");
  try {
    await act(fd);
    closeSync(fd);
    if (beside !== undefined) renameSync(beside, path);
  } catch (error) {
    if (beside !== undefined) unlinkSync(beside);
    throw explain("write", path, error);
  }
}

/** Not there yet, or a regular file. */
function isPlain(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
  try {
    return fstatSync(fd).isFile();
  } finally {
    closeSync(fd);
  }
}

/** @param shown The path that the user gave. */
function openFor(action: "read" | "write", shown: string, path: string, flags: string): number {
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    throw explain(action, shown, error);
  }
}

/** Errors of the file system, with the path; others as they are. */
function explain(action: string, path: string, error: unknown): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (error instanceof DugoutError || code === undefined || syscall === undefined) return error;
  return new DugoutError(code, `Cannot ${action} the file ${quote(path)}: ${code}: ${errnoText(code)}`, {
    cause: error,
  });
}
