/**
 * A frame that came from a container, as it lies in memory. There is one record of it, filled again for each frame by
 * `wire/read_frame.ts`, which has checked every length against the bytes that came: whoever reads at these offsets, up to
 * `end`, reads bytes of this frame and of no other.
 *
 * @module
 */
import { type IpHeader, makeIpHeader } from "./wire/ip.ts";

export interface Frame extends IpHeader {
  /** Where it came in: an index of the stack's links. */
  link: number;
  /** Offset of the Ethernet header, in the stack's memory. */
  start: number;
  /** `ETHERTYPE_*`, of the Ethernet header. Of what is not IP, only `start` and `end` mean something beside it. */
  etherType: number;
  /**
   * Whether the transport checksum need not be looked at: the vnet header says that it has not been filled in yet
   * (VIRTIO_NET_HDR_F_NEEDS_CSUM) or was seen to be right.
   */
  checksumIsGood: boolean;
  /** Bytes of payload a segment, when the container's kernel left segmentation to us (TSO, USO); otherwise 0. */
  segmentSizeBytes: number;
}

export function makeFrame(): Frame {
  return { ...makeIpHeader(), link: 0, start: 0, etherType: 0, checksumIsGood: false, segmentSizeBytes: 0 };
}
