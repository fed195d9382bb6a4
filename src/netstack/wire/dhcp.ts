/**
 * DHCPv4 messages (RFC 2131, options RFC 2132). Options that overflow into `sname` and `file` are not read: no client
 * of an address that is given anyway needs so many.
 *
 * @module
 */
import { MAC_BYTES } from "./ethernet.ts";
import type { Memory } from "../memory.ts";
import type { Fault } from "./fault.ts";

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

/** The fixed part, before the options. */
export const DHCP = {
  operation: 0,
  hardware: 1,
  hardwareSize: 2,
  hops: 3,
  transaction: 4,
  seconds: 8,
  flags: 10,
  clientIp: 12,
  yourIp: 16,
  serverIp: 20,
  relayIp: 24,
  clientMac: 28,
  serverName: 44,
  file: 108,
  cookie: 236,
  options: 240,
} as const;

const REQUEST = 1;
const REPLY = 2;
const COOKIE = 0x63825363;
/** RFC 1542 §2.1: clients may drop what is shorter. */
const MIN_BYTES = 300;

export const DHCP_DISCOVER = 1;
export const DHCP_OFFER = 2;
export const DHCP_REQUEST = 3;
export const DHCP_DECLINE = 4;
export const DHCP_ACK = 5;
export const DHCP_NAK = 6;
export const DHCP_RELEASE = 7;
export const DHCP_INFORM = 8;

const PAD = 0;
const SUBNET_MASK = 1;
const ROUTER = 3;
const DNS_SERVER = 6;
const MTU = 26;
const REQUESTED_IP = 50;
const LEASE_SECONDS = 51;
const MESSAGE_TYPE = 53;
const SERVER_ID = 54;
const END = 255;

/** What a client asks. Addresses are numbers, 0 where there is none. */
export interface DhcpRequest {
  type: number;
  transaction: number;
  /** Whether it cannot yet take what is sent to its own address. */
  wantsBroadcast: boolean;
  clientIp: number;
  requestedIp: number;
  serverId: number;
  readonly mac: Uint8Array;
}

export function makeDhcpRequest(): DhcpRequest {
  return {
    type: 0,
    transaction: 0,
    wantsBroadcast: false,
    clientIp: 0,
    requestedIp: 0,
    serverId: 0,
    mac: new Uint8Array(MAC_BYTES),
  };
}

/** Reads a client's message. One that came through a relay is none of ours: the network has one segment. */
export function readDhcp(
  { bytes, view }: Memory,
  at: number,
  end: number,
  into: DhcpRequest,
): Fault | undefined {
  if (end - at < DHCP.options) return "truncated";
  if (bytes[at + DHCP.operation] !== REQUEST || view.getUint32(at + DHCP.cookie) !== COOKIE) return "unknown";
  if (bytes[at + DHCP.hardware] !== 1 || bytes[at + DHCP.hardwareSize] !== MAC_BYTES) return "unknown";
  if (view.getUint32(at + DHCP.relayIp) !== 0) return "unknown";
  into.type = 0;
  into.transaction = view.getUint32(at + DHCP.transaction);
  into.wantsBroadcast = (view.getUint16(at + DHCP.flags) & 0x8000) !== 0;
  into.clientIp = view.getUint32(at + DHCP.clientIp);
  into.requestedIp = 0;
  into.serverId = 0;
  for (let i = 0; i < MAC_BYTES; i++) into.mac[i] = bytes[at + DHCP.clientMac + i]!;
  for (let position = at + DHCP.options; position < end;) {
    const kind = bytes[position]!;
    if (kind === END) break;
    if (kind === PAD) {
      position += 1;
      continue;
    }
    if (position + 2 > end) return "truncated";
    const length = bytes[position + 1]!;
    const value = position + 2;
    if (value + length > end) return "truncated";
    if (kind === MESSAGE_TYPE && length === 1) into.type = bytes[value]!;
    if (kind === REQUESTED_IP && length === 4) into.requestedIp = view.getUint32(value);
    if (kind === SERVER_ID && length === 4) into.serverId = view.getUint32(value);
    position = value + length;
  }
  return into.type === 0 ? "malformed" : undefined;
}

/** What the server says of a network. */
export interface DhcpOffer {
  readonly serverIp: number;
  readonly subnetMask: number;
  readonly router: number;
  readonly dns: number;
  readonly mtu: number;
  readonly leaseSeconds: number;
}

/**
 * Writes an answer.
 * @param yourIp The client's address; 0 in a NAK, which tells nothing else either.
 * @returns Offset behind it.
 */
export function writeDhcpReply(
  { bytes, view }: Memory,
  at: number,
  type: number,
  request: DhcpRequest,
  yourIp: number,
  offer: DhcpOffer,
): number {
  bytes.fill(0, at, at + MIN_BYTES);
  bytes[at + DHCP.operation] = REPLY;
  bytes[at + DHCP.hardware] = 1;
  bytes[at + DHCP.hardwareSize] = MAC_BYTES;
  view.setUint32(at + DHCP.transaction, request.transaction);
  view.setUint16(at + DHCP.flags, request.wantsBroadcast ? 0x8000 : 0);
  if (type === DHCP_ACK) view.setUint32(at + DHCP.clientIp, request.clientIp);
  view.setUint32(at + DHCP.yourIp, yourIp);
  bytes.set(request.mac, at + DHCP.clientMac);
  view.setUint32(at + DHCP.cookie, COOKIE);
  let position = at + DHCP.options;
  const putByte = (value: number) => bytes[position++] = value;
  const putIp = (kind: number, value: number) => {
    putByte(kind);
    putByte(4);
    view.setUint32(position, value);
    position += 4;
  };
  putByte(MESSAGE_TYPE);
  putByte(1);
  putByte(type);
  putIp(SERVER_ID, offer.serverIp);
  if (type !== DHCP_NAK) {
    // an answer to INFORM gives no lease (RFC 2131 §4.3.5)
    if (request.type !== DHCP_INFORM) putIp(LEASE_SECONDS, offer.leaseSeconds);
    putIp(SUBNET_MASK, offer.subnetMask);
    putIp(ROUTER, offer.router);
    putIp(DNS_SERVER, offer.dns);
    putByte(MTU);
    putByte(2);
    view.setUint16(position, offer.mtu);
    position += 2;
  }
  putByte(END);
  return Math.max(position, at + MIN_BYTES);
}
