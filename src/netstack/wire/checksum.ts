/**
 * The Internet checksum (RFC 1071). A *sum* here is a sum of 16-bit words not yet folded, at most 2^31: sums of several
 * pieces may be added, if every piece but the last has an even length.
 *
 * @module
 */

/** Folds a sum to 16 bits: ones' complement addition. */
export function foldSum(sum: number): number {
  let folded = (sum & 0xffff) + (sum >>> 16);
  folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}

/** The checksum to store for a sum. */
export function checksumOf(sum: number): number {
  return ~foldSum(sum) & 0xffff;
}

/**
 * The sum of the bytes from `at` to `end`, folded to 16 bits; a last odd byte counts as the upper half of a word.
 *
 * Words of 32 bits are read as signed ones, which stay machine integers (an unsigned one above 2^31 would be a double),
 * and their halves are added apart: 64 KiB are 16,384 words, so neither half passes 2^30.
 */
export function sumBytes(view: DataView, at: number, end: number): number {
  let high = 0;
  let low = 0;
  let position = at;
  for (const stop = end - 15; position < stop; position += 16) {
    const a = view.getInt32(position);
    const b = view.getInt32(position + 4);
    const c = view.getInt32(position + 8);
    const d = view.getInt32(position + 12);
    high += (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16);
    low += (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff);
  }
  for (; position + 1 < end; position += 2) low += view.getUint16(position);
  if (position < end) low += view.getUint8(position) << 8;
  return foldSum(foldSum(high) + foldSum(low));
}
