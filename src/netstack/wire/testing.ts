/** A generator of 32-bit numbers from a seed (xorshift32), for tests that must run again as they ran. */
export function makeRandom(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
