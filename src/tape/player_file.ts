import {
  AT_FDCWD,
  close,
  duplicate,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  openAt,
  sealAll,
  tryMakeMemfd,
  writeAll,
} from "#linux/file.ts";
import { expectResult, type Fd, tryCall } from "#linux/call.ts";
import { addressOf, cString } from "#ffi/mod.ts";
import { OsError } from "#linux/errno.ts";
import { HOST_ARCH } from "#linux/arch.ts";
import { playerBytes } from "./player.ts";

/**
 * Above every number that a child's descriptors get, since it is executed after they have been put in place; and low,
 * since the hard limit of descriptors may be.
 */
const PLAYER_FD = 60;
const EACCES = -13;
const X_OK = 1;

/** The player, ready to be executed as `/proc/self/fd/N` by a child of this process. */
export interface OpenPlayer {
  readonly fd: Fd;
  [Symbol.dispose](): void;
}

let kept: Fd | undefined;

/**
 * Opens the player: a sealed memfd, made once; or, where the administrator forbids to execute those (sysctl
 * vm.memfd_noexec=2, Linux 6.3), a file without a name in a directory of the user's, made anew each time, since nothing
 * seals it.
 * @throws {OsError} EACCES when neither may be executed.
 */
export function openPlayer(): OpenPlayer {
  if (kept !== undefined) return { fd: kept, [Symbol.dispose]: () => {} };
  const result = tryMakeMemfd("dugout-player", true);
  if (result === EACCES) return openPlayerFile();
  const fd = expectResult(result, "memfd_create", "dugout-player") as Fd;
  writeAll(fd, playerBytes(HOST_ARCH));
  sealAll(fd);
  kept = moveUp(fd);
  return { fd: kept, [Symbol.dispose]: () => {} };
}

function moveUp(fd: Fd): Fd {
  const copy = duplicate(fd, PLAYER_FD);
  close(fd);
  return copy;
}

/** The player as a file without a name, in the first directory from which programs may be executed. */
function openPlayerFile(): OpenPlayer {
  for (const directory of [`/run/user/${process.getuid?.() ?? 0}`, "/dev/shm", "/tmp", "/var/tmp"]) {
    const fd = tryPlayerFile(directory);
    if (fd !== undefined) return { fd, [Symbol.dispose]: () => close(fd) };
  }
  throw new OsError({
    call: "execute",
    object: "dugout-player",
    code: "EACCES",
    hint:
      "this machine forbids executable memory files (sysctl vm.memfd_noexec=2), and /run/user, /dev/shm, /tmp and /var/tmp are all mounted noexec: ask the administrator to set the sysctl to 1",
  });
}

/** A file of mode 0500 with the player in it, open for reading alone; undefined where that cannot be had there. */
function tryPlayerFile(directory: string): Fd | undefined {
  try {
    const written = openAt(AT_FDCWD, directory, O_TMPFILE | O_RDWR, 0o500);
    try {
      writeAll(written, playerBytes(HOST_ARCH));
      const name = `/proc/self/fd/${written}`;
      const path = cString(name);
      // access(2) says EACCES on a mount with noexec
      if (tryCall("faccessat", AT_FDCWD, addressOf(path), X_OK) < 0) return undefined;
      // a file that is open for writing is not executed (ETXTBSY)
      return moveUp(openAt(AT_FDCWD, name, O_RDONLY));
    } finally {
      close(written);
    }
  } catch (error) {
    if (error instanceof OsError) return undefined;
    throw error;
  }
}
