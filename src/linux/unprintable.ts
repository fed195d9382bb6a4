/**
 * Whether a code point must not reach a terminal as it is: C0 and C1 controls, DEL, the bidirectional marks, overrides
 * and isolates (which make text read as other text), line and paragraph separators, the byte order mark, and lone
 * surrogates.
 */
export function isUnprintable(code: number): boolean {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code === 0x061c || code === 0x200e || code === 0x200f ||
    code === 0x2028 || code === 0x2029 || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
    code === 0xfeff || (code >= 0xd800 && code <= 0xdfff);
}
