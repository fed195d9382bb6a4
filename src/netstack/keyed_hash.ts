/**
 * HalfSipHash (Aumasson, Bernstein: SipHash; the form with 32-bit words), one round a word and three at the end, as Linux's
 * `hsiphash` for tables: who does not know the key can neither fill one bucket nor foretell a number.
 *
 * A hash is taken word by word, without an array: `startHash`, `addWord` for each, `endHash`.
 *
 * @module
 */
export interface KeyedHash {
  readonly key0: number;
  readonly key1: number;
  v0: number;
  v1: number;
  v2: number;
  v3: number;
  words: number;
}

export function makeKeyedHash(random: () => number): KeyedHash {
  return { key0: random() | 0, key1: random() | 0, v0: 0, v1: 0, v2: 0, v3: 0, words: 0 };
}

export function startHash(hash: KeyedHash): void {
  hash.v0 = hash.key0;
  hash.v1 = hash.key1;
  hash.v2 = 0x6c796765 ^ hash.key0;
  hash.v3 = 0x74656462 ^ hash.key1;
  hash.words = 0;
}

export function addWord(hash: KeyedHash, word: number): void {
  hash.v3 ^= word;
  mix(hash);
  hash.v0 ^= word;
  hash.words++;
}

/** @returns 32 bits, signed. */
export function endHash(hash: KeyedHash): number {
  const last = (hash.words * 4) << 24;
  hash.v3 ^= last;
  mix(hash);
  hash.v0 ^= last;
  hash.v2 ^= 0xff;
  mix(hash);
  mix(hash);
  mix(hash);
  return hash.v1 ^ hash.v3;
}

function mix(hash: KeyedHash): void {
  let { v0, v1, v2, v3 } = hash;
  v0 = (v0 + v1) | 0;
  v1 = (v1 << 5) | (v1 >>> 27);
  v1 ^= v0;
  v0 = (v0 << 16) | (v0 >>> 16);
  v2 = (v2 + v3) | 0;
  v3 = (v3 << 8) | (v3 >>> 24);
  v3 ^= v2;
  v0 = (v0 + v3) | 0;
  v3 = (v3 << 7) | (v3 >>> 25);
  v3 ^= v0;
  v2 = (v2 + v1) | 0;
  v1 = (v1 << 13) | (v1 >>> 19);
  v1 ^= v2;
  v2 = (v2 << 16) | (v2 >>> 16);
  hash.v0 = v0;
  hash.v1 = v1;
  hash.v2 = v2;
  hash.v3 = v3;
}
