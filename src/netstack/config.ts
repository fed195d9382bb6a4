/**
 * What the process of the stack is started with, as JSON on its standard input.
 *
 * @module
 */
import * as v from "valibot";
import { isIpv4, parseIpAddress, parsePrefix } from "./ip_address.ts";

const MAX_LINKS = 1024;

/** An address of either family as text. */
export const IpAddressText = v.pipe(v.string(), v.check((text) => parseIpAddress(text) !== undefined, "no IP address"));
const PrefixText = v.pipe(v.string(), v.check((text) => parsePrefix(text) !== undefined, "no ADDRESS/LENGTH"));
export const MacText = v.pipe(v.string(), v.regex(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/));
export const Port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const DescriptorNumber = v.pipe(v.number(), v.integer(), v.minValue(0));
const family = (wanted: 4 | 6) => (text: string) => {
  const address = parseIpAddress(text.split("/")[0] ?? "");
  return address !== undefined && isIpv4(address) === (wanted === 4);
};

/** The stack on a network in one family: it is the gateway, the name server, and where DHCP has it the server of that. */
const Ipv4 = v.strictObject({
  gateway: v.pipe(IpAddressText, v.check(family(4), "no IPv4 address")),
  subnet: v.pipe(PrefixText, v.check(family(4), "no IPv4 prefix")),
});
const Ipv6 = v.strictObject({
  gateway: v.pipe(IpAddressText, v.check(family(6), "no IPv6 address")),
  subnet: v.pipe(PrefixText, v.check(family(6), "no IPv6 prefix")),
});

/**
 * A link is one tap, and one network: the tap is a port of the network's bridge (or stands in a container of its own, for
 * `slirp`), and the stack on it is the network's gateway. Links never reach each other.
 */
export const LinkConfig = v.strictObject({
  /** By which messages name it: the network's id. */
  id: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  /** Of the bridge's port: the largest IP datagram, 65,520 where nothing else is asked for. */
  mtu: v.pipe(v.number(), v.integer(), v.minValue(576), v.maxValue(65_520)),
  /** Of the gateway. */
  macAddress: MacText,
  ipv4: v.nullable(Ipv4),
  ipv6: v.nullable(Ipv6),
  /** No way out, and no names but those of its containers. */
  internal: v.boolean(),
  /** An address of the network that leads to the host's own 127.0.0.1 (and ::1): only where the user asked for it. */
  hostLoopback: v.nullable(v.strictObject({ ipv4: v.nullable(IpAddressText), ipv6: v.nullable(IpAddressText) })),
  /** Whether it answers DHCP. */
  dhcp: v.boolean(),
});
export type LinkConfig = v.InferOutput<typeof LinkConfig>;

export const StackConfig = v.strictObject({
  /** Taps that the process has inherited, opened with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, and TUNSETOFFLOAD'ed. */
  links: v.pipe(v.array(v.strictObject({ fd: DescriptorNumber, link: LinkConfig })), v.maxLength(MAX_LINKS)),
  /** A unix socket of kind stream that is bound and listens already, inherited: control.ts tells what is said on it. */
  controlFd: DescriptorNumber,
  /** The host's file of name servers, read again when it changes. */
  resolvConf: v.string(),
  /** All that the stack may hold, in bytes: buffers of connections, frames. */
  memoryBytes: v.pipe(v.number(), v.integer(), v.minValue(16 << 20), v.maxValue(2 ** 31)),
  /** Writes all that passes to a file, in pcap's format (`--pcap`). */
  pcap: v.nullable(v.string()),
  /** Whether it ends half a minute after the last container that it watches; else it waits for its links to go as well. */
  endsWhenIdle: v.optional(v.boolean()),
});
export type StackConfig = v.InferOutput<typeof StackConfig>;

/** The bound of the stack's memory unless told otherwise; what is not used is not resident. */
export const DEFAULT_MEMORY_BYTES = 256 << 20;
