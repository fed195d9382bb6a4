/**
 * The stack's own addresses on a link, from its configuration.
 *
 * @module
 */
import type { LinkConfig } from "./config.ts";
import type { Reach } from "./destination.ts";
import { type IpAddress, parseIpAddress, parsePrefix, type Prefix } from "./ip_address.ts";

/** Of one family. */
export interface LinkAddress {
  /** The gateway, which is the name server too. */
  readonly address: IpAddress;
  readonly subnet: Prefix;
  /** IPv6: what it sends advertisements from. */
  readonly linkLocal: IpAddress | undefined;
  /** The address that leads to the host's loopback. */
  readonly hostLoopback: IpAddress | undefined;
}

/** A family is undefined where the network does not have it: the stack then says nothing in it. */
export interface LinkAddresses {
  readonly ipv4: LinkAddress | undefined;
  readonly ipv6: LinkAddress | undefined;
}

/** Six bytes of a MAC address as text. */
export function parseMac(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (part) => Number.parseInt(part, 16));
}

/** The link-local address that is made of a MAC (RFC 4291, appendix A). */
export function linkLocalOf(mac: Uint8Array): IpAddress {
  const [m0 = 0, m1 = 0, m2 = 0, m3 = 0, m4 = 0, m5 = 0] = mac;
  return {
    a: 0xfe800000 | 0,
    b: 0,
    c: ((m0 ^ 2) << 24) | (m1 << 16) | (m2 << 8) | 0xff,
    d: (0xfe << 24) | (m3 << 16) | (m4 << 8) | m5,
  };
}

function demand<T>(value: T | undefined, text: string): T {
  if (value === undefined) throw new Error(`No address: ${JSON.stringify(text)}`);
  return value;
}

/** The addresses of a configuration, which its schema has checked. */
export function linkAddressesOf(config: LinkConfig): LinkAddresses {
  const read = (family: { gateway: string; subnet: string }, loopback: string | null, linkLocal?: IpAddress) => ({
    address: demand(parseIpAddress(family.gateway), family.gateway),
    subnet: demand(parsePrefix(family.subnet), family.subnet),
    linkLocal,
    hostLoopback: loopback === null ? undefined : demand(parseIpAddress(loopback), loopback),
  });
  return {
    ipv4: config.ipv4 === null ? undefined : read(config.ipv4, config.hostLoopback?.ipv4 ?? null),
    ipv6: config.ipv6 === null
      ? undefined
      : read(config.ipv6, config.hostLoopback?.ipv6 ?? null, linkLocalOf(parseMac(config.macAddress))),
  };
}

/** The networks on a link. */
export function subnetsOf({ ipv4, ipv6 }: LinkAddresses): Prefix[] {
  return [ipv4, ipv6].flatMap((family) => family === undefined ? [] : [family.subnet]);
}

/** What a link may reach. @param networks Those of all links. */
export function reachOf(addresses: LinkAddresses, isInternal: boolean, networks: readonly Prefix[]): Reach {
  const { ipv4, ipv6 } = addresses;
  const families = [ipv4, ipv6].filter((family) => family !== undefined);
  const isThere = (address: IpAddress | undefined) => address !== undefined;
  return {
    own: families.flatMap((family) => [family.address, family.linkLocal].filter(isThere)),
    hostLoopback: families.map((family) => family.hostLoopback).filter(isThere),
    subnets: subnetsOf(addresses),
    networks,
    isInternal,
  };
}
