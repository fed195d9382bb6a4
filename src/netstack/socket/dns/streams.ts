/**
 * The name server over TCP (RFC 7766): messages with their length in front. The connection itself is the stack's; what comes
 * through it is read here from the other end of a socket pair, one end of which takes the place of a socket of the host.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { EAGAIN } from "#linux/errno_values.ts";
import { HOST_FAILED, HOST_READABLE, HOST_WRITABLE, type HostEvents } from "../../host_events.ts";
import { type IpAddress, sameAddress } from "../../ip_address.ts";
import type { Memory } from "../../memory.ts";
import type { StreamSockets } from "../stream_sockets.ts";

/** Connections at once, and of one container. */
const MAX_STREAMS = 128;
const MAX_STREAMS_OF_ONE = 16;
/** Queries of one connection that are under way. */
const MAX_PENDING = 8;
/** No query is longer. */
const MAX_QUERY_BYTES = 4096;
/** Answers that nobody reads are kept up to so many bytes. */
const MAX_UNREAD_BYTES = 256 << 10;
const IDLE_MS = 30_000;
const SLOT_BITS = 16;

/** Where a query came from. */
export interface StreamClient {
  readonly link: number;
  readonly source: IpAddress;
}

export interface StreamOptions {
  readonly memory: Memory;
  /** Offset of STREAM_SCRATCH_BYTES. */
  readonly scratch: number;
  readonly streams: StreamSockets;
  readonly events: HostEvents;
  readonly index: number;
  /** Added to the keys of its sockets. */
  readonly firstKey: number;
  /** A connected pair of stream sockets, non-blocking; or undefined when there are no descriptors left. */
  makePair(): readonly [Fd, Fd] | undefined;
  onQuery(
    client: StreamClient,
    message: Uint8Array,
    respond: (answer: Uint8Array, nowMs: number) => void,
    nowMs: number,
  ): void;
}

export const STREAM_SCRATCH_BYTES = 65_536;

interface Stream extends StreamClient {
  readonly slot: number;
  readonly key: number;
  readonly fd: Fd;
  /** A query of which not all has come. */
  readonly incoming: Uint8Array;
  incomingBytes: number;
  /** Answers that are to be sent, lengths and all. */
  outgoing: Uint8Array[];
  /** Of the first of them. */
  sentBytes: number;
  unreadBytes: number;
  pending: number;
  usedMs: number;
  hasEnded: boolean;
  /** More came than may be under way: it is looked at when an answer has gone. */
  isPaused: boolean;
}

export interface DnsStreams {
  /** A connection begins. @returns The descriptor for the stack's side, or undefined when there are too many. */
  open(link: number, source: IpAddress, nowMs: number): Fd | undefined;
  onHostEvent(key: number, events: number, nowMs: number): void;
  nextTimerMs(): number;
  onTimer(nowMs: number): void;
  readonly count: number;
}

export function makeDnsStreams(options: StreamOptions): DnsStreams {
  const { memory: { bytes }, scratch, streams, events, index, firstKey } = options;
  const slots = new Array<Stream | undefined>(MAX_STREAMS).fill(undefined);
  const lives = new Uint16Array(MAX_STREAMS);
  let count = 0;

  function close(stream: Stream): void {
    if (slots[stream.slot] !== stream) return;
    slots[stream.slot] = undefined;
    count--;
    streams.close(stream.fd);
  }

  function flush(stream: Stream): void {
    for (let next = stream.outgoing[0]; next !== undefined; next = stream.outgoing[0]) {
      const piece = next.subarray(stream.sentBytes, stream.sentBytes + STREAM_SCRATCH_BYTES);
      bytes.set(piece, scratch);
      const sent = streams.send(stream.fd, scratch, piece.length, 0, 0);
      if (sent === -EAGAIN) return;
      if (sent < 0) {
        close(stream);
        return;
      }
      stream.sentBytes += sent;
      stream.unreadBytes -= sent;
      if (stream.sentBytes < next.length) continue;
      stream.outgoing.shift();
      stream.sentBytes = 0;
    }
    if (stream.hasEnded && stream.pending === 0) close(stream);
  }

  function answer(stream: Stream, message: Uint8Array, nowMs: number): void {
    if (slots[stream.slot] !== stream) return;
    stream.pending--;
    stream.usedMs = nowMs;
    const framed = new Uint8Array(message.length + 2);
    framed[0] = message.length >> 8;
    framed[1] = message.length & 255;
    framed.set(message, 2);
    stream.outgoing.push(framed);
    stream.unreadBytes += framed.length;
    if (stream.unreadBytes > MAX_UNREAD_BYTES) {
      close(stream);
      return;
    }
    flush(stream);
    if (!stream.isPaused || slots[stream.slot] !== stream) return;
    stream.isPaused = false;
    if (takeQueries(stream, nowMs)) read(stream, nowMs);
    else close(stream);
  }

  /** Takes queries out of what has come. @returns Whether the connection goes on. */
  function takeQueries(stream: Stream, nowMs: number): boolean {
    const { incoming } = stream;
    for (;;) {
      const length = (incoming[0]! << 8) | incoming[1]!;
      if (stream.incomingBytes < 2) return true;
      if (length > MAX_QUERY_BYTES || length === 0) return false;
      if (stream.pending >= MAX_PENDING) {
        stream.isPaused = true;
        return true;
      }
      if (stream.incomingBytes < length + 2) return true;
      const message = incoming.slice(2, length + 2);
      incoming.copyWithin(0, length + 2, stream.incomingBytes);
      stream.incomingBytes -= length + 2;
      stream.pending++;
      options.onQuery(stream, message, (reply, endMs) => answer(stream, reply, endMs), nowMs);
      if (slots[stream.slot] !== stream) return true;
    }
  }

  function read(stream: Stream, nowMs: number): void {
    while (slots[stream.slot] === stream && !stream.hasEnded && !stream.isPaused) {
      const room = stream.incoming.length - stream.incomingBytes;
      const received = streams.receive(stream.fd, scratch, room, 0, 0);
      if (received === -EAGAIN) return;
      if (received < 0) {
        close(stream);
        return;
      }
      if (received === 0) {
        stream.hasEnded = true;
        flush(stream);
        return;
      }
      stream.usedMs = nowMs;
      stream.incoming.set(bytes.subarray(scratch, scratch + received), stream.incomingBytes);
      stream.incomingBytes += received;
      if (!takeQueries(stream, nowMs)) {
        close(stream);
        return;
      }
    }
  }

  return {
    get count() {
      return count;
    },
    open(link, source, nowMs) {
      const ofOne = slots.filter((stream) => stream?.link === link && sameAddress(stream.source, source)).length;
      const slot = slots.indexOf(undefined);
      if (slot < 0 || ofOne >= MAX_STREAMS_OF_ONE) return undefined;
      const pair = options.makePair();
      if (pair === undefined) return undefined;
      const [fd, other] = pair;
      const stream: Stream = {
        link,
        source: { ...source },
        slot,
        key: firstKey + ((lives[slot]! << SLOT_BITS) | slot),
        fd,
        incoming: new Uint8Array(MAX_QUERY_BYTES + 2),
        incomingBytes: 0,
        outgoing: [],
        sentBytes: 0,
        unreadBytes: 0,
        pending: 0,
        usedMs: nowMs,
        hasEnded: false,
        isPaused: false,
      };
      lives[slot] = (lives[slot]! + 1) & 0x1fff;
      slots[slot] = stream;
      count++;
      events.watch(fd, index, stream.key);
      return other;
    },
    onHostEvent(key, happened, nowMs) {
      const stream = slots[(key - firstKey) & ((1 << SLOT_BITS) - 1)];
      if (stream?.key !== key) return;
      if ((happened & HOST_WRITABLE) !== 0) flush(stream);
      if ((happened & (HOST_READABLE | HOST_FAILED)) !== 0) read(stream, nowMs);
    },
    nextTimerMs() {
      let next = Infinity;
      if (count > 0) {
        for (const stream of slots) if (stream !== undefined) next = Math.min(next, stream.usedMs + IDLE_MS);
      }
      return next;
    },
    onTimer(nowMs) {
      for (const stream of slots) if (stream !== undefined && stream.usedMs + IDLE_MS <= nowMs) close(stream);
    },
  };
}
