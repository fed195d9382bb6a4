/**
 * Messages of rtnetlink(7), as bytes: links, addresses, routes, rules and queueing disciplines. Nothing is sent here; a
 * message names a link by the index that it was made with, so that all of them are known before the first one is sent.
 *
 * Layouts: linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/fib_rules.h, linux/pkt_sched.h.
 * Numbers are the machine's own order, little-endian on both architectures; addresses are bytes of the network's.
 *
 * @module
 */

export const NETLINK_ROUTE = 0;

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_NEWNEIGH = 28;
export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_NEWQDISC = 36;
export const RTM_DELQDISC = 37;

export const NLM_F_REQUEST = 0x001;
export const NLM_F_ACK = 0x004;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;

/** `struct nlmsghdr`: u32, u16, u16, u32, u32. */
export const NLMSGHDR = { length: 0, type: 4, flags: 6, sequence: 8, port: 12, SIZE: 16 } as const;
/** `struct nlmsgerr` behind the header of an answer: the error as a negative s32, then the request's header. */
export const NLMSGERR = { error: NLMSGHDR.SIZE, SIZE: NLMSGHDR.SIZE + 4 + NLMSGHDR.SIZE } as const;

/** The table of routes that is asked where no rule says another. */
export const RT_TABLE_MAIN = 254;

const IFF_UP = 1;
const AF_UNSPEC = 0;
const AF_INET = 2;
const AF_INET6 = 10;

const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  MASTER: 10,
  LINKINFO: 18,
  NET_NS_FD: 28,
} as const;
const [IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER] = [1, 2, 1];
const IFA = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const;
const IFA_F_NODAD = 2;
const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PRIORITY: 6, TABLE: 15 } as const;
const [RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RTPROT_STATIC] = [0, 253, 4];
const ROUTE_TYPES = { unicast: 1, blackhole: 6, unreachable: 7 } as const;
const FRA = { DST: 1, SRC: 2, IIFNAME: 3, PRIORITY: 6, TABLE: 15, OIFNAME: 17 } as const;
const RULE_ACTIONS = { table: 1, blackhole: 6, unreachable: 7 } as const;
const [TCA_KIND, TCA_OPTIONS, TC_H_ROOT] = [1, 2, 0xffffffff];
const [TCA_TBF_PARMS, TCA_TBF_RATE64, TCA_TBF_BURST, TC_LINKLAYER_ETHERNET] = [1, 4, 6, 1];
const [TCA_NETEM_LATENCY64] = [10];

const encoder = new TextEncoder();

/** An IPv4 or IPv6 address: 4 or 16 bytes. */
export type AddressBytes = Uint8Array;

/** An attribute: its length and type (u16 each), its value, and zeros up to a multiple of four. */
function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array((4 + value.length + 3) & ~3);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + value.length, true);
  view.setUint16(2, type, true);
  bytes.set(value, 4);
  return bytes;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function nested(type: number, ...attributes: readonly Uint8Array[]): Uint8Array {
  return attribute(type, join(attributes));
}

function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => view.setUint32(index * 4, value >>> 0, true));
  return bytes;
}

function number64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

function word(type: number, value: number): Uint8Array {
  return attribute(type, words(value));
}

function text(type: number, value: string): Uint8Array {
  return attribute(type, encoder.encode(`${value}\0`));
}

function message(type: number, flags: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = join(parts);
  const bytes = new Uint8Array(NLMSGHDR.SIZE + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(NLMSGHDR.length, bytes.length, true);
  view.setUint16(NLMSGHDR.type, type, true);
  view.setUint16(NLMSGHDR.flags, NLM_F_REQUEST | NLM_F_ACK | flags, true);
  bytes.set(body, NLMSGHDR.SIZE);
  return bytes;
}

function familyOf(address: AddressBytes): number {
  return address.length === 4 ? AF_INET : AF_INET6;
}

/** What a link is to be; what is left out stays as it is. */
export interface LinkSettings {
  readonly name?: string;
  readonly up?: boolean;
  readonly mtuBytes?: number;
  /** Six bytes. */
  readonly mac?: Uint8Array;
  /** The index of the bridge that it becomes a port of. */
  readonly master?: number;
}

/** `struct ifinfomsg`: u8 family, u8, u16 type, s32 index, u32 flags, u32 change. */
function linkHeader(index: number, up: boolean | undefined): Uint8Array {
  const flags = up === true ? IFF_UP : 0;
  return words(AF_UNSPEC, index, flags, up === undefined ? 0 : IFF_UP);
}

function linkAttributes({ name, mtuBytes, mac, master }: LinkSettings): Uint8Array[] {
  return [
    ...(name === undefined ? [] : [text(IFLA.IFNAME, name)]),
    ...(mtuBytes === undefined ? [] : [word(IFLA.MTU, mtuBytes)]),
    ...(mac === undefined ? [] : [attribute(IFLA.ADDRESS, mac)]),
    ...(master === undefined ? [] : [word(IFLA.MASTER, master)]),
  ];
}

/** Makes a bridge with that index. */
export function makeBridge(index: number, settings: LinkSettings): Uint8Array {
  return message(
    RTM_NEWLINK,
    NLM_F_CREATE | NLM_F_EXCL,
    linkHeader(index, settings.up),
    ...linkAttributes(settings),
    nested(IFLA.LINKINFO, text(IFLA_INFO_KIND, "bridge")),
  );
}

/**
 * Makes a pair of virtual Ethernet devices, the other end in another network namespace. The kernel takes the other end's index
 * only where this one is given too (veth_newlink).
 * @returns The message, and where in it the descriptor of that namespace (s32) belongs.
 */
export function makeVeth(
  settings: LinkSettings & { readonly index: number },
  peer: LinkSettings & { readonly index: number },
): { bytes: Uint8Array; namespaceAt: number } {
  const other = nested(
    IFLA_INFO_DATA,
    nested(
      VETH_INFO_PEER,
      linkHeader(peer.index, peer.up),
      ...linkAttributes(peer),
      word(IFLA.NET_NS_FD, 0xffffffff),
    ),
  );
  const bytes = message(
    RTM_NEWLINK,
    NLM_F_CREATE | NLM_F_EXCL,
    linkHeader(settings.index, settings.up),
    ...linkAttributes(settings),
    nested(IFLA.LINKINFO, text(IFLA_INFO_KIND, "veth"), other),
  );
  // the descriptor is the last word of the message
  return { bytes, namespaceAt: bytes.length - 4 };
}

/** Changes the link of that index. */
export function setLink(index: number, settings: LinkSettings): Uint8Array {
  return message(RTM_NEWLINK, 0, linkHeader(index, settings.up), ...linkAttributes(settings));
}

/** Changes the link of that name. */
export function setLinkByName(name: string, settings: Omit<LinkSettings, "name">): Uint8Array {
  return message(RTM_NEWLINK, 0, linkHeader(0, settings.up), text(IFLA.IFNAME, name), ...linkAttributes(settings));
}

/** Removes the link of that name. */
export function deleteLink(name: string): Uint8Array {
  return message(RTM_DELLINK, 0, linkHeader(0, undefined), text(IFLA.IFNAME, name));
}

/** Gives the link of that index an address; the kernel adds the route to its network. No address is probed for first. */
export function addAddress(index: number, address: AddressBytes, prefixBits: number): Uint8Array {
  // struct ifaddrmsg: u8 family, u8 prefix length, u8 flags, u8 scope, u32 index
  const header = new Uint8Array([familyOf(address), prefixBits, 0, RT_SCOPE_UNIVERSE, ...words(index)]);
  return message(
    RTM_NEWADDR,
    NLM_F_CREATE | NLM_F_REPLACE,
    header,
    attribute(IFA.LOCAL, address),
    attribute(IFA.ADDRESS, address),
    ...(address.length === 16 ? [word(IFA.FLAGS, IFA_F_NODAD)] : []),
  );
}

/** A route. */
export interface Route {
  /** Undefined: all there is, of the gateway's or {@linkcode Route.family}'s kind. */
  readonly to?: { readonly address: AddressBytes; readonly prefixBits: number };
  readonly family?: "ipv4" | "ipv6";
  readonly type?: keyof typeof ROUTE_TYPES;
  /** Index of the link that it goes out by. */
  readonly link?: number;
  readonly gateway?: AddressBytes;
  readonly table?: number;
  readonly priority?: number;
}

function routeMessage(type: number, flags: number, route: Route): Uint8Array {
  const { to, gateway, link, table = RT_TABLE_MAIN, priority } = route;
  const sample = gateway ?? to?.address;
  const family = sample === undefined ? (route.family === "ipv6" ? AF_INET6 : AF_INET) : familyOf(sample);
  const kind = ROUTE_TYPES[route.type ?? "unicast"];
  const scope = gateway === undefined && kind === ROUTE_TYPES.unicast ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  // struct rtmsg: u8 family, dst_len, src_len, tos, table, protocol, scope, type; u32 flags
  const header = new Uint8Array([family, to?.prefixBits ?? 0, 0, 0, 0, RTPROT_STATIC, scope, kind, 0, 0, 0, 0]);
  return message(
    type,
    flags,
    header,
    word(RTA.TABLE, table),
    ...(to === undefined ? [] : [attribute(RTA.DST, to.address)]),
    ...(gateway === undefined ? [] : [attribute(RTA.GATEWAY, gateway)]),
    ...(link === undefined ? [] : [word(RTA.OIF, link)]),
    ...(priority === undefined ? [] : [word(RTA.PRIORITY, priority)]),
  );
}

/** Adds a route; the same one once more is none. */
export function addRoute(route: Route): Uint8Array {
  return routeMessage(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);
}

/** Removes a route. */
export function deleteRoute(route: Route): Uint8Array {
  return routeMessage(RTM_DELROUTE, 0, route);
}

/** A rule of policy routing: which table is asked for what comes in by a link. */
export interface Rule {
  readonly family: "ipv4" | "ipv6";
  readonly priority: number;
  readonly fromLink?: string;
  readonly to?: { readonly address: AddressBytes; readonly prefixBits: number };
  readonly action: keyof typeof RULE_ACTIONS;
  /** Of the action `table`. */
  readonly table?: number;
}

function ruleMessage(type: number, flags: number, rule: Rule): Uint8Array {
  const { family, priority, fromLink, to, action, table } = rule;
  // struct fib_rule_hdr: u8 family, dst_len, src_len, tos, table, res1, res2, action; u32 flags
  const kind = family === "ipv4" ? AF_INET : AF_INET6;
  const header = new Uint8Array([kind, to?.prefixBits ?? 0, 0, 0, 0, 0, 0, RULE_ACTIONS[action], 0, 0, 0, 0]);
  return message(
    type,
    flags,
    header,
    word(FRA.PRIORITY, priority),
    ...(fromLink === undefined ? [] : [text(FRA.IIFNAME, fromLink)]),
    ...(to === undefined ? [] : [attribute(FRA.DST, to.address)]),
    ...(table === undefined ? [] : [word(FRA.TABLE, table)]),
  );
}

/** Adds a rule; EEXIST where it is there already. */
export function addRule(rule: Rule): Uint8Array {
  return ruleMessage(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
}

/** Removes a rule. */
export function deleteRule(rule: Rule): Uint8Array {
  return ruleMessage(RTM_DELRULE, 0, rule);
}

/** `struct tcmsg`: u8 family and three more, s32 index, u32 handle, u32 parent, u32. */
function disciplineHeader(index: number, handle: number, parent: number): Uint8Array {
  return words(AF_UNSPEC, index, handle, parent, 0);
}

/** How a link sends. */
export interface Shape {
  /** At most so many bytes a second. */
  readonly bytesPerSecond?: number;
  /** So much later. */
  readonly delayMicroseconds?: number;
  /** So many of all packets not at all: 0 to 1. */
  readonly loss?: number;
}

const TBF_HANDLE = 0x00010000;
const NETEM_HANDLE = 0x00020000;
/** A token bucket has to hold at least one packet, segments of 64 KiB included. */
const LEAST_BURST_BYTES = 128 * 1024;
/** So long a packet may wait in a token bucket. */
const QUEUE_SECONDS = 0.1;
/** The most packets that wait in netem: as many as a fast sender has under way within a long delay. */
const NETEM_PACKETS = 20_000;
/** tc_ratespec.rate of what needs 64 bits. */
const MOST_RATE32 = 0xffffffff;

/** Limits the rate of what a link sends: a token bucket filter (tc-tbf(8)). @param parent Undefined: the link's own. */
export function limitRate(index: number, bytesPerSecond: number, parent?: number): Uint8Array {
  const burst = Math.max(LEAST_BURST_BYTES, Math.ceil(bytesPerSecond / 100));
  const limit = burst + Math.ceil(bytesPerSecond * QUEUE_SECONDS);
  const parameters = new Uint8Array(36);
  const view = new DataView(parameters.buffer);
  // struct tc_tbf_qopt: two struct tc_ratespec of 12 bytes (u8 cell_log, u8 linklayer, u16, s16, u16, u32 rate), u32 limit, buffer, mtu
  parameters[1] = TC_LINKLAYER_ETHERNET;
  view.setUint32(8, Math.min(bytesPerSecond, MOST_RATE32), true);
  view.setUint32(24, Math.min(limit, MOST_RATE32), true);
  return message(
    RTM_NEWQDISC,
    NLM_F_CREATE | NLM_F_REPLACE,
    disciplineHeader(index, TBF_HANDLE, parent ?? TC_H_ROOT),
    text(TCA_KIND, "tbf"),
    nested(
      TCA_OPTIONS,
      attribute(TCA_TBF_PARMS, parameters),
      word(TCA_TBF_BURST, burst),
      ...(bytesPerSecond >= MOST_RATE32 ? [attribute(TCA_TBF_RATE64, number64(BigInt(bytesPerSecond)))] : []),
    ),
  );
}

/** Delays and loses what a link sends (tc-netem(8)). */
export function impair(index: number, { delayMicroseconds = 0, loss = 0 }: Shape, parent?: number): Uint8Array {
  // struct tc_netem_qopt: u32 latency, limit, loss (of 2^32), gap, duplicate, jitter
  const options = words(0, NETEM_PACKETS, Math.round(loss * 0xffffffff), 0, 0, 0);
  return message(
    RTM_NEWQDISC,
    NLM_F_CREATE | NLM_F_REPLACE,
    disciplineHeader(index, NETEM_HANDLE, parent ?? TC_H_ROOT),
    text(TCA_KIND, "netem"),
    attribute(
      TCA_OPTIONS,
      join([options, attribute(TCA_NETEM_LATENCY64, number64(BigInt(Math.round(delayMicroseconds * 1000))))]),
    ),
  );
}

/** Sends as usual again. ENOENT where nothing was changed. */
export function removeDiscipline(index: number): Uint8Array {
  return message(RTM_DELQDISC, 0, disciplineHeader(index, 0, TC_H_ROOT));
}

/** All that shapes what a link sends, in order: the rate first, delay and loss below it. */
export function shapeLink(index: number, shape: Shape): Uint8Array[] {
  const impairs = shape.delayMicroseconds !== undefined || shape.loss !== undefined;
  const messages: Uint8Array[] = [];
  if (shape.bytesPerSecond !== undefined) messages.push(limitRate(index, shape.bytesPerSecond));
  // the only class of a token bucket
  if (impairs) messages.push(impair(index, shape, shape.bytesPerSecond === undefined ? undefined : TBF_HANDLE | 1));
  return messages;
}
