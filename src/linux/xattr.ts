/**
 * Extended attributes (xattr(7)) of open files, and of symlinks and special files by their directory.
 *
 * @module
 */
import { type Fd, tryCall } from "./call.ts";
import { putName, readChars, scratch } from "./scratch.ts";

/** fsetxattr(2); values of up to 64 KiB. */
export function setXattr(fd: Fd, name: string, value: Uint8Array): number {
  const { nameA, io } = scratch();
  io.bytes.set(value);
  return tryCall("fsetxattr", fd, putName(nameA, name), io.address, value.length, 0);
}

/** fgetxattr(2). */
export function getXattr(fd: Fd, name: string): Uint8Array | number {
  const { nameA, io } = scratch();
  const length = tryCall("fgetxattr", fd, putName(nameA, name), io.address, io.bytes.length);
  return length < 0 ? length : Uint8Array.prototype.slice.call(io.bytes, 0, length);
}

/** flistxattr(2): full names. */
export function listXattrs(fd: Fd): string[] | number {
  const { io } = scratch();
  const length = tryCall("flistxattr", fd, io.address, io.bytes.length);
  return length < 0 ? length : readChars(io, 0, length).split("\0").slice(0, -1);
}

/** fremovexattr(2). */
export function removeXattr(fd: Fd, name: string): number {
  return tryCall("fremovexattr", fd, putName(scratch().nameA, name));
}
