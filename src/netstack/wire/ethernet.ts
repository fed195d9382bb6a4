/**
 * Ethernet II frames (RFC 894, RFC 2464). VLAN tags are frames of an unknown type.
 *
 * @module
 */
import type { IpAddress } from "../ip_address.ts";
import type { Memory } from "../memory.ts";

/** Layout of the header; the type is big-endian. */
export const ETHERNET = { destination: 0, source: 6, type: 12, SIZE: 14 } as const;

export const MAC_BYTES = 6;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;

/** Writes the header of a frame from one station to another. */
export function writeEthernet(
  { bytes, view }: Memory,
  at: number,
  destination: Uint8Array,
  source: Uint8Array,
  type: number,
): void {
  for (let i = 0; i < MAC_BYTES; i++) {
    bytes[at + ETHERNET.destination + i] = destination[i]!;
    bytes[at + ETHERNET.source + i] = source[i]!;
  }
  view.setUint16(at + ETHERNET.type, type);
}

/** Whether the address at `at` is of a group: broadcast or multicast (IEEE 802, the I/G bit). */
export function isGroupMac(bytes: Uint8Array, at: number): boolean {
  return (bytes[at]! & 1) === 1;
}

/** Whether six bytes in memory are that address. */
export function isMac(bytes: Uint8Array, at: number, mac: Uint8Array): boolean {
  for (let i = 0; i < MAC_BYTES; i++) if (bytes[at + i] !== mac[i]) return false;
  return true;
}

/** Copies an address out of a frame, into an array that stays. */
export function copyMac(bytes: Uint8Array, at: number, into: Uint8Array): void {
  for (let i = 0; i < MAC_BYTES; i++) into[i] = bytes[at + i]!;
}

/** The group address that IPv6 multicast to `address` is sent to (RFC 2464 §7). */
export function multicastMac({ d }: IpAddress): Uint8Array {
  return Uint8Array.of(0x33, 0x33, d >>> 24, (d >>> 16) & 255, (d >>> 8) & 255, d & 255);
}
