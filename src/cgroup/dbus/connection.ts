/**
 * A connection to a bus: one socket, calls and their answers, signals that are waited for. Everything is synchronous and has
 * an end: it stands between a container and its start, some milliseconds long, and a bus that says nothing must not hold that up.
 *
 * No environment is read: an address could name a program to run (`unixexec:`) or a socket of somebody else.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { call as systemCall, type Fd, tryCall } from "#linux/call.ts";
import { errnoName } from "#linux/errno.ts";
import { EAGAIN, EINTR } from "#linux/errno_values.ts";
import { close, owned } from "#linux/file.ts";
import { POLLIN, POLLOUT } from "#linux/poll.ts";
import {
  AF_UNIX,
  encodeUnixAddress,
  MSG_NOSIGNAL,
  readPeerUid,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from "#linux/socket.ts";
import { waitForDescriptor } from "#linux/wait_descriptor.ts";
import { BusError } from "./error.ts";
import { decodeMessage, encodeCall, type Message, MESSAGE_TYPE, messageLength, type MethodCall } from "./message.ts";

/** Lines of the authentication are short. */
const MOST_LINE_BYTES = 512;
/** Who gets more than this without what is waited for gives up. */
const MOST_MESSAGES = 4096;
const READ_BYTES = 16384;

/** An open connection. */
export interface Bus {
  /**
   * Sends a call.
   * @returns Its serial, for {@linkcode Bus.receive}.
   */
  send(call: MethodCall): number;
  /**
   * The next message.
   * @throws {BusError} BUS_TIMEOUT, BUS_REFUSED, BUS_PROTOCOL.
   */
  receive(): Message;
  /**
   * Waits for the answer of a call; other messages go to `others`.
   * @throws {BusError} BUS_ERROR when the answer is an error; and as {@linkcode Bus.receive}.
   */
  answer(serial: number, others?: (message: Message) => void): Message;
  [Symbol.dispose](): void;
}

const HELLO: MethodCall = {
  destination: "org.freedesktop.DBus",
  path: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
  member: "Hello",
  signature: "",
  args: [],
};

/**
 * Connects to a bus as the caller (EXTERNAL: the kernel tells the other side who we are), and says hello.
 * @param path Of its socket, which must lie where nobody else can have put it.
 * @param owner Whose process must listen there.
 * @param limitMs How long all that is done over this connection may take.
 * @throws {BusError}
 */
export function openBus(path: string, owner: number, limitMs: number): Bus {
  return converse(connectTo(path, owner).fd, limitMs);
}

/** A socket that is connected, and whose other end is served by that user. @throws {BusError} */
export function connectTo(path: string, owner: number): ReturnType<typeof owned> {
  const socket = systemCall("socket", "unix stream", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) as Fd;
  try {
    const address = encodeUnixAddress(path);
    const result = tryCall("connect", socket, addressOf(address.bytes), address.length);
    if (result < 0) throw new BusError("BUS_REFUSED", `nobody answers at ${path}: ${errnoName(-result)}`);
    const peer = readPeerUid(socket);
    if (peer !== owner) throw new BusError("BUS_FOREIGN", `${path} is served by the user ${peer}, not by ${owner}`);
    return owned(socket);
  } catch (error) {
    close(socket);
    throw error;
  }
}

/**
 * The same over a socket that is connected, and is the connection's from then on. It does not block.
 */
export function converse(socket: Fd, limitMs: number): Bus {
  const untilMs = performance.now() + limitMs;
  let received: Uint8Array = new Uint8Array(0);
  let isAuthenticated = false;
  let lastSerial = 0;
  let count = 0;
  const chunk = allocate(READ_BYTES);

  function waitFor(events: number): void {
    if (!waitForDescriptor(socket, events, untilMs - performance.now())) {
      throw new BusError("BUS_TIMEOUT", "The bus does not answer in time");
    }
  }

  function write(bytes: Uint8Array): void {
    const copy = allocate(bytes.length);
    copy.set(bytes);
    for (let at = 0; at < copy.length;) {
      const rest = copy.length - at;
      const result = tryCall("sendto", socket, addressOf(copy) + at, rest, MSG_NOSIGNAL, 0, 0);
      if (result === -EAGAIN) waitFor(POLLOUT);
      else if (result < 0 && result !== -EINTR) {
        throw new BusError("BUS_REFUSED", `The bus has closed the connection: ${errnoName(-result)}`);
      } else if (result > 0) at += result;
    }
  }

  function read(): void {
    for (;;) {
      const result = tryCall("read", socket, addressOf(chunk), chunk.length);
      if (result > 0) {
        const joined = new Uint8Array(received.length + result);
        joined.set(received);
        joined.set(chunk.subarray(0, result), received.length);
        received = joined;
        return;
      }
      if (result === 0) throw new BusError("BUS_REFUSED", "The bus has closed the connection");
      if (result === -EAGAIN) waitFor(POLLIN);
      else if (result !== -EINTR) throw new BusError("BUS_REFUSED", `The bus: ${errnoName(-result)}`);
    }
  }

  /** The other side's only line: `OK` and the bus's id. */
  function readAgreement(): void {
    for (;;) {
      const end = received.indexOf(0x0a);
      if (end > MOST_LINE_BYTES || (end < 0 && received.length > MOST_LINE_BYTES)) {
        throw new BusError("BUS_PROTOCOL", "What came from the bus is no line");
      }
      if (end >= 0) {
        const line = new TextDecoder("latin1").decode(received.subarray(0, end)).trim();
        if (!line.startsWith("OK ")) throw new BusError("BUS_REFUSED", "The bus does not let us in");
        received = received.subarray(end + 1);
        isAuthenticated = true;
        return;
      }
      read();
    }
  }

  function receive(): Message {
    if (!isAuthenticated) readAgreement();
    if (++count > MOST_MESSAGES) throw new BusError("BUS_PROTOCOL", "The bus sends message after message");
    for (;;) {
      const length = messageLength(received);
      if (length !== undefined && received.length >= length) {
        const message = decodeMessage(received.subarray(0, length));
        received = received.subarray(length);
        return message;
      }
      read();
    }
  }

  function send(call: MethodCall): number {
    write(encodeCall(call, ++lastSerial));
    return lastSerial;
  }

  const uid = Array.from(String(process.geteuid!()), (digit) => digit.charCodeAt(0).toString(16)).join("");
  // all at once: nothing of it depends on the answers
  write(new TextEncoder().encode(`\0AUTH EXTERNAL ${uid}\r\nBEGIN\r\n`));
  const hello = send(HELLO);
  let isGreeted = false;

  const bus: Bus = {
    send,
    receive() {
      if (!isGreeted) {
        isGreeted = true;
        bus.answer(hello);
      }
      return receive();
    },
    answer(serial, others) {
      for (;;) {
        const message = serial === hello ? receive() : bus.receive();
        if (message.replySerial === serial && message.type === MESSAGE_TYPE.return) return message;
        if (message.replySerial === serial && message.type === MESSAGE_TYPE.error) {
          const [said] = message.body;
          const name = message.errorName ?? "";
          throw new BusError("BUS_ERROR", typeof said === "string" ? said : name, name);
        }
        others?.(message);
      }
    },
    [Symbol.dispose]: () => close(socket),
  };
  return bus;
}
