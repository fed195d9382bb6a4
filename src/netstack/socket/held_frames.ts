/**
 * Frames that wait until their destination's station is known: a few short ones, so that the first datagram to a container that
 * has just started is not lost. The newest push out the oldest.
 *
 * @module
 */
import type { Device } from "../device/device.ts";
import type { Memory } from "../memory.ts";
import { ETHERNET } from "../wire/ethernet.ts";
import { VNET } from "../wire/vnet.ts";
import type { Neighbour } from "./neighbour_entries.ts";

const FRAMES = 32;
const FRAME_BYTES = 2048;
/** What {@linkcode makeHeldFrames} is given. */
export const HELD_SPACE_BYTES = FRAMES * FRAME_BYTES;

export interface HeldFrames {
  /** Copies a frame. @returns False when it is too long. */
  hold(neighbour: Neighbour, at: number, length: number): boolean;
  /** Sends what waits for a neighbour, in order. */
  release(neighbour: Neighbour, device: Device): void;
  forget(neighbour: Neighbour): void;
}

/** @param base Offset of HELD_SPACE_BYTES. */
export function makeHeldFrames({ bytes }: Memory, base: number): HeldFrames {
  const waiting = Array.from({ length: FRAMES }, (): { neighbour: Neighbour | undefined; length: number } => ({
    neighbour: undefined,
    length: 0,
  }));
  let next = 0;
  return {
    hold(neighbour, at, length) {
      if (length > FRAME_BYTES) return false;
      const frame = waiting[next]!;
      frame.neighbour = neighbour;
      frame.length = length;
      bytes.copyWithin(base + next * FRAME_BYTES, at, at + length);
      next = (next + 1) % FRAMES;
      return true;
    },
    release(neighbour, device) {
      for (let i = 0; i < FRAMES; i++) {
        const place = (next + i) % FRAMES;
        const frame = waiting[place]!;
        if (frame.neighbour !== neighbour) continue;
        frame.neighbour = undefined;
        const at = base + place * FRAME_BYTES;
        bytes.set(neighbour.mac, at + VNET.SIZE + ETHERNET.destination);
        device.transmit(at, frame.length, 0, 0, 0, 0);
      }
    },
    forget(neighbour) {
      for (const frame of waiting) if (frame.neighbour === neighbour) frame.neighbour = undefined;
    },
  };
}
