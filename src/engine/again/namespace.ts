/**
 * The user namespace of a remembered run, made by a process of its own before the plan is even read: newuidmap and newgidmap,
 * which take as long as the container, run meanwhile.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { AT_FDCWD, close, makePipe, O_RDONLY, openAt } from "#linux/file.ts";
import { ERROR_FD, GO_FD, READY_FD } from "#runtime/map_ids.ts";
import { startEncodedTape, waitFor } from "#tape/play.ts";

/** A process that holds a user namespace, whose ids are being mapped. */
export interface NamespaceHolder {
  /** Opens the namespace. Undefined where it could not be made. */
  open(): Fd | undefined;
  /** Gives a byte when ids are mapped, and its end where they cannot be. */
  readonly mapped: Fd;
  /** Lets go of the namespace; whoever has joined it keeps it. */
  release(): void;
  /** Waits for the process, which ends when it is released. */
  reap(): void;
}

/** Starts the process. @param tape That of `namespace_tape.ts`. */
export function startNamespace(tape: Uint8Array): NamespaceHolder {
  const [ready, go] = [makePipe(), makePipe()];
  const fds = [{ child: READY_FD, ours: ready.write }, { child: GO_FD, ours: go.read }];
  let playing;
  try {
    playing = startEncodedTape({ bytes: tape, errorFd: ERROR_FD }, { fds, name: "dugout-namespace", newSession: true });
  } catch (error) {
    [ready.read, go.write].forEach(close);
    throw error;
  } finally {
    [ready.write, go.read].forEach(close);
  }
  const { pid, errors } = playing;
  // why it failed is found out by the whole way
  close(errors);
  let namespace: Fd | undefined;
  return {
    mapped: ready.read,
    open() {
      if (!readByte(ready.read)) return undefined;
      namespace = openAt(AT_FDCWD, `/proc/${pid}/ns/user`, O_RDONLY);
      return namespace;
    },
    release() {
      if (namespace !== undefined) close(namespace);
      [ready.read, go.write].forEach(close);
    },
    reap: () => void waitFor(pid),
  };
}

function readByte(fd: Fd): boolean {
  const byte = allocate(1);
  let result: number;
  do result = tryCall("read", fd, addressOf(byte), 1); while (result === -4);
  return result === 1;
}
