/**
 * One turn of the stack: frames that have come, events of host sockets, timers, what was put off. Nothing here waits or reads a
 * clock; `process/` does, and simulations do.
 *
 * @module
 */
import { type Frame, makeFrame } from "./frame.ts";
import type { Memory } from "./memory.ts";
import type { Link, Protocol } from "./protocol.ts";
import { ETHERNET, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, isGroupMac, isMac } from "./wire/ethernet.ts";
import type { Fault } from "./wire/fault.ts";
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP } from "./wire/ip.ts";
import { readFrame } from "./wire/read_frame.ts";

/** How many frames of one link a turn takes before it looks at host sockets and timers. */
const FRAMES_A_TURN = 64;
const EAGAIN = 11;
const EINTR = 4;

/** Who takes what; a protocol that is not there drops its frames. */
export interface Handlers {
  arp?: Protocol;
  icmp?: Protocol;
  tcp?: Protocol;
  udp?: Protocol;
}

export interface StackCounters {
  framesIn: number;
  bytesIn: number;
  /** By reason. */
  dropped: Record<Fault | "station" | "source" | "protocol" | "incomplete", number>;
  /** Errors that a handler threw: our own mistakes, each told once a minute. */
  errors: number;
}

export interface Stack {
  readonly memory: Memory;
  readonly links: (Link | undefined)[];
  /** Where FRAME_SPACE bytes take the frame that is being looked at. */
  readonly receiveAt: number;
  readonly frame: Frame;
  /** By their index in events and `watch`. */
  readonly protocols: Protocol[];
  readonly handlers: Handlers;
  /** Puts fragments together: "whole" has filled the frame anew. */
  readonly addFragment: (frame: Frame, nowMs: number) => "whole" | "kept" | Fault;
  /** Whether a datagram's source is one that its link has. */
  readonly isSourceAllowed: (frame: Frame) => boolean;
  readonly counters: StackCounters;
  /** Told of errors that a handler threw; the frame that did it is gone, all others go on. */
  readonly onError: (error: unknown) => void;
}

export function makeStackCounters(): StackCounters {
  return {
    framesIn: 0,
    bytesIn: 0,
    dropped: {
      truncated: 0,
      unknown: 0,
      malformed: 0,
      checksum: 0,
      excessive: 0,
      station: 0,
      source: 0,
      protocol: 0,
      incomplete: 0,
    },
    errors: 0,
  };
}

/** What {@linkcode makeStack} is made of; the rest begins empty. */
export type StackParts = Omit<Stack, "frame" | "counters">;

export function makeStack(parts: StackParts): Stack {
  return { ...parts, frame: makeFrame(), counters: makeStackCounters() };
}

/**
 * Takes the frames that have come on a link, up to a turn's share.
 * @returns 1 when there may be more, 0 when there are none, or minus errno of a device that has failed.
 */
export function takeFrames(stack: Stack, link: Link, nowMs: number): number {
  const { receiveAt, counters } = stack;
  for (let count = 0; count < FRAMES_A_TURN; count++) {
    const length = link.device.receive(receiveAt);
    if (length <= 0) {
      if (length === -EAGAIN) return 0;
      if (length === -EINTR) continue;
      return length;
    }
    counters.framesIn++;
    counters.bytesIn += length;
    try {
      takeFrame(stack, link, receiveAt + length, nowMs);
    } catch (error) {
      counters.errors++;
      stack.onError(error);
    }
  }
  return 1;
}

function takeFrame(stack: Stack, link: Link, end: number, nowMs: number): void {
  const { frame, handlers, counters: { dropped } } = stack;
  frame.link = link.index;
  const fault = readFrame(stack.memory, stack.receiveAt, end, frame);
  if (fault !== undefined) {
    dropped[fault]++;
    return;
  }
  // a bridge floods what is for a station that it has not heard of yet: containers talk among themselves there
  const { bytes } = stack.memory;
  const station = frame.start + ETHERNET.destination;
  if (!isGroupMac(bytes, station) && !isMac(bytes, station, link.macAddress)) {
    dropped.station++;
    return;
  }
  if (frame.etherType === ETHERTYPE_ARP) {
    handlers.arp?.onFrame(frame, nowMs);
    return;
  }
  if (frame.etherType !== ETHERTYPE_IPV4 && frame.etherType !== ETHERTYPE_IPV6) {
    dropped.protocol++;
    return;
  }
  if (frame.isFragment) {
    const result = stack.addFragment(frame, nowMs);
    if (result === "kept") dropped.incomplete++;
    else if (result !== "whole") dropped[result]++;
    if (result !== "whole") return;
  }
  if (!stack.isSourceAllowed(frame)) {
    dropped.source++;
    return;
  }
  const handler = handlerOf(handlers, frame.protocol);
  if (handler === undefined) dropped.protocol++;
  else handler.onFrame(frame, nowMs);
}

function handlerOf(handlers: Handlers, protocol: number): Protocol | undefined {
  switch (protocol) {
    case PROTOCOL_TCP:
      return handlers.tcp;
    case PROTOCOL_UDP:
      return handlers.udp;
    case PROTOCOL_ICMP:
    case PROTOCOL_ICMPV6:
      return handlers.icmp;
    default:
      return undefined;
  }
}

/** Gives one event of a host socket to the protocol that watches it. */
export function takeEvent(stack: Stack, protocol: number, key: number, events: number, nowMs: number): void {
  try {
    stack.protocols[protocol]?.onHostEvent(key, events, nowMs);
  } catch (error) {
    stack.counters.errors++;
    stack.onError(error);
  }
}

/** Runs the timers whose time has come, and then what was put off until the end of the turn. */
export function endTurn(stack: Stack, nowMs: number): void {
  const { protocols } = stack;
  for (let i = 0; i < protocols.length; i++) {
    const protocol = protocols[i]!;
    try {
      if (protocol.nextTimerMs() <= nowMs) protocol.onTimer(nowMs);
      protocol.onTurnEnd?.(nowMs);
    } catch (error) {
      stack.counters.errors++;
      stack.onError(error);
    }
  }
}

/** When the next turn must begin, if nothing comes before. */
export function nextTurnMs(stack: Stack): number {
  const { protocols } = stack;
  let next = Infinity;
  for (let i = 0; i < protocols.length; i++) next = Math.min(next, protocols[i]!.nextTimerMs());
  return next;
}
