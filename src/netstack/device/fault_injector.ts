/**
 * A device that loses and doubles frames, by chance: for tests against the kernel's own TCP.
 *
 * @module
 */
import type { Device } from "./device.ts";

/** Chances of 0 to 1, of each frame, both ways. */
export interface Faults {
  loss: number;
  duplication: number;
}

export function injectFaults(device: Device, faults: Faults, random: () => number): Device {
  const chance = (probability: number) => probability > 0 && random() < probability * 2 ** 32;
  return {
    receive(offset) {
      let length = device.receive(offset);
      while (length > 0 && chance(faults.loss)) length = device.receive(offset);
      return length;
    },
    transmit(headers, headersLength, payload, payloadLength, rest, restLength) {
      if (chance(faults.loss)) return headersLength + payloadLength + restLength;
      if (chance(faults.duplication)) device.transmit(headers, headersLength, payload, payloadLength, rest, restLength);
      return device.transmit(headers, headersLength, payload, payloadLength, rest, restLength);
    },
  };
}
