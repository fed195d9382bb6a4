/**
 * Writes what passes a device to files in pcap's format (draft-ietf-opsawg-pcap; tcpdump and Wireshark read it): frames as they
 * come, so large ones may stand for many, and those that containers of this machine send have no checksums yet.
 *
 * @module
 */
import type { Memory } from "../memory.ts";
import { ETHERNET, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../wire/ethernet.ts";
import { type IpAddress, isIpv4 } from "../ip_address.ts";
import { readAddress4, readAddress6 } from "../wire/ip.ts";
import { IPV4 } from "../wire/ipv4.ts";
import { IPV6 } from "../wire/ipv6.ts";
import { makeAddress, sameAddress } from "../ip_address.ts";
import { type Device, FRAME_SPACE, VNET_HEADER_SIZE } from "./device.ts";

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const LINKTYPE_ETHERNET = 1;
const RECORD_BYTES = 16;

/** The beginning of a file. */
export function pcapHeader(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC_MICROSECONDS, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, FRAME_SPACE, true);
  view.setUint32(20, LINKTYPE_ETHERNET, true);
  return bytes;
}

/** One who wants to see frames. */
export interface Tracer {
  /** Only frames from or to these addresses, and ARP; none: all. */
  readonly addresses: readonly IpAddress[];
  /** Takes one record, whole. */
  write(record: Uint8Array<ArrayBuffer>): void;
}

/** The device, whose frames `tracers` see; while there are none it costs one comparison a frame. */
export function traceDevice(
  device: Device,
  memory: Memory,
  tracers: ReadonlySet<Tracer>,
  timeMicroseconds: () => number,
): Device {
  const tell = (frame: Uint8Array<ArrayBuffer>) => {
    for (const tracer of tracers) if (isWanted(frame, tracer.addresses)) tracer.write(frame);
  };
  return {
    receive(offset) {
      const length = device.receive(offset);
      if (tracers.size > 0 && length > VNET_HEADER_SIZE) {
        const record = startRecord(length - VNET_HEADER_SIZE, timeMicroseconds());
        record.set(memory.bytes.subarray(offset + VNET_HEADER_SIZE, offset + length), RECORD_BYTES);
        tell(record);
      }
      return length;
    },
    transmit(headers, headersLength, payload, payloadLength, rest, restLength) {
      if (tracers.size > 0) {
        const length = headersLength - VNET_HEADER_SIZE + payloadLength + restLength;
        const record = startRecord(length, timeMicroseconds());
        const { bytes } = memory;
        record.set(bytes.subarray(headers + VNET_HEADER_SIZE, headers + headersLength), RECORD_BYTES);
        const behind = RECORD_BYTES + headersLength - VNET_HEADER_SIZE;
        record.set(bytes.subarray(payload, payload + payloadLength), behind);
        record.set(bytes.subarray(rest, rest + restLength), behind + payloadLength);
        tell(record);
      }
      return device.transmit(headers, headersLength, payload, payloadLength, rest, restLength);
    },
  };
}

function startRecord(length: number, timeMicroseconds: number): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(RECORD_BYTES + length);
  const view = new DataView(record.buffer);
  view.setUint32(0, Math.floor(timeMicroseconds / 1e6), true);
  view.setUint32(4, Math.floor(timeMicroseconds % 1e6), true);
  view.setUint32(8, length, true);
  view.setUint32(12, length, true);
  return record;
}

function isWanted(record: Uint8Array<ArrayBuffer>, addresses: readonly IpAddress[]): boolean {
  if (addresses.length === 0) return true;
  const view = new DataView(record.buffer);
  const network = RECORD_BYTES + ETHERNET.SIZE;
  if (record.length < network) return false;
  const type = view.getUint16(RECORD_BYTES + ETHERNET.type);
  if (type === ETHERTYPE_ARP) return true;
  const source = makeAddress();
  const destination = makeAddress();
  if (type === ETHERTYPE_IPV4 && record.length >= network + IPV4.SIZE) {
    readAddress4(view, network + IPV4.source, source);
    readAddress4(view, network + IPV4.destination, destination);
  } else if (type === ETHERTYPE_IPV6 && record.length >= network + IPV6.SIZE) {
    readAddress6(view, network + IPV6.source, source);
    readAddress6(view, network + IPV6.destination, destination);
  } else return false;
  return addresses.some((address) =>
    isIpv4(address) === (type === ETHERTYPE_IPV4) && (sameAddress(address, source) || sameAddress(address, destination))
  );
}
