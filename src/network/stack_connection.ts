/**
 * Talking with the stack: a line each way on its control socket (`#netstack/control.ts`), one after the other. It answers in
 * microseconds and serves its user alone, so nothing is waited for by events.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { call, expectResult, type Fd, tryCall } from "#linux/call.ts";
import { AT_FDCWD, close, O_CLOEXEC, O_DIRECTORY, O_PATH, openAt } from "#linux/file.ts";
import { POLLFD, POLLIN } from "#linux/poll.ts";
import { AF_UNIX, encodeUnixAddress, MSG_NOSIGNAL, sendWithFd, SOCK_CLOEXEC, SOCK_STREAM } from "#linux/socket.ts";
import type { ControlAnswer, ControlRequest, ControlResult } from "#netstack/control.ts";
import { DugoutError } from "#oci/error.ts";
import { networkDirectory } from "./holder.ts";

/** The control socket, in the network's directory. */
export const CONTROL_SOCKET = "stack.sock";
const ANSWER_WITHIN_MS = 5_000;
const MOST_ANSWER_BYTES = 16 << 20;

/** A connection to the stack. */
export interface StackConnection {
  /** For those who read or pass it on. */
  readonly fd: Fd;
  /**
   * Says something, with a descriptor where that belongs to it.
   * @throws {DugoutError} STACK_LOST when it is gone meanwhile; STACK_… with the stack's own code when it refuses.
   */
  ask(request: ControlRequest, fd?: Fd): ControlResult | undefined;
  [Symbol.dispose](): void;
}

/** The path by which a directory's socket is reached whatever its length: an address holds 107 bytes. */
export function shortSocketPath(directory: Fd): string {
  return `/proc/self/fd/${directory}/${CONTROL_SOCKET}`;
}

/** Connects to the stack; undefined where none listens. */
export function connectStack(runRoot: string): StackConnection | undefined {
  let directory: Fd;
  try {
    directory = openAt(AT_FDCWD, networkDirectory(runRoot), O_PATH | O_DIRECTORY | O_CLOEXEC);
  } catch {
    // no network was ever there
    return undefined;
  }
  const socket = call("socket", "of the network stack", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) as Fd;
  const { bytes, length } = encodeUnixAddress(shortSocketPath(directory));
  const result = tryCall("connect", socket, addressOf(bytes), length);
  close(directory);
  if (result < 0) {
    close(socket);
    return undefined;
  }
  return {
    fd: socket,
    ask: (request, fd) => ask(socket, request, fd),
    [Symbol.dispose]: () => close(socket),
  };
}

function lost(why: string): DugoutError {
  return new DugoutError("STACK_LOST", `Cannot talk with the network stack: ${why}`, {
    hint: "the next command starts it again; what it said is in network/stack.log of the runtime directory",
  });
}

function ask(socket: Fd, request: ControlRequest, fd: Fd | undefined): ControlResult | undefined {
  const text = new TextEncoder().encode(`${JSON.stringify(request)}\n`);
  const line = allocate(text.length);
  line.set(text);
  for (let sent = 0; sent < line.length;) {
    const result = sent === 0 && fd !== undefined
      ? sendWithFd(socket, line, fd)
      : tryCall("sendto", socket, addressOf(line) + sent, line.length - sent, MSG_NOSIGNAL, 0, 0);
    if (result === -4) continue;
    if (result < 0) throw lost("it has ended");
    sent += result;
  }
  const answer = JSON.parse(readLine(socket)) as ControlAnswer;
  if (answer.ok) return answer.result;
  throw new DugoutError(`STACK_${answer.error.code}`, answer.error.message);
}

function readLine(socket: Fd): string {
  const chunk = allocate(65_536);
  const parts: Uint8Array[] = [];
  for (let total = 0; total < MOST_ANSWER_BYTES;) {
    if (!isReadable(socket)) throw lost(`it has not answered within ${ANSWER_WITHIN_MS / 1000} seconds`);
    const count = tryCall("read", socket, addressOf(chunk), chunk.length);
    if (count === -4) continue;
    if (count <= 0) throw lost("it has ended");
    const piece = chunk.slice(0, count);
    parts.push(piece);
    total += count;
    if (piece.at(-1) === 0x0a) return new TextDecoder().decode(joinBytes(parts, total));
  }
  throw lost("its answer has no end");
}

function joinBytes(parts: readonly Uint8Array[], total: number): Uint8Array {
  const all = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function isReadable(fd: Fd): boolean {
  const entry = allocate(POLLFD.SIZE);
  const view = new DataView(entry.buffer);
  view.setInt32(POLLFD.fd, fd, true);
  view.setInt16(POLLFD.events, POLLIN, true);
  const time = allocate(16);
  new DataView(time.buffer).setUint32(0, ANSWER_WITHIN_MS / 1000, true);
  let result: number;
  do result = tryCall("ppoll", addressOf(entry), 1, addressOf(time), 0, 0); while (result === -4);
  return expectResult(result, "ppoll", "the network stack") > 0;
}
