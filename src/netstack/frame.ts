/**
 * A frame that came from a container, as it lies in memory. There is one record of it, filled again for each frame by
 * `wire/`, which has checked every length against the bytes that came: whoever reads at these offsets, up to `end`, reads
 * bytes of this frame and of no other.
 *
 * @module
 */
import { type Family, type IpAddress, makeAddress } from "./ip_address.ts";

export interface Frame {
  /** Where it came in: an index of the stack's links. */
  link: number;
  /** Offset of the Ethernet header, in the stack's memory. */
  start: number;
  /** Offset behind the last byte: of the datagram, once its header was read; padding of the Ethernet frame is cut. */
  end: number;
  /** `ETH_P_*`, of the Ethernet header. */
  etherType: number;
  family: Family;
  /** Offset of the IP header. */
  network: number;
  /** Offset behind the IP header, its options and extension headers: the header of TCP, UDP or ICMP. */
  transport: number;
  /** `IPPROTO_*` of what stands at `transport`. */
  protocol: number;
  /** Time to live, or hop limit. */
  hopLimit: number;
  source: IpAddress;
  destination: IpAddress;
  /**
   * Whether the transport checksum need not be looked at: the vnet header says that it has not been filled in yet
   * (VIRTIO_NET_HDR_F_NEEDS_CSUM) or was seen to be right.
   */
  checksumIsGood: boolean;
  /** Bytes of payload a segment, when the container's kernel left segmentation to us (TSO, USO); otherwise 0. */
  segmentSizeBytes: number;
}

export function makeFrame(): Frame {
  return {
    link: 0,
    start: 0,
    end: 0,
    etherType: 0,
    family: 4,
    network: 0,
    transport: 0,
    protocol: 0,
    hopLimit: 0,
    source: makeAddress(),
    destination: makeAddress(),
    checksumIsGood: false,
    segmentSizeBytes: 0,
  };
}
