/**
 * Why a packet is dropped, for the counters. Every parser returns one of these, or undefined when all is well: constants,
 * so that a verdict costs no memory.
 */
export type Fault =
  /** Fewer bytes than the header says, or than the header itself takes. */
  | "truncated"
  /** A version, type or fixed field that this protocol does not have, or none of ours. */
  | "unknown"
  /** Lengths, counts or options that contradict each other. */
  | "malformed"
  /** The checksum is wrong. */
  | "checksum"
  /** Allowed by the protocol, and more than we are willing to follow (chains of headers, labels). */
  | "excessive";
