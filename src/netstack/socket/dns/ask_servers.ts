/**
 * A question is put to the host's name servers, one after the other: a dead one costs a second at most, and is asked last for a
 * while (C-145). Each attempt has a socket of its own, from a port of the kernel's choice, and an id of its own; an answer counts
 * when it comes from where it was asked, with that id and that question (RFC 5452, A-062).
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { EAGAIN, EINPROGRESS } from "#linux/errno_values.ts";
import { HOST_FAILED, HOST_READABLE, HOST_WRITABLE, type HostEvents } from "../../host_events.ts";
import { formatIpAddress, type IpAddress, isIpv4 } from "../../ip_address.ts";
import type { Memory } from "../../memory.ts";
import {
  answersQuestion,
  DNS_PORT,
  type DnsAnswer,
  type DnsQuestion,
  MAX_MESSAGE_BYTES,
  RCODE_NAME,
  RCODE_OK,
  readAnswer,
  setId,
} from "../../wire/dns.ts";
import type { DatagramSockets } from "../datagram_sockets.ts";
import type { StreamSockets } from "../stream_sockets.ts";

/** The next server is asked after so long. */
const PATIENCE_MS = 1_000;
/** The whole of it: the resolver inside asks again after five seconds. */
const GIVE_UP_MS = 4_900;
const MAX_ATTEMPTS = 6;
/** One that kept silent while another answered is asked last for so long. */
const AVOID_MS = 30_000;
/** Attempts at once, each of which has a socket. */
const MAX_OPEN = 1024;
const SLOT_BITS = 16;
/** Keys of these sockets are below this. */
export const ATTEMPT_KEYS = 2 ** 30;
/** Wrong answers to one attempt that are looked at: more is a flood. */
const MAX_WRONG = 64;

/** What has come of it: the message as it came, and as it was read. */
export interface ServerAnswer {
  readonly message: Uint8Array;
  readonly answer: DnsAnswer;
}

interface Exchange {
  readonly message: Uint8Array;
  readonly question: DnsQuestion;
  readonly isTcp: boolean;
  readonly order: readonly IpAddress[];
  readonly startedMs: number;
  readonly onEnd: (answer: ServerAnswer | undefined, nowMs: number) => void;
  readonly attempts: Attempt[];
  tried: number;
  nextMs: number;
  /** An answer that is none (SERVFAIL, REFUSED …): told when nobody has a better one. */
  fallback: ServerAnswer | undefined;
  isDone: boolean;
}

interface Attempt {
  readonly exchange: Exchange;
  readonly slot: number;
  readonly key: number;
  readonly fd: Fd;
  readonly server: IpAddress;
  readonly message: Uint8Array;
  readonly id: number;
  /** TCP: of the message with its length, and of the answer with its. */
  sentBytes: number;
  readonly received: Uint8Array | undefined;
  receivedBytes: number;
  wrong: number;
}

export interface AskOptions {
  readonly memory: Memory;
  /** Offset of MAX_MESSAGE_BYTES and 2. */
  readonly scratch: number;
  readonly datagrams: DatagramSockets;
  readonly streams: StreamSockets;
  readonly events: HostEvents;
  /** The index of the protocol that gets the events. */
  readonly index: number;
  random(): number;
}

export interface ServerAsker {
  /**
   * Asks. `onEnd` is called once, perhaps at once, with undefined when nobody has answered.
   * @param message The query; its id is chosen here.
   */
  ask(
    message: Uint8Array,
    question: DnsQuestion,
    isTcp: boolean,
    servers: readonly IpAddress[],
    onEnd: (answer: ServerAnswer | undefined, nowMs: number) => void,
    nowMs: number,
  ): void;
  onHostEvent(key: number, events: number, nowMs: number): void;
  nextTimerMs(): number;
  onTimer(nowMs: number): void;
  readonly openCount: number;
}

export function makeServerAsker(options: AskOptions): ServerAsker {
  const { memory: { bytes }, scratch, datagrams, streams, events, index } = options;
  const exchanges = new Set<Exchange>();
  const slots = new Array<Attempt | undefined>(MAX_OPEN).fill(undefined);
  const free = Array.from({ length: MAX_OPEN }, (_, slot) => MAX_OPEN - 1 - slot);
  const lives = new Uint16Array(MAX_OPEN);
  /** Servers by their text, and until when each is asked last. */
  const avoided = new Map<string, number>();

  /** The servers in the order in which they are asked: those that kept silent lately come last. */
  function sortServers(servers: readonly IpAddress[], nowMs: number): IpAddress[] {
    for (const [text, untilMs] of avoided) if (untilMs <= nowMs) avoided.delete(text);
    const isAvoided = (server: IpAddress) => avoided.has(formatIpAddress(server));
    return [...servers.filter((server) => !isAvoided(server)), ...servers.filter(isAvoided)];
  }

  /** Asks the next server, or one after it where that cannot be reached. */
  function tryNext(exchange: Exchange, nowMs: number): void {
    const limit = Math.min(MAX_ATTEMPTS, Math.max(exchange.order.length, 3));
    while (!exchange.isDone && exchange.tried < limit) {
      const server = exchange.order[exchange.tried % exchange.order.length]!;
      exchange.tried++;
      if (openAttempt(exchange, server)) {
        exchange.nextMs = exchange.tried < limit ? nowMs + PATIENCE_MS : exchange.startedMs + GIVE_UP_MS;
        return;
      }
    }
    if (exchange.attempts.length === 0) end(exchange, undefined, nowMs);
    else exchange.nextMs = exchange.startedMs + GIVE_UP_MS;
  }

  function openAttempt(exchange: Exchange, server: IpAddress): boolean {
    const slot = free.pop();
    if (slot === undefined) return false;
    const { isTcp } = exchange;
    const family = isIpv4(server) ? 4 : 6;
    const fd = isTcp ? streams.open(family) : datagrams.open("udp", family);
    let result = fd;
    if (fd >= 0) {
      result = isTcp ? streams.connect(fd as Fd, server, DNS_PORT) : datagrams.connect(fd as Fd, server, DNS_PORT);
    }
    if (result < 0 && result !== -EINPROGRESS) {
      if (fd >= 0) (isTcp ? streams : datagrams).close(fd as Fd);
      free.push(slot);
      return false;
    }
    const id = options.random() & 0xffff;
    const message = exchange.message.slice();
    setId(message, id);
    const attempt: Attempt = {
      exchange,
      slot,
      key: (lives[slot]! << SLOT_BITS) | slot,
      fd: fd as Fd,
      server,
      message,
      id,
      sentBytes: 0,
      received: isTcp ? new Uint8Array(MAX_MESSAGE_BYTES + 2) : undefined,
      receivedBytes: 0,
      wrong: 0,
    };
    lives[slot] = (lives[slot]! + 1) & 0x3fff;
    slots[slot] = attempt;
    exchange.attempts.push(attempt);
    events.watch(attempt.fd, index, attempt.key);
    if (isTcp) return true;
    bytes.set(message, scratch);
    if (datagrams.send(attempt.fd, scratch, message.length) >= 0) return true;
    closeAttempt(attempt);
    return false;
  }

  function closeAttempt(attempt: Attempt): void {
    const { exchange, slot } = attempt;
    slots[slot] = undefined;
    free.push(slot);
    exchange.attempts.splice(exchange.attempts.indexOf(attempt), 1);
    if (exchange.isTcp) streams.close(attempt.fd);
    else datagrams.close(attempt.fd);
  }

  function end(exchange: Exchange, answer: ServerAnswer | undefined, nowMs: number): void {
    exchange.isDone = true;
    exchanges.delete(exchange);
    while (exchange.attempts.length > 0) closeAttempt(exchange.attempts[0]!);
    exchange.onEnd(answer ?? exchange.fallback, nowMs);
  }

  /** An attempt has failed for good: the next one begins at once. */
  function giveUp(attempt: Attempt, nowMs: number): void {
    const { exchange } = attempt;
    closeAttempt(attempt);
    tryNext(exchange, nowMs);
  }

  /** Looks at what has come. @returns Whether the attempt is over. */
  function judge(attempt: Attempt, message: Uint8Array, nowMs: number): boolean {
    const { exchange, id, server } = attempt;
    const answer = readAnswer(message);
    if (answer === undefined || answer.id !== id || !answersQuestion(answer.question, exchange.question)) {
      attempt.wrong++;
      if (attempt.wrong < MAX_WRONG) return false;
      giveUp(attempt, nowMs);
      return true;
    }
    if (answer.rcode !== RCODE_OK && answer.rcode !== RCODE_NAME) {
      exchange.fallback = { message, answer };
      giveUp(attempt, nowMs);
      return true;
    }
    for (const other of exchange.attempts) {
      const text = formatIpAddress(other.server);
      if (other !== attempt && text !== formatIpAddress(server)) avoided.set(text, nowMs + AVOID_MS);
    }
    avoided.delete(formatIpAddress(server));
    end(exchange, { message, answer }, nowMs);
    return true;
  }

  function readDatagrams(attempt: Attempt, nowMs: number): void {
    for (;;) {
      const length = datagrams.receive(attempt.fd, scratch, MAX_MESSAGE_BYTES, undefined);
      if (length === -EAGAIN) return;
      if (length < 0) {
        giveUp(attempt, nowMs);
        return;
      }
      if (judge(attempt, bytes.slice(scratch, scratch + length), nowMs)) return;
    }
  }

  /** Sends what is left of a query over TCP, its length in front (RFC 1035 §4.2.2). @returns False when it has failed. */
  function writeStream(attempt: Attempt): boolean {
    const { message } = attempt;
    const total = message.length + 2;
    while (attempt.sentBytes < total) {
      bytes[scratch] = message.length >> 8;
      bytes[scratch + 1] = message.length & 255;
      bytes.set(message, scratch + 2);
      const sent = streams.send(attempt.fd, scratch + attempt.sentBytes, total - attempt.sentBytes, 0, 0);
      if (sent === -EAGAIN) return true;
      if (sent <= 0) return false;
      attempt.sentBytes += sent;
    }
    return true;
  }

  function readStream(attempt: Attempt, nowMs: number): void {
    const { received } = attempt;
    if (received === undefined) return;
    for (;;) {
      const room = Math.min(received.length - attempt.receivedBytes, MAX_MESSAGE_BYTES);
      const count = streams.receive(attempt.fd, scratch, room, 0, 0);
      if (count === -EAGAIN) return;
      if (count <= 0) {
        giveUp(attempt, nowMs);
        return;
      }
      received.set(bytes.subarray(scratch, scratch + count), attempt.receivedBytes);
      attempt.receivedBytes += count;
      const length = (received[0]! << 8) | received[1]!;
      if (attempt.receivedBytes < 2 || attempt.receivedBytes < length + 2) continue;
      // one question, one answer: a wrong one is the end of it
      if (!judge(attempt, received.slice(2, length + 2), nowMs)) giveUp(attempt, nowMs);
      return;
    }
  }

  return {
    get openCount() {
      return MAX_OPEN - free.length;
    },
    ask(message, question, isTcp, servers, onEnd, nowMs) {
      const exchange: Exchange = {
        message,
        question,
        isTcp,
        order: sortServers(servers, nowMs),
        startedMs: nowMs,
        onEnd,
        attempts: [],
        tried: 0,
        nextMs: Infinity,
        fallback: undefined,
        isDone: false,
      };
      exchanges.add(exchange);
      tryNext(exchange, nowMs);
    },
    onHostEvent(key, happened, nowMs) {
      const attempt = slots[key & ((1 << SLOT_BITS) - 1)];
      if (attempt?.key !== key) return;
      if (!attempt.exchange.isTcp) {
        readDatagrams(attempt, nowMs);
        return;
      }
      const hasFailed = (happened & HOST_FAILED) !== 0 && streams.failureOf(attempt.fd) !== 0;
      if (hasFailed || ((happened & HOST_WRITABLE) !== 0 && !writeStream(attempt))) giveUp(attempt, nowMs);
      else if ((happened & HOST_READABLE) !== 0) readStream(attempt, nowMs);
    },
    nextTimerMs() {
      let next = Infinity;
      for (const { nextMs } of exchanges) next = Math.min(next, nextMs);
      return next;
    },
    onTimer(nowMs) {
      for (const exchange of exchanges) {
        if (exchange.nextMs > nowMs) continue;
        if (nowMs >= exchange.startedMs + GIVE_UP_MS) end(exchange, undefined, nowMs);
        else tryNext(exchange, nowMs);
      }
    },
  };
}
