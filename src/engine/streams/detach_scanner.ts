/** What became of bytes that were typed. */
export interface Scan {
  /** What is to be passed on: not the keys, unless they led to nothing. */
  readonly pass: Uint8Array;
  /** Whether the whole sequence was typed; what stands behind it is dropped. */
  readonly detached: boolean;
}

/**
 * Looks for detach keys in what is typed, also where they come in pieces. The beginning of the sequence is held back until
 * the next key tells whether it is one.
 * @param keys Bytes, as `parseDetachKeys` gives them; none: nothing detaches.
 */
export function makeDetachScanner(keys: readonly number[]): (bytes: Uint8Array) => Scan {
  let held = 0;
  return (bytes) => {
    if (keys.length === 0) return { pass: bytes, detached: false };
    const pass: number[] = [];
    for (const byte of bytes) {
      while (held > 0 && byte !== keys[held]) {
        // the longest beginning of the sequence that still ends what was held
        const before = held;
        do held--; while (held > 0 && !keys.slice(before - held, before).every((key, index) => key === keys[index]));
        pass.push(...keys.slice(0, before - held));
      }
      if (byte !== keys[held]) {
        pass.push(byte);
        continue;
      }
      held++;
      if (held === keys.length) {
        held = 0;
        return { pass: Uint8Array.from(pass), detached: true };
      }
    }
    return { pass: Uint8Array.from(pass), detached: false };
  };
}
