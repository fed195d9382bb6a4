/**
 * Sockets of a host, in virtual time: behind each stands a program that sends bytes which one can tell by their place, checks what
 * it gets in the same way, and reads as slowly as it likes.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { HOST_CLOSED, HOST_FAILED, HOST_READABLE, HOST_WRITABLE, type HostEvents } from "../host_events.ts";
import { type IpAddress, parseIpAddress } from "../ip_address.ts";
import type { Memory } from "../memory.ts";
import type { Protocol } from "../protocol.ts";
import type { StreamSockets } from "../socket/stream_sockets.ts";
import { at, type VirtualClock } from "./virtual_clock.ts";

const EAGAIN = 11;
const EPIPE = 32;
const EADDRINUSE = 98;
const ECONNRESET = 104;
const EINPROGRESS = 115;

/** What a program at the end of a connection does. */
export interface Behaviour {
  /** Bytes that it sends, then closes its sending side. */
  sends: number;
  /** At most so many at a time, each `everyMs`. */
  chunkBytes: number;
  everyMs: number;
  /** Reads at most so many at a time; 0 never reads. */
  readChunkBytes: number;
  readEveryMs: number;
  /** What its socket holds of what it has not read. */
  bufferBytes: number;
  /** Resets after it has got so many bytes; Infinity for never. */
  resetsAfter: number;
  /** Begins to send only when it has got all of the other's bytes and their end. */
  answersAtEnd: boolean;
  seed: number;
}

export const PLAIN: Behaviour = {
  sends: 10_000,
  chunkBytes: 65_536,
  everyMs: 0,
  readChunkBytes: 1 << 20,
  readEveryMs: 0,
  bufferBytes: 1 << 18,
  resetsAfter: Infinity,
  answersAtEnd: false,
  seed: 1,
};

/** The byte at a place of a stream. */
export function byteAt(seed: number, place: number): number {
  return (Math.imul(place ^ seed, 0x9e3779b1) >>> 24) ^ (place & 0xff);
}

export interface HostProgram {
  readonly behaviour: Behaviour;
  /** What its peer's bytes are told by. */
  readonly expects: number;
  /** Bytes given to the stack so far, and ready to be given. */
  given: number;
  ready: number;
  /** Bytes got from the stack, and read by the program. */
  got: number;
  read: number;
  hasGotEnd: boolean;
  isReset: boolean;
  /** -1 until the other side was connected. */
  closedAtMs: number;
  wrong: string | undefined;
}

interface Socket {
  fd: number;
  kind: "new" | "connecting" | "open" | "listener";
  error: number;
  program: HostProgram | undefined;
  protocol: number;
  key: number;
  isWatched: boolean;
  hasEndedSending: boolean;
  isScheduled: boolean;
  backlog: { program: HostProgram; port: number }[];
}

export interface SimulatedHost {
  readonly sockets: StreamSockets;
  readonly events: HostEvents;
  /** A client that connects to a listener. */
  connectTo(port: number, behaviour: Behaviour, expects: number): HostProgram;
  readonly programs: HostProgram[];
  openCount(): number;
}

/** What a server does when somebody connects to a port; an errno for a failure. */
export type Serve = (port: number) => { behaviour: Behaviour; expects: number } | number;

export function makeSimulatedHost(
  clock: VirtualClock,
  memory: Memory,
  random: () => number,
  protocols: () => readonly Protocol[],
  afterEvent: () => void,
  serve: Serve,
): SimulatedHost {
  const open = new Map<number, Socket>();
  const listeners = new Map<number, Socket>();
  const programs: HostProgram[] = [];
  const client = parseIpAddress("192.0.2.77")!;
  let nextFd = 3;
  let nextPort = 20_000;

  const tell = (socket: Socket, events: number) => {
    if (!socket.isWatched) return;
    const { protocol, key, fd } = socket;
    at(clock, clock.nowMs + 0.001, () => {
      // as with epoll, an event may come late: after the descriptor was closed
      if (open.get(fd) !== socket && random() % 2 === 0) return;
      protocols()[protocol]!.onHostEvent(key, events, clock.nowMs);
      afterEvent();
    });
  };
  const stateOf = (socket: Socket): number => {
    if (socket.kind === "listener") return socket.backlog.length > 0 ? HOST_READABLE : 0;
    if (socket.kind === "connecting") return 0;
    if (socket.error !== 0) return HOST_FAILED | HOST_READABLE | HOST_WRITABLE;
    const { program } = socket;
    if (program === undefined) return 0;
    const isAtEnd = program.ready === program.behaviour.sends;
    return (program.ready > program.given || isAtEnd ? HOST_READABLE : 0) | (isAtEnd ? HOST_CLOSED : 0) |
      (program.got - program.read < program.behaviour.bufferBytes ? HOST_WRITABLE : 0);
  };
  /** Lets time pass for a program: more to send, more read. */
  const go = (socket: Socket) => {
    const { program } = socket;
    if (program === undefined || socket.isScheduled || program.isReset) return;
    const { behaviour } = program;
    const isFull = program.ready - program.given >= 1 << 18;
    const mayProduce = program.ready < behaviour.sends && !isFull && (!behaviour.answersAtEnd || program.hasGotEnd);
    const mayRead = program.read < program.got && behaviour.readChunkBytes > 0;
    if (!mayProduce && !mayRead) return;
    socket.isScheduled = true;
    const delay = Math.min(mayProduce ? behaviour.everyMs : Infinity, mayRead ? behaviour.readEveryMs : Infinity);
    at(clock, clock.nowMs + Math.max(delay, 0.002), () => {
      socket.isScheduled = false;
      let events = 0;
      if (mayProduce) {
        program.ready = Math.min(program.ready + behaviour.chunkBytes, behaviour.sends);
        events |= HOST_READABLE | (program.ready === behaviour.sends ? HOST_CLOSED : 0);
      }
      if (mayRead) {
        const wasFull = program.got - program.read >= behaviour.bufferBytes;
        program.read = Math.min(program.read + behaviour.readChunkBytes, program.got);
        if (wasFull) events |= HOST_WRITABLE;
      }
      if (program.read >= behaviour.resetsAfter) {
        program.isReset = true;
        socket.error = ECONNRESET;
        tell(socket, HOST_FAILED | HOST_READABLE | HOST_WRITABLE | HOST_CLOSED);
        return;
      }
      if (events !== 0) tell(socket, events);
      go(socket);
    });
  };
  const newProgram = (behaviour: Behaviour, expects: number): HostProgram => {
    const program: HostProgram = {
      behaviour,
      expects,
      given: 0,
      ready: 0,
      got: 0,
      read: 0,
      hasGotEnd: false,
      isReset: false,
      closedAtMs: -1,
      wrong: undefined,
    };
    programs.push(program);
    return program;
  };
  const newSocket = (kind: Socket["kind"], program?: HostProgram): Socket => {
    const socket: Socket = {
      fd: nextFd++,
      kind,
      error: 0,
      program,
      protocol: 0,
      key: 0,
      isWatched: false,
      hasEndedSending: false,
      isScheduled: false,
      backlog: [],
    };
    open.set(socket.fd, socket);
    return socket;
  };
  const find = (fd: number): Socket => {
    const socket = open.get(fd);
    if (socket === undefined) throw new Error(`Descriptor ${fd} is used after it was closed`);
    return socket;
  };
  const close = (fd: number, isReset: boolean) => {
    const socket = find(fd);
    open.delete(fd);
    for (const [port, listener] of listeners) if (listener === socket) listeners.delete(port);
    if (socket.program !== undefined) {
      socket.program.closedAtMs = clock.nowMs;
      if (isReset) socket.program.isReset = true;
      else if (!socket.hasEndedSending) socket.program.wrong ??= "closed without the end of what is sent";
    }
  };

  const receivePiece = (program: HostProgram, offset: number, length: number): number => {
    const count = Math.min(length, program.ready - program.given);
    for (let i = 0; i < count; i++) memory.bytes[offset + i] = byteAt(program.behaviour.seed, program.given + i);
    program.given += count;
    return count;
  };
  const sendPiece = (program: HostProgram, offset: number, length: number): number => {
    const count = Math.min(length, program.behaviour.bufferBytes - (program.got - program.read));
    for (let i = 0; i < count; i++) {
      if (memory.bytes[offset + i] !== byteAt(program.expects, program.got + i)) {
        program.wrong ??= `byte ${program.got + i} is wrong`;
      }
    }
    program.got += count;
    return count;
  };

  const sockets: StreamSockets = {
    open: () => newSocket("new").fd,
    connect(fd, _address: IpAddress, port) {
      const socket = find(fd);
      socket.kind = "connecting";
      at(clock, clock.nowMs + 0.05, () => {
        if (open.get(fd) !== socket) return;
        const served = serve(port);
        socket.kind = "open";
        if (typeof served === "number") {
          socket.error = served;
          tell(socket, HOST_FAILED | HOST_WRITABLE | HOST_READABLE);
          return;
        }
        socket.program = newProgram(served.behaviour, served.expects);
        tell(socket, HOST_WRITABLE | stateOf(socket));
        go(socket);
      });
      return -EINPROGRESS;
    },
    failureOf(fd) {
      const socket = find(fd);
      const { error } = socket;
      socket.error = 0;
      return error;
    },
    listen(_family, _address, port) {
      if (listeners.has(port)) return -EADDRINUSE;
      const socket = newSocket("listener");
      listeners.set(port, socket);
      return socket.fd;
    },
    accept(listener, peer) {
      const waiting = find(listener).backlog.shift();
      if (waiting === undefined) return -EAGAIN;
      const socket = newSocket("open", waiting.program);
      Object.assign(peer.address, client);
      peer.port = waiting.port;
      go(socket);
      return socket.fd;
    },
    receive(fd, first, firstLength, second, secondLength) {
      const socket = find(fd);
      const { program, error } = socket;
      if (program === undefined) throw new Error("recv before connect");
      if (error !== 0 || program.isReset) return -ECONNRESET;
      if (program.given === program.ready) return program.given === program.behaviour.sends ? 0 : -EAGAIN;
      let count = receivePiece(program, first, firstLength);
      if (count === firstLength) count += receivePiece(program, second, secondLength);
      go(socket);
      return count;
    },
    send(fd, first, firstLength, second, secondLength) {
      const socket = find(fd);
      const { program } = socket;
      if (program === undefined || socket.hasEndedSending) throw new Error("send before connect, or after shutdown");
      if (socket.error !== 0) return -ECONNRESET;
      if (program.isReset) return -EPIPE;
      let count = sendPiece(program, first, firstLength);
      if (count === firstLength) count += sendPiece(program, second, secondLength);
      go(socket);
      return count === 0 ? -EAGAIN : count;
    },
    endSending(fd) {
      const socket = find(fd);
      if (socket.hasEndedSending) throw new Error("shutdown twice");
      socket.hasEndedSending = true;
      if (socket.program !== undefined) socket.program.hasGotEnd = true;
      go(socket);
    },
    keepAlive() {},
    close: (fd) => close(fd, false),
    reset: (fd) => close(fd, true),
  };

  return {
    sockets,
    programs,
    events: {
      watch(fd: Fd, protocol, key) {
        const socket = find(fd);
        socket.protocol = protocol;
        socket.key = key;
        socket.isWatched = true;
        const events = stateOf(socket);
        if (events !== 0) tell(socket, events);
      },
    },
    connectTo(port, behaviour, expects) {
      const program = newProgram(behaviour, expects);
      const listener = listeners.get(port);
      if (listener === undefined) throw new Error(`Nobody listens at ${port}`);
      listener.backlog.push({ program, port: nextPort++ });
      if (nextPort > 60_000) nextPort = 20_000;
      tell(listener, HOST_READABLE);
      return program;
    },
    openCount: () => open.size,
  };
}
