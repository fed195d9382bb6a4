/**
 * inotify(7): being told of changes in directories.
 *
 * @module
 */
import { addressOf, allocate, cString, readLater } from "#ffi/mod.ts";
import { expectResult, type Fd, tryCall } from "./call.ts";
import { EINTR, EMFILE } from "./errno_values.ts";
import { close } from "./file.ts";

export const IN_MODIFY = 0x2;
export const IN_CLOSE_WRITE = 0x8;
export const IN_MOVED_FROM = 0x40;
export const IN_MOVED_TO = 0x80;
export const IN_CREATE = 0x100;
export const IN_DELETE = 0x200;
export const IN_DELETE_SELF = 0x400;
export const IN_ONLYDIR = 0x1000000;
const IN_CLOEXEC = 0o2000000;

/** `struct inotify_event`, without the name behind it. */
const EVENT = { wd: 0, mask: 4, cookie: 8, length: 12, SIZE: 16 } as const;
const BUFFER_BYTES = 16 << 10;

/** What a watch tells: `name` is that of the entry, empty for the directory itself. */
export interface Change {
  readonly watch: number;
  readonly mask: number;
  readonly name: string;
}

/** Watches of one process. Close it when done. */
export interface Watches {
  /** Watches a path. @returns Its number, or minus errno: ENOSPC says that the user has too many. */
  add(path: string, mask: number): number;
  /** Waits for changes, without holding up the event loop. */
  next(): Promise<readonly Change[]>;
  [Symbol.dispose](): void;
}

/**
 * Opens an inotify instance.
 * @returns undefined where the user has as many as may be had (EMFILE; fs.inotify.max_user_instances, 128 as a rule, counts for all of a user's
 * processes and containers): then one has to look now and then.
 */
export function openWatches(): Watches | undefined {
  const opened = tryCall("inotify_init1", IN_CLOEXEC);
  if (opened === -EMFILE) return undefined;
  const fd = expectResult(opened, "inotify_init1", "watches") as Fd;
  const buffer = allocate(BUFFER_BYTES);
  return {
    add: (path, mask) => tryCall("inotify_add_watch", fd, addressOf(cString(path)), mask),
    async next() {
      for (;;) {
        const count = await readLater(fd, buffer);
        if (count !== -EINTR) return decodeChanges(buffer.subarray(0, expectResult(count, "read", "watches")));
      }
    },
    [Symbol.dispose]: () => close(fd),
  };
}

/** Reads the records of one read(2). */
export function decodeChanges(bytes: Uint8Array): Change[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const changes: Change[] = [];
  for (let at = 0; at + EVENT.SIZE <= bytes.length;) {
    const length = view.getUint32(at + EVENT.length, true);
    const name = bytes.subarray(at + EVENT.SIZE, at + EVENT.SIZE + length);
    const end = name.indexOf(0);
    changes.push({
      watch: view.getInt32(at + EVENT.wd, true),
      mask: view.getUint32(at + EVENT.mask, true),
      name: new TextDecoder().decode(end < 0 ? name : name.subarray(0, end)),
    });
    at += EVENT.SIZE + length;
  }
  return changes;
}
