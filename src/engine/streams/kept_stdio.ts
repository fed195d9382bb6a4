/**
 * The streams of a container whose output is kept: pipes, or a terminal, whose other ends are its monitor's.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { AT_FDCWD, close, makePipe, O_RDWR, openAt } from "#linux/file.ts";
import { makeSocketPair } from "#linux/socket.ts";
import { CONSOLE_PEER_FD, INPUT_FD, STDERR_FD, STDOUT_FD } from "#runtime/monitor_fds.ts";
import { CONSOLE_FD, type StdioPlan } from "#runtime/setup.ts";
import { openStdio, openToAll } from "./stdio.ts";

/** Descriptors for the player: the container's streams, and what the monitor gets. */
export interface KeptStdio {
  readonly plan: StdioPlan;
  readonly stdio: [Fd, Fd, Fd];
  readonly others: readonly { child: number; ours: Fd }[];
  /** Whether a terminal of the caller's is behind stdin. */
  readonly hasTerminal: boolean;
  /** Closes what was opened here, once. */
  close(): void;
}

/** What the streams are to be. */
export interface KeptStdioInput {
  readonly tty: boolean;
  /** Whether stdin stays open. */
  readonly interactive: boolean;
  /** The caller's stdin, where it is the container's; undefined: the monitor holds it open. Without a terminal only. */
  readonly stdin: Fd | undefined;
  /** The container's user. */
  readonly user: Parameters<typeof openStdio>[1];
}

/** Opens them. */
export function openKeptStdio({ tty, interactive, stdin, user }: KeptStdioInput): KeptStdio {
  const opened: Fd[] = [];
  const keep = (fd: Fd): Fd => {
    opened.push(fd);
    return fd;
  };
  const closeAll = () => opened.splice(0).forEach(close);
  if (tty) {
    const nothing = keep(openAt(AT_FDCWD, "/dev/null", O_RDWR));
    const [ours, theirs] = makeSocketPair().map(keep) as [Fd, Fd];
    return {
      plan: { kind: "terminal" },
      // the first process has the caller's stderr for a moment: fuse-overlayfs may have something to say
      stdio: [nothing, nothing, 2 as Fd],
      others: [{ child: CONSOLE_FD, ours: theirs }, { child: CONSOLE_PEER_FD, ours }],
      hasTerminal: false,
      close: closeAll,
    };
  }
  const openPipe = () => {
    const { read, write } = makePipe();
    // its user, who may not be root, must be able to open /dev/stdout again (C-076)
    openToAll(write);
    return { read: keep(read), write: keep(write) };
  };
  const input = openStdio({ stdin: interactive ? stdin : undefined, stdout: undefined, stderr: undefined }, user);
  const others = [...input.relayFds];
  let [first] = input.stdio;
  if (interactive && stdin === undefined) {
    const { read, write } = openPipe();
    first = read;
    others.push({ child: INPUT_FD, ours: write });
  }
  const [stdout, stderr] = [openPipe(), openPipe()];
  others.push({ child: STDOUT_FD, ours: stdout.read }, { child: STDERR_FD, ours: stderr.read });
  return {
    plan: { kind: "inherit", relays: input.relays },
    stdio: [first, stdout.write, stderr.write],
    others,
    hasTerminal: input.hasTerminal,
    close() {
      input.close();
      closeAll();
    },
  };
}
