/**
 * Messages of rtnetlink(7), as bytes: links, addresses and routes. Nothing is sent here; a
 * message names a link by the index that it was made with, so that all of them are known before the first one is sent.
 *
 * Layouts: linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h.
 * Numbers are the machine's own order, little-endian on both architectures; addresses are bytes of the network's.
 *
 * @module
 */

export const NETLINK_ROUTE = 0;

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_NEWADDR = 20;
export const RTM_NEWROUTE = 24;

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
