/**
 * The name server on the gateway's address, over UDP and over TCP. Queries of a container are bounded, each is answered once, and
 * an answer over UDP is no longer than its client takes.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { type IpAddress, sameAddress } from "../../ip_address.ts";
import type { Frame } from "../../frame.ts";
import type { Protocol, Surroundings } from "../../protocol.ts";
import {
  type DnsQuestion,
  fitAnswer,
  makeAnswer,
  makeErrorAnswer,
  MAX_MESSAGE_BYTES,
  RCODE_SERVER_FAILURE,
  readQuery,
} from "../../wire/dns.ts";
import { UDP, type UdpHeader } from "../../wire/udp.ts";
import type { DatagramSockets } from "../datagram_sockets.ts";
import type { Udp } from "../udp.ts";
import { HEADROOM } from "../send_datagram.ts";
import type { StreamSockets } from "../stream_sockets.ts";
import { ATTEMPT_KEYS, makeServerAsker } from "./ask_servers.ts";
import { makeNameTable, type NameEntry, type NameTable } from "./names.ts";
import type { ResolvConf } from "./resolv_conf.ts";
import { resolveQuery } from "./resolve.ts";
import { makeDnsStreams, STREAM_SCRATCH_BYTES } from "./streams.ts";

/** What is under way at once, of all and of one container. */
const MAX_PENDING = 512;
const MAX_PENDING_OF_ONE = 128;
/** The longest query that is looked at. */
const MAX_QUERY_BYTES = 4096;
/** An answer that fits one datagram of IPv4. */
const MAX_UDP_BYTES = 65_507;

const OUT_AT = HEADROOM + UDP.SIZE;
/** What {@linkcode makeDns} is given to write into. */
export const DNS_SCRATCH_BYTES = OUT_AT + MAX_MESSAGE_BYTES + MAX_MESSAGE_BYTES + 3 + STREAM_SCRATCH_BYTES;

export interface DnsCounters {
  queries: number;
  malformed: number;
  /** Queries that were answered SERVFAIL since too many were under way. */
  overQuota: number;
}

export interface DnsOptions {
  readonly index: number;
  /** Offset of DNS_SCRATCH_BYTES. */
  readonly scratch: number;
  readonly datagrams: DatagramSockets;
  readonly streams: StreamSockets;
  /** A connected pair of non-blocking stream sockets, for a connection to the gateway's port 53. */
  makePair(): readonly [Fd, Fd] | undefined;
  /** The host's name servers, as they are now. */
  resolvConf(nowMs: number): ResolvConf;
  /** Sends a datagram from one of the stack's own addresses (`Udp.send`). */
  readonly send: Udp["send"];
  /** Told of each answer: for `network log`, and for `--egress` by name. */
  onAnswer?(link: number, source: IpAddress, question: DnsQuestion, answer: Uint8Array, nowMs: number): void;
}

export interface Dns extends Protocol {
  readonly counters: DnsCounters;
  /** A datagram to port 53 of the gateway. */
  onDatagram(frame: Frame, udp: UdpHeader, nowMs: number): void;
  /** A connection to port 53 of the gateway. @returns The descriptor that is to be its host's side; undefined to refuse it. */
  openStream(link: number, source: IpAddress, nowMs: number): Fd | undefined;
  /** The names of a network, in place of those before. */
  setNames(link: number, entries: readonly NameEntry[], nowMs: number): void;
  /** Forgets the names of a network that is gone. */
  forget(link: number): void;
  /** Queries under way. */
  readonly pendingCount: number;
}

interface Client {
  readonly link: number;
  readonly source: IpAddress;
}

export function makeDns(surroundings: Surroundings, options: DnsOptions): Dns {
  const { memory, memory: { bytes }, links, events } = surroundings;
  const { datagrams, streams, index, scratch } = options;
  const outAt = scratch + OUT_AT;
  const askAt = outAt + MAX_MESSAGE_BYTES;
  const counters: DnsCounters = { queries: 0, malformed: 0, overQuota: 0 };
  const tables = new Map<number, NameTable>();
  const noNames = makeNameTable([]);
  const pending = new Set<Client>();
  let turn = 0;
  const asker = makeServerAsker({
    memory,
    scratch: askAt,
    datagrams,
    streams,
    events,
    index,
    random: () => surroundings.random(),
  });
  const tcp = makeDnsStreams({
    memory,
    scratch: askAt + MAX_MESSAGE_BYTES + 3,
    streams,
    events,
    index,
    firstKey: ATTEMPT_KEYS,
    makePair: () => options.makePair(),
    onQuery: (client, message, respond, nowMs) => answer(client, message, true, respond, nowMs),
  });

  function countOf(client: Client): number {
    let count = 0;
    for (const other of pending) if (other.link === client.link && sameAddress(other.source, client.source)) count++;
    return count;
  }

  /** Answers a message; what is no query gets no answer. */
  function answer(
    client: Client,
    message: Uint8Array,
    isTcp: boolean,
    respond: (answer: Uint8Array, nowMs: number) => void,
    nowMs: number,
  ): void {
    const link = links[client.link];
    const query = readQuery(message);
    if (query === undefined || link === undefined) {
      counters.malformed++;
      return;
    }
    counters.queries++;
    if (!("question" in query)) {
      respond(makeErrorAnswer(query), nowMs);
      return;
    }
    if (pending.size >= MAX_PENDING || countOf(client) >= MAX_PENDING_OF_ONE) {
      counters.overQuota++;
      respond(makeAnswer(query, RCODE_SERVER_FAILURE, [], false), nowMs);
      return;
    }
    const place: Client = { link: client.link, source: { ...client.source } };
    pending.add(place);
    const context = {
      table: tables.get(client.link) ?? noNames,
      networks: link.reach.subnets,
      isInternal: link.reach.isInternal,
      resolvConf: options.resolvConf(nowMs),
      asker,
      turn: turn++,
      nowMs,
    };
    resolveQuery(context, query, message, isTcp, (reply, endMs) => {
      pending.delete(place);
      options.onAnswer?.(place.link, place.source, query.question, reply, endMs);
      respond(fitAnswer(reply, query, isTcp ? MAX_MESSAGE_BYTES : Math.min(query.udpBytes, MAX_UDP_BYTES)), endMs);
    }, nowMs);
  }

  return {
    counters,
    get pendingCount() {
      return pending.size;
    },
    onDatagram(frame, udp, nowMs) {
      const { link, source, destination } = frame;
      const { sourcePort, destinationPort, payload, end } = udp;
      if (end - payload > MAX_QUERY_BYTES) {
        counters.malformed++;
        return;
      }
      const client = { ...source };
      const own = { ...destination };
      answer({ link, source: client }, bytes.slice(payload, end), false, (reply, endMs) => {
        bytes.set(reply, outAt);
        options.send(link, own, destinationPort, client, sourcePort, outAt, outAt + reply.length, endMs);
      }, nowMs);
    },
    openStream: (link, source, nowMs) => tcp.open(link, source, nowMs),
    setNames(link, entries, nowMs) {
      tables.set(link, makeNameTable(entries, tables.get(link), nowMs));
    },
    forget: (link) => void tables.delete(link),
    onFrame() {},
    onHostEvent(key, happened, nowMs) {
      if (key < ATTEMPT_KEYS) asker.onHostEvent(key, happened, nowMs);
      else tcp.onHostEvent(key, happened, nowMs);
    },
    nextTimerMs: () => Math.min(asker.nextTimerMs(), tcp.nextTimerMs()),
    onTimer(nowMs) {
      asker.onTimer(nowMs);
      tcp.onTimer(nowMs);
    },
  };
}
