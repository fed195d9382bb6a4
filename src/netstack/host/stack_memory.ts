/**
 * Where things lie in the stack's memory: fixed places first, then blocks for rings, to its end.
 *
 * @module
 */
import { type Blocks, makeBlocks, MAX_BLOCK_BYTES } from "../blocks.ts";
import { FRAME_SPACE } from "../device/device.ts";
import { TAP_SCRATCH_BYTES } from "../device/tap.ts";
import { DATAGRAM_SPACE_BYTES } from "../socket/datagram_protocols.ts";
import { HEADER_SPACE } from "../socket/tcp/tcp_state.ts";
import { POLLER_SCRATCH_BYTES } from "./poller.ts";
import { STREAM_SOCKETS_SCRATCH_BYTES } from "./stream_sockets.ts";

export interface StackMemory {
  /** The frame that is being looked at. */
  receive: number;
  tap: number;
  poller: number;
  streams: number;
  tcp: number;
  datagrams: number;
  blocks: Blocks;
}

/** Plans a memory of so many bytes. */
export function planMemory(sizeBytes: number): StackMemory {
  let taken = 0;
  const take = (bytes: number): number => {
    const at = taken;
    taken += Math.ceil(bytes / 64) * 64;
    return at;
  };
  const places = {
    receive: take(FRAME_SPACE),
    tap: take(TAP_SCRATCH_BYTES),
    poller: take(POLLER_SCRATCH_BYTES),
    streams: take(STREAM_SOCKETS_SCRATCH_BYTES),
    tcp: take(HEADER_SPACE),
    datagrams: take(DATAGRAM_SPACE_BYTES),
  };
  const base = Math.ceil(taken / MAX_BLOCK_BYTES) * MAX_BLOCK_BYTES;
  return { ...places, blocks: makeBlocks(base, sizeBytes - base) };
}
