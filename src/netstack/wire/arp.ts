/**
 * ARP for IPv4 over Ethernet (RFC 826).
 *
 * @module
 */
import { ETHERTYPE_IPV4, isGroupMac, MAC_BYTES } from "./ethernet.ts";
import type { Memory } from "../memory.ts";
import type { Fault } from "./fault.ts";

export const ARP = {
  hardware: 0,
  protocol: 2,
  hardwareSize: 4,
  protocolSize: 5,
  operation: 6,
  senderMac: 8,
  senderIp: 14,
  targetMac: 18,
  targetIp: 24,
  SIZE: 28,
} as const;

const HARDWARE_ETHERNET = 1;
export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

/** Checks a packet from `at` to `end`; its fields are then read at their places. */
export function checkArp({ bytes, view }: Memory, at: number, end: number): Fault | undefined {
  if (end - at < ARP.SIZE) return "truncated";
  if (view.getUint16(at + ARP.hardware) !== HARDWARE_ETHERNET) return "unknown";
  if (view.getUint16(at + ARP.protocol) !== ETHERTYPE_IPV4) return "unknown";
  if (bytes[at + ARP.hardwareSize] !== MAC_BYTES || bytes[at + ARP.protocolSize] !== 4) return "malformed";
  const operation = view.getUint16(at + ARP.operation);
  if (operation !== ARP_REQUEST && operation !== ARP_REPLY) return "unknown";
  return isGroupMac(bytes, at + ARP.senderMac) ? "malformed" : undefined;
}

/**
 * Writes a request or a reply.
 * @param senderIp IPv4 addresses are numbers, 0…2^32−1.
 * @param targetMac Zeros in a request.
 */
export function writeArp(
  { bytes, view }: Memory,
  at: number,
  operation: number,
  senderMac: Uint8Array,
  senderIp: number,
  targetMac: Uint8Array,
  targetIp: number,
): void {
  view.setUint16(at + ARP.hardware, HARDWARE_ETHERNET);
  view.setUint16(at + ARP.protocol, ETHERTYPE_IPV4);
  bytes[at + ARP.hardwareSize] = MAC_BYTES;
  bytes[at + ARP.protocolSize] = 4;
  view.setUint16(at + ARP.operation, operation);
  for (let i = 0; i < MAC_BYTES; i++) {
    bytes[at + ARP.senderMac + i] = senderMac[i]!;
    bytes[at + ARP.targetMac + i] = targetMac[i]!;
  }
  view.setUint32(at + ARP.senderIp, senderIp);
  view.setUint32(at + ARP.targetIp, targetIp);
}
