import { type HeaderFields, headerValue } from "./http1.ts";

/** What waiting depends on; parameters, so that tests need no time. */
export interface RetryClock {
  /** Milliseconds since 1970. */
  now: () => number;
  /** Waits; ends early, by throwing, when the signal aborts. */
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** In [0, 1). */
  random: () => number;
}

/** How often and how long. */
export const RETRY = {
  attempts: 6,
  firstDelayMs: 500,
  maxDelayMs: 10_000,
  /** The longest that a registry's Retry-After is obeyed. */
  maxRetryAfterMs: 60_000,
} as const;

/** Statuses that may be over a moment later (C-037); all others are the registry's decision. */
export function isTransientStatus(status: number): boolean {
  return status === 429 || status === 500 || status === 502 || status === 503 || status === 504;
}

/**
 * Reads Retry-After (RFC 9110 §10.2.3): seconds or an HTTP date.
 * @returns Milliseconds from `nowMs`, at least 0, not capped; undefined when there is none or it makes no sense.
 */
export function parseRetryAfter(headers: HeaderFields, nowMs: number): number | undefined {
  const value = headerValue(headers, "retry-after")?.trim();
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  // dates end in GMT; Date.parse takes much else, such as "-5"
  if (!/^[A-Za-z]{3,9},? [A-Za-z0-9 :-]{10,30}(GMT)?$/.test(value)) return undefined;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(date - nowMs, 0);
}

/**
 * The wait before another attempt: what the registry asks for, capped, else doubling from half a second, with up to a quarter of chance so
 * that many clients don't come back at once.
 * @param failures How many attempts have failed, from 1.
 */
export function planDelayMs(failures: number, retryAfterMs: number | undefined, random: () => number): number {
  if (retryAfterMs !== undefined) return Math.min(retryAfterMs, RETRY.maxRetryAfterMs);
  const base = Math.min(RETRY.firstDelayMs * 2 ** (failures - 1), RETRY.maxDelayMs);
  return Math.round(base * (1 + random() / 4));
}

/** The real clock. */
export const REAL_CLOCK: RetryClock = {
  now: Date.now,
  random: Math.random,
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const abort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", abort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", abort, { once: true });
    }),
};
