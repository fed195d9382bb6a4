/**
 * Errors that containers are told: of the gateway itself, and those that the host's sockets have got from the network, passed
 * on as if there were no stack between (RFC 792, RFC 4443).
 *
 * @module
 */
import type { Frame } from "../frame.ts";
import { copyAddress, type IpAddress, isIpv4, makeAddress } from "../ip_address.ts";
import type { Surroundings } from "../protocol.ts";
import { EACCES, ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, EPERM } from "#linux/errno_values.ts";
import {
  finishIcmp,
  ICMP,
  type IcmpErrorKind,
  icmpErrorKind,
  icmpErrorOf,
  quotedLength,
  writeIcmp,
} from "../wire/icmp.ts";
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6, sumPseudoHeader } from "../wire/ip.ts";
import { HEADROOM, makeDatagram, sendDatagram } from "./send_datagram.ts";

/** The longest error: 1,280 bytes less the IP header. */
const MESSAGE_BYTES = 1240;
/** What {@linkcode makeIcmpErrors} is given. */
export const ICMP_ERROR_SCRATCH_BYTES = HEADROOM + MESSAGE_BYTES;

/** Errors a link in a second: a flood of datagrams is not answered by one (RFC 4443 §2.4 (f)); per link, not for all. */
const ERRORS_PER_SECOND = 200;

export interface IcmpErrors {
  /** Tells the sender of a frame; nobody is told of an error about a group's datagram or about a later fragment. */
  refuse(frame: Frame, kind: IcmpErrorKind, nowMs: number, mtu?: number): void;
  /**
   * Tells of a datagram that lies at `quoted`, whose IP header begins there, in the name of `offender`, or of the gateway
   * where the offender is none of the family or not known.
   */
  report(
    link: number,
    offender: IpAddress | undefined,
    to: IpAddress,
    kind: IcmpErrorKind,
    mtu: number,
    quoted: number,
    quotedEnd: number,
    nowMs: number,
  ): void;
}

/** What the host's own refusal to send means. */
export function kindOfErrno(errno: number): IcmpErrorKind {
  switch (errno) {
    case ENETUNREACH:
      return "network-unreachable";
    case ECONNREFUSED:
      return "port-unreachable";
    case EACCES:
    case EPERM:
      return "prohibited";
    case EMSGSIZE:
      return "too-big";
    case EHOSTUNREACH:
    default:
      return "host-unreachable";
  }
}

/** What an error that a socket has kept means, by its type and code, or else by its number. */
export function kindOfError(family: 4 | 6, type: number, code: number, errno: number): IcmpErrorKind {
  return (type < 0 ? undefined : icmpErrorKind(family, type, code)) ?? kindOfErrno(errno);
}

/** @param scratch Offset of ICMP_ERROR_SCRATCH_BYTES. */
export function makeIcmpErrors(surroundings: Surroundings, scratch: number): IcmpErrors {
  const { bytes, view } = surroundings.memory;
  const datagram = makeDatagram(makeAddress(), makeAddress());
  /** By link: what may still be sent, and since when. */
  const allowances = new Map<number, { left: number; sinceMs: number }>();

  function spend(link: number, nowMs: number): boolean {
    let allowance = allowances.get(link);
    if (allowance === undefined) allowances.set(link, allowance = { left: ERRORS_PER_SECOND, sinceMs: nowMs });
    const earned = Math.floor(((nowMs - allowance.sinceMs) * ERRORS_PER_SECOND) / 1000);
    if (earned > 0) {
      allowance.left = Math.min(ERRORS_PER_SECOND, allowance.left + earned);
      allowance.sinceMs = nowMs;
    }
    if (allowance.left === 0) return false;
    allowance.left--;
    return true;
  }

  const errors: IcmpErrors = {
    refuse(frame, kind, nowMs, mtu = 0) {
      if (frame.fragmentOffset !== 0 || isGroup(frame.destination)) return;
      errors.report(frame.link, undefined, frame.source, kind, mtu, frame.network, frame.end, nowMs);
    },
    report(index, offender, to, kind, mtu, quoted, quotedEnd, nowMs) {
      const link = surroundings.links[index];
      const isV4 = isIpv4(to);
      const own = isV4 ? link?.addresses.ipv4 : link?.addresses.ipv6;
      if (own === undefined || !spend(index, nowMs)) return;
      const family = isV4 ? 4 : 6;
      const [type, code] = icmpErrorOf(family, kind);
      const isNamed = offender !== undefined && isIpv4(offender) === isV4 && (offender.d !== 0 || offender.a !== 0);
      copyAddress(datagram.source, isNamed ? offender : own.address);
      copyAddress(datagram.destination, to);
      const at = scratch + HEADROOM;
      const length = quotedLength(family, quotedEnd - quoted);
      // ICMP has 16 bits for the MTU, and zeros before them
      const rest = kind !== "too-big" ? 0 : family === 4 ? mtu & 0xffff : mtu;
      writeIcmp(view, at, type, code, rest);
      bytes.copyWithin(at + ICMP.SIZE, quoted, quoted + length);
      datagram.link = index;
      datagram.family = family;
      datagram.protocol = isV4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6;
      datagram.transport = at;
      datagram.end = at + ICMP.SIZE + length;
      const messageBytes = datagram.end - at;
      const pseudo = isV4 ? 0 : sumPseudoHeader(datagram.source, to, PROTOCOL_ICMPV6, messageBytes);
      finishIcmp(view, at, datagram.end, pseudo);
      sendDatagram(surroundings, datagram, nowMs);
    },
  };
  return errors;
}

/** Whether an address is a group's, or everybody's. */
function isGroup(address: IpAddress): boolean {
  return isIpv4(address) ? address.d >>> 28 === 14 || address.d === -1 : address.a >>> 24 === 0xff;
}
