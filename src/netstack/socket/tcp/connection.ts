/**
 * One connection: a record of numbers, made once a slot and used again.
 *
 * *Inside* is the container's end, *outside* the address that it believes to talk to; the *host's* socket is what really goes
 * there. Bytes go two ways:
 *
 *     inside ─ segments ─▶ toHost (ring, only what the host's socket did not take) ─▶ host        *receive* in TCP's words
 *     inside ◀─ segments ─ toInside (ring: unacknowledged, then unsent) ◀─ recv ───── host        *send*
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { type IpAddress, makeAddress } from "../../ip_address.ts";
import { makeRanges, type Ranges } from "./ranges.ts";
import { makeRing, type Ring } from "./ring.ts";
import { makeRoundTrip, type RoundTrip } from "./round_trip.ts";

/**
 * States of RFC 9293 §3.3.2, and one before them: an inside SYN that waits until the host's connect has ended.
 *
 *                     SYN from inside                       client at a published port
 *     FREE ─────────▶ CONNECTING ──connected, SYN-ACK──▶ SYN_RECEIVED      FREE ──SYN──▶ SYN_SENT
 *                          │ refused: RST · unreachable: ICMP   │ ACK                        │ SYN-ACK; RST: host is reset
 *                          ▼                                    ▼                            ▼
 *                        FREE                              ESTABLISHED ◀─────────────────────┘
 *               inside's FIN │ host's end (recv gave 0, ring sent): FIN
 *         CLOSE_WAIT ◀───────┴──────▶ FIN_WAIT_1 ──ACK──▶ FIN_WAIT_2 ──FIN──▶ TIME_WAIT ──▶ FREE
 *             │ host's end: FIN            └──FIN──▶ CLOSING ──ACK──▶ TIME_WAIT
 *             ▼
 *         LAST_ACK ──ACK──▶ FREE          RST from inside, in order: the host's socket is reset. Host's reset: RST to inside.
 */
export const FREE = 0;
export const CONNECTING = 1;
export const SYN_RECEIVED = 2;
export const SYN_SENT = 3;
export const ESTABLISHED = 4;
export const FIN_WAIT_1 = 5;
export const FIN_WAIT_2 = 6;
export const CLOSE_WAIT = 7;
export const CLOSING = 8;
export const LAST_ACK = 9;
export const TIME_WAIT = 10;

/** How losses are being repaired. */
export const NO_RECOVERY = 0;
/** Holes below what was acknowledged selectively are sent again (RFC 6675). */
export const FAST_RECOVERY = 1;
/** A timeout: all that was sent before it counts as lost (RFC 6298 §5, RFC 5681 §3.1). */
export const TIMEOUT_RECOVERY = 2;

export interface Connection {
  readonly slot: number;
  /** Counts the lives of the slot: part of the key by which host events come. */
  life: number;
  state: number;
  link: number;
  readonly inside: IpAddress;
  insidePort: number;
  readonly outside: IpAddress;
  outsidePort: number;
  isIpv4: boolean;
  hash: number;
  /** Next slot in the same bucket, or -1. */
  nextInBucket: number;
  /** The container's MAC, in two halves of 16 and 32 bits. */
  macHigh: number;
  macLow: number;
  /** For quotas: the index of the container that it belongs to, or -1. */
  owner: number;

  /** The host's socket, or -1. */
  fd: Fd;
  /** The last recv may have left something. */
  isHostReadable: boolean;
  /** The last send took all. */
  isHostWritable: boolean;
  /** The peer has closed: what is there must be read to its end, whatever recv's lengths say. */
  isHostClosing: boolean;
  /** recv gave 0: after what is in `toInside` comes FIN. */
  hasHostEnded: boolean;
  /** The host's socket was told that no more comes. */
  hasEndedHost: boolean;

  readonly toInside: Ring;
  /** How large `toInside` may grow at the next read: doubled whenever a read filled it. */
  readBytes: number;
  /** SND.UNA: the first byte of `toInside`, once SYN is acknowledged. */
  unacknowledged: number;
  /** SND.NXT: behind the last byte that was ever sent. */
  next: number;
  /** ISS. */
  initialSend: number;
  isFinSent: boolean;
  /** SND.WND in bytes, scaled. */
  sendWindow: number;
  maxSendWindow: number;
  sendScale: number;
  /** SND.WL1 and SND.WL2: which segment the window came with. */
  windowSequence: number;
  windowAck: number;
  mss: number;
  canSack: boolean;

  readonly roundTrip: RoundTrip;
  /** Whether a segment is timed: until `timedUpTo` is acknowledged. */
  isTimed: boolean;
  timedUpTo: number;
  timedSinceMs: number;
  /** Timeouts in a row. */
  backoff: number;

  congestionWindow: number;
  slowStartThreshold: number;
  recovery: number;
  /** NewReno's `recover`: the repair ends when this is acknowledged. */
  recoverUpTo: number;
  /** What lies before it was sent again in this repair, or needs no repair. */
  repairedUpTo: number;
  duplicateAcks: number;
  sacked: Ranges | undefined;

  readonly toHost: Ring;
  /** IRS. */
  initialReceive: number;
  /** RCV.NXT. */
  receiveNext: number;
  /** RCV.NXT + RCV.WND as it was last told; it never goes back. */
  receiveEdge: number;
  receiveScale: number;
  ahead: Ranges | undefined;
  /** The range of `ahead` that the last segment fell into: it is told first (RFC 2018 §4). */
  lastAhead: number;
  /** FIN has come in order: RCV.NXT stands behind it. */
  hasInsideEnded: boolean;
  /** FIN came ahead of a hole: at this number, when `isFinAhead`. */
  isFinAhead: boolean;
  finAheadAt: number;
  /** Data bytes that came since the last acknowledgement. */
  unackedBytes: number;
  /** An acknowledgement must go at the end of the turn. */
  isAckDue: boolean;
  /** Stands in the list of what is looked at, at the end of the turn. */
  isTouched: boolean;
  /** Stands in the list of what goes on in the next turn. */
  isReady: boolean;

  /** When to send again, probe a window, or give SYN up; Infinity for never. */
  retransmitAtMs: number;
  /** When a delayed acknowledgement is due. */
  ackAtMs: number;
  /** When to ask whether inside is alive; in TIME_WAIT and CONNECTING: when it is over. */
  idleAtMs: number;
  /** Questions unanswered. */
  probes: number;
  lastHeardMs: number;
  /** Challenge ACKs are at most so many a second. */
  challengeAtMs: number;
}

export function makeConnection(slot: number): Connection {
  return {
    slot,
    life: 0,
    state: FREE,
    link: 0,
    inside: makeAddress(),
    insidePort: 0,
    outside: makeAddress(),
    outsidePort: 0,
    isIpv4: true,
    hash: 0,
    nextInBucket: -1,
    macHigh: 0,
    macLow: 0,
    owner: -1,
    fd: -1 as Fd,
    isHostReadable: false,
    isHostWritable: false,
    isHostClosing: false,
    hasHostEnded: false,
    hasEndedHost: false,
    toInside: makeRing(),
    readBytes: 0,
    unacknowledged: 0,
    next: 0,
    initialSend: 0,
    isFinSent: false,
    sendWindow: 0,
    maxSendWindow: 0,
    sendScale: 0,
    windowSequence: 0,
    windowAck: 0,
    mss: 0,
    canSack: false,
    roundTrip: makeRoundTrip(),
    isTimed: false,
    timedUpTo: 0,
    timedSinceMs: 0,
    backoff: 0,
    congestionWindow: 0,
    slowStartThreshold: 0,
    recovery: NO_RECOVERY,
    recoverUpTo: 0,
    repairedUpTo: 0,
    duplicateAcks: 0,
    sacked: undefined,
    toHost: makeRing(),
    initialReceive: 0,
    receiveNext: 0,
    receiveEdge: 0,
    receiveScale: 0,
    ahead: undefined,
    lastAhead: -1,
    hasInsideEnded: false,
    isFinAhead: false,
    finAheadAt: 0,
    unackedBytes: 0,
    isAckDue: false,
    isTouched: false,
    isReady: false,
    retransmitAtMs: Infinity,
    ackAtMs: Infinity,
    idleAtMs: Infinity,
    probes: 0,
    lastHeardMs: 0,
    challengeAtMs: 0,
  };
}

/** The ranges of a connection that has had none yet. */
export function rangesOf(connection: Connection, which: "sacked" | "ahead"): Ranges {
  return connection[which] ??= makeRanges();
}
