/**
 * From the bytes that a device gave to a {@linkcode Frame}: virtio header, Ethernet, IP. Every length is checked against
 * the bytes received; what is wrong is a {@linkcode Fault}, for a counter.
 *
 * @module
 */
import type { Frame } from "../frame.ts";
import { ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6, isGroupMac } from "./ethernet.ts";
import type { Fault } from "./fault.ts";
import { readIpv4 } from "./ipv4.ts";
import { readIpv6 } from "./ipv6.ts";
import type { Memory } from "../memory.ts";
import { checkVnet, isChecksumTrusted, VNET, VNET_GSO_NONE } from "./vnet.ts";

/**
 * Reads a frame.
 * @param at Offset of its virtio header.
 * @param end Offset behind its last byte.
 * @param into Filled but for `link`; of a frame that is not IP, the fields of IP keep what an earlier one had.
 */
export function readFrame({ bytes, view }: Memory, at: number, end: number, into: Frame): Fault | undefined {
  const fault = checkVnet(view, at, end);
  if (fault !== undefined) return fault;
  const start = at + VNET.SIZE;
  // a group does not send
  if (isGroupMac(bytes, start + ETHERNET.source)) return "malformed";
  into.start = start;
  into.end = end;
  into.etherType = view.getUint16(start + ETHERNET.type);
  into.checksumIsGood = isChecksumTrusted(view, at);
  into.segmentSizeBytes = view.getUint8(at + VNET.gsoType) === VNET_GSO_NONE
    ? 0
    : view.getUint16(at + VNET.gsoSize, true);
  const network = start + ETHERNET.SIZE;
  if (into.etherType === ETHERTYPE_IPV4) return readIpv4(view, network, end, into);
  if (into.etherType === ETHERTYPE_IPV6) return readIpv6(view, network, end, into);
  return undefined;
}
