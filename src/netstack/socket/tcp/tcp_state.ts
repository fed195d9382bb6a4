/**
 * What all connections of the stack share. Time is an argument of every function here, random numbers and sockets are in
 * this record: a simulation puts its own in.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import type { Blocks } from "../../blocks.ts";
import { type Deadlines, makeDeadlines } from "../../deadlines.ts";
import type { IpAddress } from "../../ip_address.ts";
import { type KeyedHash, makeKeyedHash } from "../../keyed_hash.ts";
import type { Surroundings } from "../../protocol.ts";
import { makeTcpHeader, makeTcpOptions, type TcpHeader, type TcpOptions } from "../../wire/tcp.ts";
import type { PeerAddress, StreamSockets } from "../stream_sockets.ts";
import { type Connection, makeConnection } from "./connection.ts";

/** What is to become of a SYN from inside. */
export type Verdict =
  /** Goes to `target`. */
  | "connect"
  /** Nobody listens there: RST. */
  | "refuse"
  /** Not allowed: ICMP, administratively prohibited. */
  | "prohibit"
  /** No way there: ICMP, host unreachable. */
  | "unreachable"
  /** No answer at all. */
  | "drop"
  /** A service of the stack's own: `target.fd` is a socket that leads there. */
  | "local";

/** Where a connection goes; filled by {@linkcode TcpPolicy.decide}. */
export interface Target {
  readonly address: IpAddress;
  port: number;
  fd: Fd;
}

/** Who may connect where. Everything that TCP connects to has passed here. */
export interface TcpPolicy {
  decide(link: number, source: IpAddress, destination: IpAddress, port: number, target: Target, nowMs: number): Verdict;
  /** Told how a connection that `decide` let pass has ended its opening: 0, or the host's errno. */
  opened(link: number, source: IpAddress, destination: IpAddress, port: number, errno: number, nowMs: number): void;
  /** The address that a client of a published port has inside: its own, where that can be (C-089). */
  showClient(link: number, client: IpAddress, container: IpAddress, shown: IpAddress): void;
}

export interface TcpLimits {
  /** All connections, TIME_WAIT among them. */
  connections: number;
  /** Of one container: connections, and those whose host has not answered yet. */
  ofOne: number;
  openingOfOne: number;
  timeWaits: number;
}

export interface TcpCounters {
  segmentsIn: number;
  segmentsOut: number;
  bytesIn: number;
  bytesOut: number;
  opened: number;
  accepted: number;
  refused: number;
  aborted: number;
  retransmitted: number;
  timeouts: number;
  outOfOrder: number;
  malformed: number;
  unknown: number;
  overQuota: number;
  noMemory: number;
}

/** A container, for quotas: counts connections of one address. */
export interface Owner {
  readonly key: string;
  readonly index: number;
  connections: number;
  opening: number;
}

/** A published port. */
export interface Listener {
  readonly fd: Fd;
  readonly link: number;
  readonly container: IpAddress;
  readonly containerPort: number;
  /** It may have more to accept. */
  isReady: boolean;
}

export interface Tcp {
  readonly around: Surroundings;
  readonly sockets: StreamSockets;
  readonly policy: TcpPolicy;
  readonly limits: TcpLimits;
  readonly blocks: Blocks;
  /** Its index among the stack's protocols. */
  readonly protocol: number;
  /** HEADER_SPACE bytes of the memory in which headers are made. */
  readonly headers: number;
  /** All slots that were ever used; the table's chains, and free ones, are of indexes of it. */
  readonly connections: Connection[];
  readonly freeSlots: number[];
  open: number;
  readonly buckets: Int32Array;
  readonly hash: KeyedHash;
  readonly deadlines: Deadlines;
  readonly owners: Map<string, Owner>;
  readonly ownerList: (Owner | undefined)[];
  readonly listeners: (Listener | undefined)[];
  readonly freeListeners: number[];
  /** Slots that the end of the turn looks at, those that go on in the next, and listeners that do. */
  readonly touched: number[];
  ready: number[];
  readyBefore: number[];
  readyListeners: number[];
  /** A listener could not accept (EMFILE): tried again then. */
  acceptAgainMs: number;
  /** Slots in TIME_WAIT and their lives, oldest first. */
  readonly timeWaits: Int32Array;
  timeWaitFirst: number;
  timeWaitCount: number;
  readonly counters: TcpCounters;
  readonly segment: TcpHeader;
  readonly options: TcpOptions;
  readonly target: Target;
  readonly peer: PeerAddress;
  /** Record for a connection that is not there: RSTs to strangers go out through it. */
  readonly stranger: Connection;
}

/** Vnet, Ethernet, IPv6, and TCP with all options; and an ICMP error with what it quotes. */
export const HEADER_SPACE = 512;

/** What {@linkcode makeTcp} needs. */
export interface TcpParts {
  around: Surroundings;
  sockets: StreamSockets;
  policy: TcpPolicy;
  limits: TcpLimits;
  blocks: Blocks;
  protocol: number;
  headers: number;
}

export function makeTcpState(parts: TcpParts): Tcp {
  const { limits, around } = parts;
  let buckets = 1024;
  while (buckets < limits.connections) buckets *= 2;
  return {
    ...parts,
    connections: [],
    freeSlots: [],
    open: 0,
    buckets: new Int32Array(buckets).fill(-1),
    hash: makeKeyedHash(around.random),
    deadlines: makeDeadlines(limits.connections),
    owners: new Map(),
    ownerList: [],
    listeners: [],
    freeListeners: [],
    touched: [],
    ready: [],
    readyBefore: [],
    readyListeners: [],
    acceptAgainMs: Infinity,
    timeWaits: new Int32Array(2 * limits.timeWaits),
    timeWaitFirst: 0,
    timeWaitCount: 0,
    counters: {
      segmentsIn: 0,
      segmentsOut: 0,
      bytesIn: 0,
      bytesOut: 0,
      opened: 0,
      accepted: 0,
      refused: 0,
      aborted: 0,
      retransmitted: 0,
      timeouts: 0,
      outOfOrder: 0,
      malformed: 0,
      unknown: 0,
      overQuota: 0,
      noMemory: 0,
    },
    segment: makeTcpHeader(),
    options: makeTcpOptions(),
    target: { address: { a: 0, b: 0, c: 0, d: 0 }, port: 0, fd: -1 as Fd },
    peer: { address: { a: 0, b: 0, c: 0, d: 0 }, port: 0 },
    stranger: makeConnection(-1),
  };
}

/** Has the end of this turn look at a connection: acknowledgements, and its place in the heap of deadlines. */
export function touch(tcp: Tcp, connection: Connection): void {
  if (connection.isTouched) return;
  connection.isTouched = true;
  tcp.touched.push(connection.slot);
}

/** Has the next turn go on with a connection: its host has more to read. */
export function goOnLater(tcp: Tcp, connection: Connection): void {
  if (connection.isReady) return;
  connection.isReady = true;
  tcp.ready.push(connection.slot);
}

/** How much one direction of one connection may hold: less, the less memory is left for all. */
export function ringLimit({ blocks: { freeBytes, sizeBytes } }: Tcp): number {
  if (freeBytes * 2 >= sizeBytes) return 1 << 20;
  if (freeBytes * 4 >= sizeBytes) return 1 << 18;
  return freeBytes * 8 >= sizeBytes ? 1 << 16 : 1 << 14;
}
