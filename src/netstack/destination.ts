/**
 * Where a datagram or a connection of a container may go: one function decides it for every protocol, before any socket of
 * the host is made. Only plain unicast goes out. A socket that connects to 0.0.0.0 *is* on the loopback, and
 * so are `::`, `::ffff:127.0.0.1` and what translators make of 64:ff9b::127.0.0.1; so nothing is let out that is not
 * known to be good.
 *
 * @module
 */
import { copyAddress, type IpAddress, isInPrefix, isIpv4, type Prefix, sameAddress, V4_MARK } from "./ip_address.ts";

/** What a link may reach, as addresses: made when links come and go. */
export interface Reach {
  /** The stack's own addresses on the link, its link-local one too. */
  readonly own: readonly IpAddress[];
  /** An address of the network that leads to the host's 127.0.0.1 or ::1, where that was asked for. */
  readonly hostLoopback: readonly IpAddress[];
  /** The link's own networks: what its containers send comes from an address of them. */
  readonly subnets: readonly Prefix[];
  /** The networks of all links: they do not reach each other, and what is on one's own link needs no gateway. */
  readonly networks: readonly Prefix[];
  /** Nothing but the stack's own addresses. */
  readonly isInternal: boolean;
}

/** Where it goes, or why it does not. */
export type Verdict =
  /** To the address itself. */
  | "outside"
  /** To the stack: ping, DNS, DHCP and nothing else. */
  | "gateway"
  /** To the host's loopback, which is open here. */
  | "host-loopback"
  | "internal"
  | "other-network"
  | "loopback"
  | "unspecified"
  | "multicast"
  | "broadcast"
  | "link-local"
  | "reserved";

/**
 * Decides on a destination.
 * @param into Gets the address that a socket of the host may connect to, when the verdict is "outside" or "host-loopback".
 */
export function decideDestination(reach: Reach, address: IpAddress, into: IpAddress): Verdict {
  const { own, hostLoopback, networks } = reach;
  for (let i = 0; i < own.length; i++) if (sameAddress(own[i]!, address)) return "gateway";
  for (let i = 0; i < hostLoopback.length; i++) {
    if (!sameAddress(hostLoopback[i]!, address)) continue;
    setLoopback(into, isIpv4(address));
    return "host-loopback";
  }
  const verdict = isIpv4(address) ? classifyIpv4(address.d) : classifyIpv6(address);
  if (verdict !== "outside") return verdict;
  if (reach.isInternal) return "internal";
  for (let i = 0; i < networks.length; i++) if (isInPrefix(address, networks[i]!)) return "other-network";
  copyAddress(into, address);
  return "outside";
}

function setLoopback(into: IpAddress, isV4: boolean): void {
  into.a = 0;
  into.b = 0;
  into.c = isV4 ? V4_MARK : 0;
  into.d = isV4 ? 0x7f000001 : 1;
}

/** By the registry of special addresses (RFC 6890, IANA "IPv4 Special-Purpose Address Registry"). */
function classifyIpv4(word: number): Verdict {
  const first = word >>> 24;
  if (word === 0) return "unspecified";
  if (word === -1) return "broadcast";
  if (first === 0) return "reserved";
  if (first === 127) return "loopback";
  if (first >= 240) return "reserved";
  if (first >= 224) return "multicast";
  if (word >>> 16 === 0xa9fe) return "link-local";
  return "outside";
}

/**
 * Global unicast 2000::/3 and unique local fc00::/7 go out; of translated and tunnelled addresses the one within decides.
 * Everything else is refused.
 */
function classifyIpv6({ a, b, c, d }: IpAddress): Verdict {
  const top = a >>> 16;
  if (a === 0 && b === 0) {
    // ::, ::1, and the forms that hold an IPv4 address (RFC 4291 §2.5.5)
    if (c === 0 && d === 0) return "unspecified";
    if (c === 0 && d === 1) return "loopback";
    return "reserved";
  }
  if (top >= 0xff00) return "multicast";
  if (top >= 0xfe80 && top < 0xfec0) return "link-local";
  // NAT64 (RFC 6052)
  if (a === 0x0064ff9b && b === 0 && c === 0) return classifyIpv4(d);
  // 6to4 (RFC 3056)
  if (top === 0x2002) return classifyIpv4((a << 16) | (b >>> 16));
  // Teredo (RFC 4380): the address within is scrambled, and nobody uses it
  if (a === 0x20010000) return "reserved";
  const isGlobal = top >>> 13 === 1;
  const isUniqueLocal = top >>> 9 === 0x7e;
  return isGlobal || isUniqueLocal ? "outside" : "reserved";
}

/** Whether a container of the link may send from an address: one of the link's networks, and not the stack's own. */
export function isSourceAllowed({ own, subnets }: Reach, source: IpAddress): boolean {
  for (let i = 0; i < own.length; i++) if (sameAddress(own[i]!, source)) return false;
  for (let i = 0; i < subnets.length; i++) if (isInPrefix(source, subnets[i]!)) return true;
  return false;
}

/**
 * Whether a frame's source may be: what {@linkcode isSourceAllowed} says; besides, who has no address yet asks for one, and
 * neighbours talk by link-local addresses, which lead nowhere else.
 * @param isUdp What DHCP is asked by.
 */
export function isFrameSourceAllowed(reach: Reach, source: IpAddress, destination: IpAddress, isUdp: boolean): boolean {
  if (isSourceAllowed(reach, source)) return true;
  if (isIpv4(source)) return isUdp && source.d === 0 && destination.d === -1;
  const isUnspecified = source.a === 0 && source.b === 0 && source.c === 0 && source.d === 0;
  return !isUdp && (isUnspecified || source.a >>> 22 === 0x3fa);
}
