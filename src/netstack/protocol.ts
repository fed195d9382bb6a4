/**
 * What the loop knows of TCP, UDP, ICMP, ARP, DHCP and DNS. A handler is a record of functions; it gets the time as an
 * argument and never reads a clock, makes no numbers up but by `random`, and throws only where our own state is wrong:
 * whatever comes from outside is answered, or dropped and counted.
 *
 * @module
 */
import type { Frame } from "./frame.ts";
import type { Family, IpAddress } from "./ip_address.ts";
import type { Reach } from "./destination.ts";
import type { LinkAddresses } from "./link_addresses.ts";
import type { Memory } from "./memory.ts";
import type { Device } from "./device/device.ts";
import type { HostEvents } from "./host_events.ts";

/** A handler of one protocol. */
export interface Protocol {
  /** A frame for it: lengths and addresses are checked, its checksum is not (see {@linkcode Frame.checksumIsGood}). */
  onFrame(frame: Frame, nowMs: number): void;
  /** Events (HOST_READABLE …) at a socket that it watches by `key`. */
  onHostEvent(key: number, events: number, nowMs: number): void;
  /** When `onTimer` is to be called next; Infinity for never. Asked before each wait. */
  nextTimerMs(): number;
  /** Its time has come. It may be called too early, and then does nothing. */
  onTimer(nowMs: number): void;
  /** All frames and events that were there have been given: what was put off until then is done now. */
  onTurnEnd?(nowMs: number): void;
}

/** A link: a tap, and what stands on it. */
export interface Link {
  readonly index: number;
  readonly device: Device;
  /** The largest IP datagram. */
  readonly mtu: number;
  /** Six bytes: ours. */
  readonly macAddress: Uint8Array;
  /** The stack's own addresses on it. */
  readonly addresses: LinkAddresses;
  /** Where its containers may send to; made anew when links come and go. */
  readonly reach: Reach;
  /** Whether containers are told their addresses: by DHCP, and by router advertisements. */
  readonly givesAddresses: boolean;
}

/** What a handler is made with. */
export interface Surroundings {
  readonly memory: Memory;
  /** Filled when links come and go: an index keeps its link until that goes, and is then undefined. */
  readonly links: readonly (Link | undefined)[];
  readonly events: HostEvents;
  /** 32 random bits, as an unsigned number, that nobody outside can foretell. */
  random(): number;
  /** Who has an address on a link: ARP and neighbour discovery. */
  readonly neighbours: Neighbours;
}

/** The link-layer addresses of containers. */
export interface Neighbours {
  /**
   * Writes the six bytes of the MAC that a datagram for `address` is sent to at `offset` of the memory.
   * @returns False when it is not known yet: then it is asked for, and the caller has the frame held, or tries again when
   * `makeNeighbours`' `onKnown` tells it.
   */
  writeMac(link: number, family: Family, address: IpAddress, offset: number, nowMs: number): boolean;
  /**
   * Keeps a copy of a frame, whose destination is to be filled in, until its address answers, or others push it out.
   * @param at Offset of its virtio header.
   * @returns False when it is too long for that, or nobody was asked.
   */
  hold(link: number, address: IpAddress, at: number, length: number): boolean;
}
