/**
 * A TCP as plain as can be, for the container's side of simulations: it takes bytes in order only, has one segment on the way, sends
 * it again until it is acknowledged, and knows no options but MSS. Written apart from the stack's own, so that both do not make the
 * same mistake.
 *
 * @module
 */
import { makeFrame } from "../frame.ts";
import type { IpAddress } from "../ip_address.ts";
import { makeTestMemory } from "../memory.ts";
import { ETHERNET, ETHERTYPE_IPV4 } from "../wire/ethernet.ts";
import { PROTOCOL_TCP, sumPseudoHeader } from "../wire/ip.ts";
import { IPV4, writeIpv4 } from "../wire/ipv4.ts";
import { readFrame } from "../wire/read_frame.ts";
import {
  finishTcp,
  makeTcpHeader,
  makeTcpOptions,
  readTcp,
  TCP,
  TCP_ACK,
  TCP_FIN,
  TCP_RST,
  TCP_SYN,
  writeTcp,
  writeTcpOptions,
} from "../wire/tcp.ts";
import { VNET, writePlainVnet } from "../wire/vnet.ts";
import { at, type VirtualClock } from "./virtual_clock.ts";

const WINDOW = 8000;
const RETRY_MS = 300;
const MSS = 1000;

/** Makes one segment as a frame, checksum and all. */
export function makeSegment(segment: {
  from: IpAddress;
  to: IpAddress;
  fromPort: number;
  toPort: number;
  sequence: number;
  acknowledgement: number;
  flags: number;
  window: number;
  mss?: number;
  payload: Uint8Array;
}): Uint8Array<ArrayBuffer> {
  const memory = makeTestMemory(VNET.SIZE + ETHERNET.SIZE + IPV4.SIZE + TCP.SIZE + 40 + segment.payload.length);
  const { bytes, view } = memory;
  const ip = VNET.SIZE + ETHERNET.SIZE;
  const tcp = ip + IPV4.SIZE;
  const options = makeTcpOptions();
  options.mss = segment.mss ?? 0;
  const optionBytes = writeTcpOptions(view, tcp + TCP.SIZE, options);
  const payload = tcp + TCP.SIZE + optionBytes;
  const end = payload + segment.payload.length;
  bytes.set(segment.payload, payload);
  writePlainVnet(view, 0);
  bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], VNET.SIZE);
  view.setUint16(VNET.SIZE + ETHERNET.type, ETHERTYPE_IPV4);
  writeIpv4(view, ip, end - ip, PROTOCOL_TCP, segment.from, segment.to);
  const { fromPort, toPort, sequence, acknowledgement, flags, window } = segment;
  writeTcp(view, tcp, fromPort, toPort, sequence, acknowledgement, flags, window, optionBytes);
  finishTcp(view, tcp, end, sumPseudoHeader(segment.from, segment.to, PROTOCOL_TCP, end - tcp), false);
  return bytes.slice(0, end);
}

export interface ReferencePeer {
  /** Takes a frame from the stack, whose checksum is filled in. */
  onFrame(frame: Uint8Array): void;
  /** What has come, and how it ended. */
  readonly got: number[];
  readonly state: "opening" | "open" | "closed" | "reset";
  readonly hasGotEnd: boolean;
}

/** Connects, sends `sends`, closes its side, and takes what comes until the other closes. */
export function makeReferencePeer(options: {
  clock: VirtualClock;
  send: (frame: Uint8Array) => void;
  from: IpAddress;
  to: IpAddress;
  fromPort: number;
  toPort: number;
  sends: Uint8Array;
  initialSequence: number;
}): ReferencePeer {
  const { clock, from, to, fromPort, toPort, sends, initialSequence } = options;
  const got: number[] = [];
  let state: ReferencePeer["state"] = "opening";
  let hasGotEnd = false;
  /** Of our numbers: SYN is 0, the first byte 1, FIN behind the last. */
  let acknowledged = 0;
  let expected = 0;
  let theirWindow = 1;
  let timer = 0;

  const put = (flags: number, place: number, payload: Uint8Array) =>
    options.send(makeSegment({
      from,
      to,
      fromPort,
      toPort,
      sequence: (initialSequence + place) >>> 0,
      acknowledgement: expected >>> 0,
      flags,
      window: WINDOW,
      ...((flags & TCP_SYN) !== 0 ? { mss: MSS } : {}),
      payload,
    }));
  const NOTHING = new Uint8Array(0);
  const sendNext = () => {
    const turn = ++timer;
    if (state === "closed" || state === "reset") return;
    if (state === "opening") put(TCP_SYN, 0, NOTHING);
    else if (acknowledged <= sends.length) {
      const begin = acknowledged - 1;
      // a closed window is asked by one byte
      const piece = sends.subarray(begin, begin + Math.max(Math.min(MSS, theirWindow), 1));
      if (piece.length > 0) put(TCP_ACK, acknowledged, piece);
      else put(TCP_ACK | TCP_FIN, acknowledged, NOTHING);
    } else if (acknowledged === sends.length + 1) put(TCP_ACK | TCP_FIN, acknowledged, NOTHING);
    else return;
    at(clock, clock.nowMs + RETRY_MS, () => turn === timer && sendNext());
  };
  at(clock, clock.nowMs, sendNext);

  const frame = makeFrame();
  const header = makeTcpHeader();
  const done = () => {
    if (hasGotEnd && acknowledged === sends.length + 2) state = "closed";
  };
  return {
    got,
    get state() {
      return state;
    },
    get hasGotEnd() {
      return hasGotEnd;
    },
    onFrame(bytes) {
      const memory = {
        bytes: bytes as Uint8Array<ArrayBuffer>,
        view: new DataView(bytes.buffer as ArrayBuffer),
        address: 0,
      };
      if (readFrame(memory, 0, bytes.length, frame) !== undefined || frame.protocol !== PROTOCOL_TCP) return;
      if (readTcp(memory.view, frame, false, header) !== undefined || header.destinationPort !== fromPort) return;
      const { flags, sequence, acknowledgement, payload, end } = header;
      const ack = (acknowledgement - initialSequence) >>> 0;
      if (state === "opening") {
        if (ack !== 1) return;
        if ((flags & TCP_RST) !== 0) state = "reset";
        if ((flags & (TCP_SYN | TCP_ACK)) !== (TCP_SYN | TCP_ACK)) return;
        state = "open";
        expected = (sequence + 1) >>> 0;
        acknowledged = 1;
        theirWindow = header.window;
        put(TCP_ACK, 1, NOTHING);
        sendNext();
        return;
      }
      if (state === "reset") return;
      if ((flags & TCP_RST) !== 0) {
        if (sequence === expected && state !== "closed") state = "reset";
        return;
      }
      if (ack > acknowledged && ack <= sends.length + 2) {
        acknowledged = ack;
        theirWindow = header.window;
        done();
        sendNext();
      } else if (ack === acknowledged) theirWindow = header.window;
      if (sequence === expected) {
        for (let i = payload; i < end; i++) got.push(bytes[i]!);
        expected = (expected + (end - payload)) >>> 0;
        if ((flags & TCP_FIN) !== 0) {
          expected = (expected + 1) >>> 0;
          hasGotEnd = true;
        }
      }
      const isEmpty = payload === end && (flags & (TCP_FIN | TCP_SYN)) === 0;
      // a probe has an old number, and wants to know where we stand
      if (!isEmpty || sequence !== expected) put(TCP_ACK, acknowledged, NOTHING);
      done();
    },
  };
}
