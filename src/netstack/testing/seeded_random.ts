/** Numbers from a seed (xorshift128, Marsaglia 2003), for simulations that can be run again. @returns 32 bits, unsigned. */
export function makeSeededRandom(seed: number): () => number {
  let x = seed | 0 || 1;
  let y = 0x6c078965;
  let z = 0x1b873593;
  let w = (seed ^ 0x5bd1e995) | 0;
  const next = () => {
    const t = x ^ (x << 11);
    x = y;
    y = z;
    z = w;
    w = w ^ (w >>> 19) ^ t ^ (t >>> 8);
    return w >>> 0;
  };
  for (let i = 0; i < 20; i++) next();
  return next;
}
