/**
 * How long a segment and its acknowledgement take, and how long to wait for one (RFC 6298; clauses in brackets).
 *
 * @module
 */

/** Of Linux, not the second of (2.4): what is behind a link of ours is on the same machine. */
export const MIN_TIMEOUT_MS = 200;
export const MAX_TIMEOUT_MS = 60_000;
/** (2.1) */
export const FIRST_TIMEOUT_MS = 1000;

export interface RoundTrip {
  /** Smoothed; 0 until the first measurement. */
  smoothedMs: number;
  variationMs: number;
  timeoutMs: number;
}

export function makeRoundTrip(): RoundTrip {
  return { smoothedMs: 0, variationMs: 0, timeoutMs: FIRST_TIMEOUT_MS };
}

export function resetRoundTrip(rtt: RoundTrip): void {
  rtt.smoothedMs = 0;
  rtt.variationMs = 0;
  rtt.timeoutMs = FIRST_TIMEOUT_MS;
}

/** Takes a measurement, of a segment that was sent once only (3: Karn's algorithm). */
export function measure(rtt: RoundTrip, sampleMs: number): void {
  if (rtt.smoothedMs === 0) {
    // (2.2)
    rtt.smoothedMs = Math.max(sampleMs, 0.001);
    rtt.variationMs = sampleMs / 2;
  } else {
    // (2.3) in this order: the variation is of the average before
    rtt.variationMs += (Math.abs(rtt.smoothedMs - sampleMs) - rtt.variationMs) / 4;
    rtt.smoothedMs += (sampleMs - rtt.smoothedMs) / 8;
  }
  const timeout = rtt.smoothedMs + Math.max(1, 4 * rtt.variationMs);
  rtt.timeoutMs = Math.min(Math.max(timeout, MIN_TIMEOUT_MS), MAX_TIMEOUT_MS);
}
