import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_NOCTTY,
  O_RDWR,
  OPEN_HOW,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  S_IFREG,
} from "#linux/file.ts";
import { TIOCGPTPEER, TIOCSCTTY, TIOCSPTLCK, TIOCSWINSZ } from "#linux/ioctl.ts";
import { MOVE_MOUNT_F_EMPTY_PATH, OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from "#linux/mount.ts";
import { SCM_RIGHTS, SOL_SOCKET } from "#linux/socket.ts";
import { packStruct } from "#tape/pack.ts";
import { operate, type Step, step } from "#tape/step.ts";
import { CONSOLE_FD } from "./setup.ts";
import { openHow } from "./target_steps.ts";

/** `struct winsize`: rows, columns, and pixels that nobody uses; u16 each. */
export function winsize(rows: number, columns: number): Uint8Array {
  return packStruct("winsize", { ws_row: rows, ws_col: columns });
}

/**
 * Opens a pseudo-terminal of the devpts that the step `devpts` holds, as the steps `master` and `slave`, and gives it its
 * size before anything runs (C-079). The slave is opened from the master by TIOCGPTPEER, never by a name.
 * @param owner The ids inside that the terminal belongs to.
 */
export function openTerminalSteps(
  size: { rows: number; columns: number },
  owner: { uid: number; gid: number },
): Step[] {
  const resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  return [
    step(
      "openat2",
      [{ result: "devpts" }, "ptmx", openHow(O_RDWR | O_NOCTTY, resolve), OPEN_HOW.SIZE],
      "open",
      "terminal master",
      { id: "master" },
    ),
    step("ioctl", [{ result: "master" }, TIOCSPTLCK, new Uint8Array(8)], "unlock", "terminal"),
    step("ioctl", [{ result: "master" }, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC], "open", "terminal slave", {
      id: "slave",
    }),
    step("ioctl", [{ result: "master" }, TIOCSWINSZ, winsize(size.rows, size.columns)], "set size of", "terminal"),
    step("fchown", [{ result: "slave" }, owner.uid, owner.gid], "give terminal to", String(owner.uid), {
      ignore: true,
    }),
  ];
}

/** Sends the terminal's master over {@linkcode CONSOLE_FD}. */
export function sendTerminalSteps(): Step[] {
  return [
    operate(
      "store",
      [{ buffer: "console control", offset: 16 }, { result: "master" }, 4],
      "put the master in the message",
    ),
    step(
      "sendmsg",
      [
        CONSOLE_FD,
        // struct msghdr: name, namelen, iov, iovlen, control, controllen, flags
        {
          struct: [0, 0, { struct: [new Uint8Array([0]), 1] }, 1, { buffer: "console control" }, 24, 0],
        },
        0,
      ],
      "send",
      "terminal master",
    ),
    step("close", [{ result: "master" }], "close", "terminal master"),
  ];
}

/** Makes /dev/console the same terminal, bound by descriptor. */
export function consoleSteps(): Step[] {
  return [
    step("mknodat", [{ result: "dev" }, "console", S_IFREG | 0o620, 0], "make file", "/dev/console"),
    step(
      "open_tree",
      [{ result: "slave" }, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH],
      "bind",
      "terminal",
      {
        id: "console",
      },
    ),
    step(
      "move_mount",
      [{ result: "console" }, "", { result: "dev" }, "console", MOVE_MOUNT_F_EMPTY_PATH],
      "mount at",
      "/dev/console",
    ),
    step("close", [{ result: "console" }], "close", "terminal"),
  ];
}

/** `struct cmsghdr` for one descriptor: length 20, SOL_SOCKET, SCM_RIGHTS, then the fd (at 16). */
export function consoleControl(): Uint8Array {
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, 20n, true);
  view.setInt32(8, SOL_SOCKET, true);
  view.setInt32(12, SCM_RIGHTS, true);
  return bytes;
}

/** Makes the terminal descriptors 0, 1 and 2. */
export function useTerminalSteps(): Step[] {
  return [0, 1, 2].map((fd) => step("dup3", [{ result: "slave" }, fd, 0], "use terminal as", `descriptor ${fd}`));
}

/** Makes the terminal the controlling one of a session that has just begun. It cannot be taken from another session. */
export function controllingTerminalStep(): Step {
  return step("ioctl", [0, TIOCSCTTY, 0], "take", "controlling terminal");
}
