/**
 * Sockets that have more than a turn's share: events come once (edge-triggered), so what is left is gone on with at the end of the
 * turn, in the order in which they were put off.
 *
 * @module
 */
export interface Unfinished {
  /** Puts a socket off, by its key. */
  add(key: number): void;
  readonly isEmpty: boolean;
  /** Goes on with each that was put off until now. */
  goOn(pump: (key: number, nowMs: number) => void, nowMs: number): void;
}

export function makeUnfinished(): Unfinished {
  let keys = new Set<number>();
  let others = new Set<number>();
  return {
    add: (key) => void keys.add(key),
    get isEmpty() {
      return keys.size === 0;
    },
    goOn(pump, nowMs) {
      if (keys.size === 0) return;
      const now = keys;
      keys = others;
      others = now;
      for (const key of now) pump(key, nowMs);
      now.clear();
    },
  };
}
