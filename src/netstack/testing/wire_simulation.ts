/**
 * A wire between two devices in virtual time, which loses, doubles, delays and disorders frames by a seed. Large frames are cut
 * into segments first, with their checksums filled in, as a kernel would.
 *
 * @module
 */
import { type Device, VNET_HEADER_SIZE } from "../device/device.ts";
import type { Memory } from "../memory.ts";
import { PROTOCOL_TCP, sumPseudoHeader } from "../wire/ip.ts";
import { TCP, TCP_FIN, TCP_PSH } from "../wire/tcp.ts";
import { makeFrame } from "../frame.ts";
import { readFrame } from "../wire/read_frame.ts";
import { checksumOf, sumBytes } from "../wire/checksum.ts";
import { IPV4 } from "../wire/ipv4.ts";
import { IPV6 } from "../wire/ipv6.ts";
import { writePlainVnet } from "../wire/vnet.ts";
import { at, type VirtualClock } from "./virtual_clock.ts";

const EAGAIN = 11;

/** What goes wrong, as chances of 0 to 1 a frame. */
export interface Trouble {
  loss: number;
  duplication: number;
  /** Chance that a frame takes up to `delayMs` more than the others. */
  reordering: number;
  /** One bit is turned. */
  corruption: number;
  delayMs: number;
}

export const NO_TROUBLE: Trouble = { loss: 0, duplication: 0, reordering: 0, corruption: 0, delayMs: 0.05 };

export interface WireCounts {
  frames: number;
  lost: number;
  doubled: number;
  late: number;
  corrupted: number;
}

export interface WireEnd {
  readonly device: Device;
  /** Frames that have arrived and were not read yet. */
  readonly arrived: Uint8Array[];
  /** Called after each arrival. */
  onArrival: () => void;
}

/** One end of a wire: what is transmitted at it arrives at `other`, made by the same function. */
export function makeWireEnd(
  memory: Memory,
  clock: VirtualClock,
  random: () => number,
  trouble: Trouble,
  counts: WireCounts,
  other: () => WireEnd,
): WireEnd {
  const chance = (p: number) => p > 0 && random() < p * 2 ** 32;
  let lastAtMs = 0;
  const arrived: Uint8Array[] = [];
  const send = (frame: Uint8Array) => {
    counts.frames++;
    if (chance(trouble.loss)) {
      counts.lost++;
      return;
    }
    if (chance(trouble.corruption)) {
      counts.corrupted++;
      const place = VNET_HEADER_SIZE + 14 + random() % (frame.length - VNET_HEADER_SIZE - 14);
      frame[place] = frame[place]! ^ (1 << random() % 8);
    }
    const copies = chance(trouble.duplication) ? 2 : 1;
    if (copies === 2) counts.doubled++;
    for (let i = 0; i < copies; i++) {
      let whenMs = Math.max(lastAtMs, clock.nowMs + trouble.delayMs);
      if (chance(trouble.reordering)) {
        counts.late++;
        whenMs += trouble.delayMs * 3 * (random() / 2 ** 32);
      } else lastAtMs = whenMs;
      at(clock, whenMs, () => {
        const end = other();
        end.arrived.push(frame);
        end.onArrival();
      });
    }
  };
  const device: Device = {
    receive(offset) {
      const frame = arrived.shift();
      if (frame === undefined) return -EAGAIN;
      memory.bytes.set(frame, offset);
      return frame.length;
    },
    transmit(headers, headersLength, payload, payloadLength, rest, restLength) {
      const frame = new Uint8Array(headersLength + payloadLength + restLength);
      frame.set(memory.bytes.subarray(headers, headers + headersLength));
      frame.set(memory.bytes.subarray(payload, payload + payloadLength), headersLength);
      frame.set(memory.bytes.subarray(rest, rest + restLength), headersLength + payloadLength);
      for (const segment of cutIntoSegments(frame)) send(segment);
      return frame.length;
    },
  };
  return { device, arrived, onArrival: () => {} };
}

/** Cuts a frame of TCP as its vnet header says, and fills in checksums; other frames stay as they are. */
export function cutIntoSegments(frame: Uint8Array): Uint8Array[] {
  const memory = {
    bytes: frame as Uint8Array<ArrayBuffer>,
    view: new DataView(frame.buffer as ArrayBuffer),
    address: 0,
  };
  const header = makeFrame();
  if (readFrame(memory, 0, frame.length, header) !== undefined || header.protocol !== PROTOCOL_TCP) return [frame];
  const { view } = memory;
  const start = header.transport + (view.getUint8(header.transport + TCP.dataOffset) >>> 4) * 4;
  const length = header.end - start;
  const size = header.segmentSizeBytes === 0 ? Math.max(length, 1) : header.segmentSizeBytes;
  const segments: Uint8Array[] = [];
  for (let from = 0; from === 0 || from < length; from += size) {
    const to = Math.min(from + size, length);
    const bytes = new Uint8Array(start + to - from);
    bytes.set(frame.subarray(0, start));
    bytes.set(frame.subarray(start + from, start + to), start);
    const out = new DataView(bytes.buffer);
    const { transport, network } = header;
    writePlainVnet(out, 0);
    out.setUint32(transport + TCP.sequence, out.getUint32(transport + TCP.sequence) + from);
    if (to < length) {
      out.setUint8(transport + TCP.flags, out.getUint8(transport + TCP.flags) & ~(TCP_FIN | TCP_PSH));
    }
    if (header.family === 4) {
      out.setUint16(network + IPV4.totalLength, bytes.length - network);
      out.setUint16(network + IPV4.checksum, 0);
      out.setUint16(network + IPV4.checksum, checksumOf(sumBytes(out, network, transport)));
    } else out.setUint16(network + IPV6.payloadLength, bytes.length - transport);
    const sum = sumPseudoHeader(header.source, header.destination, PROTOCOL_TCP, bytes.length - transport);
    out.setUint16(transport + TCP.checksum, 0);
    out.setUint16(transport + TCP.checksum, checksumOf(sum + sumBytes(out, transport, bytes.length)));
    segments.push(bytes);
  }
  return segments;
}
