/**
 * The control socket's server: lines of JSON, one answer each, in order (`control.ts`). Only this user's processes reach the socket,
 * which stands in a directory of mode 0700; what they say is checked all the same.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { close } from "#linux/file.ts";
import { CMSGHDR, MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, MSGHDR, SOCK_CLOEXEC } from "#linux/socket.ts";
import * as v from "valibot";
import { type ControlAnswer, ControlRequest, MAX_CONTROL_LINE_BYTES } from "../control.ts";
import { CONTROL_WATCHER } from "../host/poller.ts";
import { answerRequest, ControlError, type RequestContext } from "./answer_request.ts";
import type { Netstack } from "./netstack.ts";

const MAX_CONNECTIONS = 64;
const CHUNK_BYTES = 65_536;
const CONTROL_BYTES = CMSGHDR.SIZE + 8;
const EAGAIN = 11;
const EINTR = 4;
/** Without a container or a link, and without anybody who talks to it, the stack ends after so long. */
const FORSAKEN_MS = 30_000;

export interface ControlServer {
  onEvent(key: number, nowMs: number): void;
  /** Told to stop. */
  readonly isOver: boolean;
  /** Nobody needs the stack any more. */
  isForsaken(nowMs: number): boolean;
}

interface Connection {
  readonly fd: Fd;
  text: string;
  readonly decoder: TextDecoder;
  /** Came with a line's first byte, and was not taken yet. */
  passed: Fd | undefined;
  /** Ends what the connection has asked for: a capture. */
  readonly onEnd: (() => void)[];
}

export function makeControlServer(netstack: Netstack, listener: Fd): ControlServer {
  const { poller } = netstack;
  const connections = new Map<number, Connection>();
  const chunk = allocate(CHUNK_BYTES);
  const iov = allocate(16);
  const ancillary = allocate(CONTROL_BYTES);
  const message = allocate(MSGHDR.SIZE);
  const words = new DataView(message.buffer);
  const encoder = new TextEncoder();
  let isOver = false;
  let busyMs = -1;
  poller.watchInput(listener, CONTROL_WATCHER, listener);

  const end = (connection: Connection) => {
    connections.delete(connection.fd);
    poller.unwatch(connection.fd);
    for (const stop of connection.onEnd) stop();
    if (connection.passed !== undefined) close(connection.passed);
    close(connection.fd);
  };

  const accept = () => {
    const fd = tryCall("accept4", listener, 0, 0, SOCK_CLOEXEC);
    if (fd < 0) return;
    if (connections.size >= MAX_CONNECTIONS) return close(fd as Fd);
    connections.set(fd, { fd: fd as Fd, text: "", decoder: new TextDecoder(), passed: undefined, onEnd: [] });
    poller.watchInput(fd as Fd, CONTROL_WATCHER, fd);
  };

  /** @returns How many bytes came to `chunk`; 0 at the end. */
  const receive = (connection: Connection): number => {
    const iovWords = new DataView(iov.buffer);
    iovWords.setBigUint64(0, BigInt(addressOf(chunk)), true);
    iovWords.setBigUint64(8, BigInt(CHUNK_BYTES), true);
    words.setBigUint64(MSGHDR.iov, BigInt(addressOf(iov)), true);
    words.setBigUint64(MSGHDR.iovCount, 1n, true);
    words.setBigUint64(MSGHDR.control, BigInt(addressOf(ancillary)), true);
    words.setBigUint64(MSGHDR.controlLength, BigInt(CONTROL_BYTES), true);
    const count = tryCall("recvmsg", connection.fd, addressOf(message), MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count > 0 && words.getBigUint64(MSGHDR.controlLength, true) >= 20n) {
      if (connection.passed !== undefined) close(connection.passed);
      connection.passed = new DataView(ancillary.buffer).getInt32(CMSGHDR.SIZE, true) as Fd;
    }
    return count;
  };

  const send = (fd: Fd, answer: ControlAnswer): boolean => {
    const text = encoder.encode(`${JSON.stringify(answer)}\n`);
    const bytes = allocate(text.length);
    bytes.set(text);
    for (let sent = 0; sent < bytes.length;) {
      const result = tryCall("sendto", fd, addressOf(bytes) + sent, bytes.length - sent, MSG_NOSIGNAL, 0, 0);
      if (result === -EINTR) continue;
      if (result <= 0) return false;
      sent += result;
    }
    return true;
  };

  const onLine = (connection: Connection, line: string, nowMs: number): boolean => {
    const context: RequestContext = {
      netstack,
      nowMs,
      takeFd() {
        const fd = connection.passed;
        connection.passed = undefined;
        return fd;
      },
      onEnd: (stop) => connection.onEnd.push(stop),
      stop: () => isOver = true,
    };
    return send(connection.fd, answerLine(context, line));
  };

  const read = (connection: Connection, nowMs: number) => {
    const count = receive(connection);
    if (count === -EAGAIN || count === -EINTR) return;
    if (count <= 0) return end(connection);
    connection.text += connection.decoder.decode(chunk.subarray(0, count), { stream: true });
    for (let at = connection.text.indexOf("\n"); at !== -1; at = connection.text.indexOf("\n")) {
      const line = connection.text.slice(0, at);
      connection.text = connection.text.slice(at + 1);
      if (!onLine(connection, line, nowMs)) return end(connection);
    }
    if (connection.text.length > MAX_CONTROL_LINE_BYTES) end(connection);
  };

  return {
    onEvent(key, nowMs) {
      if (key === listener) return accept();
      const connection = connections.get(key);
      if (connection !== undefined) read(connection, nowMs);
    },
    get isOver() {
      return isOver;
    },
    isForsaken(nowMs) {
      const { open, watched } = netstack;
      const isNeeded = watched.isUsed ? watched.byFd.size > 0 : open.some((link) => link !== undefined);
      if (busyMs === -1 || connections.size > 0 || isNeeded) busyMs = nowMs;
      return nowMs - busyMs > FORSAKEN_MS;
    },
  };
}

function answerLine(context: RequestContext, line: string): ControlAnswer {
  let request: ControlRequest;
  try {
    request = v.parse(ControlRequest, JSON.parse(line));
  } catch (error) {
    return { ok: false, error: { code: "INVALID", message: `The request is none: ${String(error)}` } };
  }
  try {
    const result = answerRequest(context, request);
    return result === undefined ? { ok: true } : { ok: true, result };
  } catch (error) {
    const code = error instanceof ControlError ? error.code : "FAILED";
    return { ok: false, error: { code, message: error instanceof Error ? error.message : String(error) } };
  }
}
