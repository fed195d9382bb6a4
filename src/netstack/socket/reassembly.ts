/**
 * Fragments are put together (RFC 791 §3.2, RFC 8200 §4.5), in memory of a fixed size. What overlaps is dropped as a whole
 * (RFC 5722, and for IPv4 alike: nobody sends such but to fool somebody), and a sender has a share of the places, so
 * that it pushes out its own.
 *
 * @module
 */
import type { Frame } from "../frame.ts";
import { copyAddress, type Family, type IpAddress, makeAddress, sameAddress } from "../ip_address.ts";
import type { Memory } from "../memory.ts";
import type { Fault } from "../wire/fault.ts";
import { IPV4, writeIpv4, writeIpv4Fragment } from "../wire/ipv4.ts";
import { IPV6, writeIpv6 } from "../wire/ipv6.ts";

/** Datagrams at once, and of one sender. */
const PLACES = 64;
const PLACES_PER_SENDER = 16;
const LIFETIME_MS = 30_000;
const MAX_DATAGRAM_BYTES = 65_535;
/** Fragments begin at multiples of eight bytes: one bit each. */
const UNITS = 8192;
const HEADER_BYTES = IPV6.SIZE;
const PLACE_BYTES = HEADER_BYTES + UNITS * 8;

/** The memory that {@linkcode makeReassembly} is given. */
export const REASSEMBLY_SPACE_BYTES = PLACES * PLACE_BYTES;

interface Place {
  readonly at: number;
  /** −Infinity when it is free. */
  startedMs: number;
  link: number;
  family: Family;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  protocol: number;
  id: number;
  /** Of the first fragment. */
  hopLimit: number;
  trafficClass: number;
  /** Which eighths of the payload have come. */
  readonly units: Uint32Array;
  receivedBytes: number;
  /** Behind the last byte, once the last fragment has come; 0 until then. */
  totalBytes: number;
  /** Behind the farthest byte that has come. */
  reachedBytes: number;
  /** An overlap was seen: what else comes of it is dropped too. */
  isSpoilt: boolean;
}

export interface Reassembly {
  /**
   * Takes a fragment.
   * @returns "whole" when `frame` now holds the datagram that it has completed, "kept" when more must come.
   */
  add(frame: Frame, nowMs: number): "whole" | "kept" | Fault;
}

/** Makes one. @param base Offset of REASSEMBLY_SPACE_BYTES. */
export function makeReassembly({ bytes, view }: Memory, base: number): Reassembly {
  const places: Place[] = Array.from({ length: PLACES }, (_, index) => ({
    at: base + index * PLACE_BYTES + HEADER_BYTES,
    startedMs: -Infinity,
    link: 0,
    family: 4,
    source: makeAddress(),
    destination: makeAddress(),
    protocol: 0,
    id: 0,
    hopLimit: 0,
    trafficClass: 0,
    units: new Uint32Array(UNITS / 32),
    receivedBytes: 0,
    totalBytes: 0,
    reachedBytes: 0,
    isSpoilt: false,
  }));

  /** The place of a fragment's datagram: one that it is in, a free one, the sender's own oldest, or the oldest of all. */
  function placeOf(frame: Frame, nowMs: number): Place {
    let oldest = places[0]!;
    let oldestOfSender: Place | undefined;
    let count = 0;
    for (let i = 0; i < PLACES; i++) {
      const place = places[i]!;
      if (place.startedMs + LIFETIME_MS < nowMs) place.startedMs = -Infinity;
      if (place.startedMs !== -Infinity && place.link === frame.link && sameAddress(place.source, frame.source)) {
        if (isSameDatagram(place, frame)) return place;
        count++;
        if (oldestOfSender === undefined || place.startedMs < oldestOfSender.startedMs) oldestOfSender = place;
      }
      if (place.startedMs < oldest.startedMs) oldest = place;
    }
    const place = oldestOfSender !== undefined && count >= PLACES_PER_SENDER ? oldestOfSender : oldest;
    start(place, frame, nowMs);
    return place;
  }

  function deliver(place: Place, frame: Frame): void {
    const { family, protocol, source, destination, hopLimit, trafficClass, totalBytes } = place;
    place.startedMs = -Infinity;
    const headerBytes = family === 4 ? IPV4.SIZE : IPV6.SIZE;
    const network = place.at - headerBytes;
    if (family === 4) {
      writeIpv4(view, network, headerBytes + totalBytes, protocol, source, destination, hopLimit, trafficClass);
      writeIpv4Fragment(view, network, 0, 0, false);
      frame.protocolAt = network + IPV4.protocol;
    } else {
      writeIpv6(view, network, totalBytes, protocol, source, destination, hopLimit, trafficClass);
      frame.protocolAt = network + IPV6.nextHeader;
    }
    frame.network = network;
    frame.transport = place.at;
    frame.end = place.at + totalBytes;
    frame.protocol = protocol;
    frame.hopLimit = hopLimit;
    frame.trafficClass = trafficClass;
    frame.isFragment = false;
    frame.fragmentOffset = 0;
    frame.moreFragments = false;
    // the device has summed single fragments at most
    frame.checksumIsGood = false;
    frame.segmentSizeBytes = 0;
  }

  return {
    add(frame, nowMs) {
      const from = frame.fragmentOffset;
      const length = frame.end - frame.transport;
      const to = from + length;
      if (length === 0 || (frame.moreFragments && length % 8 !== 0)) return "malformed";
      if (to > MAX_DATAGRAM_BYTES - (frame.family === 4 ? IPV4.SIZE : 0)) return "malformed";
      const place = placeOf(frame, nowMs);
      if (place.isSpoilt) return "malformed";
      const seen = countUnits(place.units, from >> 3, (to + 7) >> 3);
      if (seen !== 0) {
        // the same once more is what networks do
        if (seen === ((to + 7) >> 3) - (from >> 3) && isSame(bytes, place.at + from, frame.transport, length)) {
          return "kept";
        }
        place.isSpoilt = true;
        return "malformed";
      }
      const isBeyond = place.totalBytes !== 0 && to > place.totalBytes;
      if (isBeyond || (!frame.moreFragments && (place.totalBytes !== 0 || to < place.reachedBytes))) {
        place.isSpoilt = true;
        return "malformed";
      }
      if (from === 0) {
        place.protocol = frame.protocol;
        place.hopLimit = frame.hopLimit;
        place.trafficClass = frame.trafficClass;
      }
      if (!frame.moreFragments) place.totalBytes = to;
      markUnits(place.units, from >> 3, (to + 7) >> 3);
      bytes.copyWithin(place.at + from, frame.transport, frame.end);
      place.receivedBytes += length;
      place.reachedBytes = Math.max(place.reachedBytes, to);
      if (place.totalBytes === 0 || place.receivedBytes !== place.totalBytes) return "kept";
      deliver(place, frame);
      return "whole";
    },
  };
}

/** Whether a fragment from the place's sender is of its datagram. IPv6 does not count the protocol (RFC 8200 §4.5). */
function isSameDatagram(place: Place, frame: Frame): boolean {
  return place.id === frame.fragmentId && place.family === frame.family &&
    (frame.family === 6 || place.protocol === frame.protocol) && sameAddress(place.destination, frame.destination);
}

function start(place: Place, frame: Frame, nowMs: number): void {
  place.startedMs = nowMs;
  place.link = frame.link;
  place.family = frame.family;
  copyAddress(place.source, frame.source);
  copyAddress(place.destination, frame.destination);
  place.protocol = frame.protocol;
  place.id = frame.fragmentId;
  place.hopLimit = frame.hopLimit;
  place.trafficClass = frame.trafficClass;
  place.units.fill(0);
  place.receivedBytes = 0;
  place.totalBytes = 0;
  place.reachedBytes = 0;
  place.isSpoilt = false;
}

/** The bits of units from `from` up to `to` that lie in one word. */
function maskOf(word: number, from: number, to: number): number {
  const low = Math.max(from - word * 32, 0);
  const high = Math.min(to - word * 32, 32);
  const upTo = high === 32 ? -1 : (1 << high) - 1;
  return upTo & ~((1 << low) - 1);
}

function countUnits(units: Uint32Array, from: number, to: number): number {
  let count = 0;
  for (let word = from >> 5; word * 32 < to; word++) {
    let bits = units[word]! & maskOf(word, from, to);
    for (; bits !== 0; bits &= bits - 1) count++;
  }
  return count;
}

function markUnits(units: Uint32Array, from: number, to: number): void {
  for (let word = from >> 5; word * 32 < to; word++) units[word] = units[word]! | maskOf(word, from, to);
}

function isSame(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}
