/**
 * TCP segments and their options (RFC 9293 §3.1, RFC 7323, RFC 2018): bytes only, what they mean is `socket/`'s.
 *
 * @module
 */
import { checksumOf, foldSum, sumBytes } from "./checksum.ts";
import { type IpHeader, PROTOCOL_TCP, sumPseudoOf } from "./ip.ts";
import type { Fault } from "./fault.ts";

export const TCP = {
  sourcePort: 0,
  destinationPort: 2,
  sequence: 4,
  acknowledgement: 8,
  dataOffset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  urgent: 18,
  SIZE: 20,
} as const;

export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_URG = 0x20;
export const TCP_ECE = 0x40;
export const TCP_CWR = 0x80;

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_MSS = 2;
const OPTION_WINDOW_SCALE = 3;
const OPTION_SACK_PERMITTED = 4;
const OPTION_SACK = 5;
const OPTION_TIMESTAMPS = 8;

/** What a segment's options can hold of selective acknowledgements: 40 bytes less 2, 8 a block. */
export const MAX_SACK_BLOCKS = 4;
/** RFC 7323 §2.3: a greater shift is taken as this one. */
export const MAX_WINDOW_SCALE = 14;
/** The longest options that {@linkcode writeTcpOptions} writes. */
export const MAX_TCP_OPTION_BYTES = 40;

/** What a segment says in its options. Made once, filled for each segment. */
export interface TcpOptions {
  /** 0: none. */
  mss: number;
  /** −1: none. */
  windowScale: number;
  sackPermitted: boolean;
  hasTimestamps: boolean;
  timestamp: number;
  timestampEcho: number;
  sackCount: number;
  /** Left and right edges, a pair a block. */
  readonly sacks: Uint32Array;
}

export function makeTcpOptions(): TcpOptions {
  return {
    mss: 0,
    windowScale: -1,
    sackPermitted: false,
    hasTimestamps: false,
    timestamp: 0,
    timestampEcho: 0,
    sackCount: 0,
    sacks: new Uint32Array(MAX_SACK_BLOCKS * 2),
  };
}

/** A header that was read, with its options. Made once, filled for each segment. */
export interface TcpHeader extends TcpOptions {
  sourcePort: number;
  destinationPort: number;
  /** 0…2^32−1. */
  sequence: number;
  acknowledgement: number;
  flags: number;
  /** As in the header, not scaled. */
  window: number;
  urgent: number;
  /** Where the data begin and end. */
  payload: number;
  end: number;
}

export function makeTcpHeader(): TcpHeader {
  return {
    sourcePort: 0,
    destinationPort: 0,
    sequence: 0,
    acknowledgement: 0,
    flags: 0,
    window: 0,
    urgent: 0,
    payload: 0,
    end: 0,
    ...makeTcpOptions(),
  };
}

/**
 * Reads the header of a whole packet.
 * @param isTrusted Whether the checksum need not be checked (`isChecksumTrusted` of `vnet.ts`).
 */
export function readTcp(view: DataView, ip: IpHeader, isTrusted: boolean, into: TcpHeader): Fault | undefined {
  const at = ip.transport;
  if (ip.end - at < TCP.SIZE) return "truncated";
  const headerBytes = (view.getUint8(at + TCP.dataOffset) >>> 4) * 4;
  if (headerBytes < TCP.SIZE) return "malformed";
  if (at + headerBytes > ip.end) return "truncated";
  into.sourcePort = view.getUint16(at + TCP.sourcePort);
  into.destinationPort = view.getUint16(at + TCP.destinationPort);
  if (into.sourcePort === 0 || into.destinationPort === 0) return "malformed";
  if (!isTrusted) {
    const sum = sumPseudoOf(ip, PROTOCOL_TCP) + sumBytes(view, at, ip.end);
    if (foldSum(sum) !== 0xffff) return "checksum";
  }
  into.sequence = view.getUint32(at + TCP.sequence);
  into.acknowledgement = view.getUint32(at + TCP.acknowledgement);
  into.flags = view.getUint8(at + TCP.flags);
  into.window = view.getUint16(at + TCP.window);
  into.urgent = view.getUint16(at + TCP.urgent);
  into.payload = at + headerBytes;
  into.end = ip.end;
  into.mss = 0;
  into.windowScale = -1;
  into.sackPermitted = false;
  into.hasTimestamps = false;
  into.sackCount = 0;
  return headerBytes === TCP.SIZE ? undefined : readOptions(view, at + TCP.SIZE, at + headerBytes, into);
}

function readOptions(view: DataView, from: number, end: number, into: TcpHeader): Fault | undefined {
  // nearly every segment has timestamps alone, padded by two NOPs (RFC 7323, appendix A)
  if (end - from === 12 && view.getUint32(from) === 0x0101080a) {
    into.hasTimestamps = true;
    into.timestamp = view.getUint32(from + 4);
    into.timestampEcho = view.getUint32(from + 8);
    return undefined;
  }
  for (let at = from; at < end;) {
    const kind = view.getUint8(at);
    if (kind === OPTION_END) return undefined;
    if (kind === OPTION_NOP) {
      at += 1;
      continue;
    }
    if (at + 1 >= end) return "malformed";
    const length = view.getUint8(at + 1);
    if (length < 2 || at + length > end) return "malformed";
    readOption(view, at, kind, length, into);
    at += length;
  }
  return undefined;
}

/** An option of another length than its kind's is passed over, as Linux does. */
function readOption(view: DataView, at: number, kind: number, length: number, into: TcpHeader): void {
  switch (kind) {
    case OPTION_MSS:
      if (length === 4) into.mss = view.getUint16(at + 2);
      return;
    case OPTION_WINDOW_SCALE:
      if (length === 3) into.windowScale = Math.min(view.getUint8(at + 2), MAX_WINDOW_SCALE);
      return;
    case OPTION_SACK_PERMITTED:
      if (length === 2) into.sackPermitted = true;
      return;
    case OPTION_TIMESTAMPS:
      if (length !== 10) return;
      into.hasTimestamps = true;
      into.timestamp = view.getUint32(at + 2);
      into.timestampEcho = view.getUint32(at + 6);
      return;
    case OPTION_SACK:
      if (length < 10 || (length - 2) % 8 !== 0) return;
      into.sackCount = Math.min((length - 2) / 8, MAX_SACK_BLOCKS);
      for (let i = 0; i < into.sackCount * 2; i++) into.sacks[i] = view.getUint32(at + 2 + i * 4);
      return;
  }
}

/**
 * Writes options, padded to a multiple of four, at `at`: behind the 20 bytes of the header. Blocks of selective
 * acknowledgement that do not fit are left out.
 * @returns Their length, 0…40.
 */
export function writeTcpOptions(view: DataView, at: number, options: TcpOptions): number {
  let position = at;
  if (options.mss !== 0) {
    view.setUint32(position, (OPTION_MSS << 24) | (4 << 16) | options.mss);
    position += 4;
  }
  if (options.windowScale >= 0) {
    view.setUint32(position, (OPTION_NOP << 24) | (OPTION_WINDOW_SCALE << 16) | (3 << 8) | options.windowScale);
    position += 4;
  }
  if (options.sackPermitted) {
    view.setUint32(position, (OPTION_NOP << 24) | (OPTION_NOP << 16) | (OPTION_SACK_PERMITTED << 8) | 2);
    position += 4;
  }
  if (options.hasTimestamps) {
    view.setUint32(position, (OPTION_NOP << 24) | (OPTION_NOP << 16) | (OPTION_TIMESTAMPS << 8) | 10);
    view.setUint32(position + 4, options.timestamp);
    view.setUint32(position + 8, options.timestampEcho);
    position += 12;
  }
  const room = (MAX_TCP_OPTION_BYTES - (position - at) - 4) >> 3;
  const blocks = Math.min(options.sackCount, room);
  if (blocks > 0) {
    view.setUint32(position, (OPTION_NOP << 24) | (OPTION_NOP << 16) | (OPTION_SACK << 8) | (2 + blocks * 8));
    position += 4;
    for (let i = 0; i < blocks * 2; i++, position += 4) view.setUint32(position, options.sacks[i]!);
  }
  return position - at;
}

/**
 * Writes a header; its options stand behind it already. The checksum is left for {@linkcode finishTcp}, which needs the
 * payload too.
 */
export function writeTcp(
  view: DataView,
  at: number,
  sourcePort: number,
  destinationPort: number,
  sequence: number,
  acknowledgement: number,
  flags: number,
  window: number,
  optionBytes: number,
): void {
  view.setUint16(at + TCP.sourcePort, sourcePort);
  view.setUint16(at + TCP.destinationPort, destinationPort);
  view.setUint32(at + TCP.sequence, sequence);
  view.setUint32(at + TCP.acknowledgement, acknowledgement);
  view.setUint8(at + TCP.dataOffset, ((TCP.SIZE + optionBytes) >> 2) << 4);
  view.setUint8(at + TCP.flags, flags);
  view.setUint16(at + TCP.window, window);
  view.setUint16(at + TCP.checksum, 0);
  view.setUint16(at + TCP.urgent, 0);
}

/**
 * Fills in the checksum of a segment from `at` to `end`.
 * @param pseudoSum Of the whole segment's length (`sumPseudoHeader`).
 * @param isPartial Stores the pseudo-header's sum alone, for a device that finishes it (VNET_NEEDS_CSUM).
 */
export function finishTcp(view: DataView, at: number, end: number, pseudoSum: number, isPartial: boolean): void {
  const value = isPartial ? foldSum(pseudoSum) : checksumOf(pseudoSum + sumBytes(view, at, end));
  view.setUint16(at + TCP.checksum, value);
}
