/**
 * What carries frames: a tap, or a wire of a simulation; and wrappers of one (pcap, injected faults). A frame begins with
 * `struct virtio_net_hdr`, always.
 *
 * @module
 */

/** `struct virtio_net_hdr` without the count of buffers (linux/virtio_net.h), the size that a tap has unless told otherwise. */
export const VNET_HEADER_SIZE = 10;

/** The most that one frame takes with its vnet header: 64 KiB of IP datagram, Ethernet, and room to spare. */
export const FRAME_SPACE = 65_536 + 64;

export interface Device {
  /**
   * Reads one frame to `offset` of the stack's memory, where FRAME_SPACE bytes are free.
   * @returns Its length with the vnet header, or minus errno (minus EAGAIN when there is none).
   */
  receive(offset: number): number;
  /**
   * Writes one frame that lies in up to three pieces, in order: headers (vnet, Ethernet, IP, transport), and payload that may
   * wrap around a ring. A length of 0 leaves a piece out.
   * @returns 0 or more, or minus errno. What the device cannot take is lost, as on any wire.
   */
  transmit(
    headers: number,
    headersLength: number,
    payload: number,
    payloadLength: number,
    rest: number,
    restLength: number,
  ): number;
}
