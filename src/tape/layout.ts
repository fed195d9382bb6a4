/**
 * The tape's layout in memory, shared by the encoder, the printer and the player (`player/player.c`; a test compares
 * the two). All fields are little-endian, as both architectures are.
 *
 *     0      header   magic, count, errorFd, reserved (u32 each), size (u64)
 *     24     records  count × 72 bytes
 *     …      heap     strings, structs and buffers; their addresses are BASE + offset
 *
 * The player maps the tape at BASE, so every address is known when the tape is written and nothing is relocated.
 *
 * @module
 */

/** Where the player maps the tape. Below 4 GiB and far from where a static ELF, its heap and the stack lie. */
export const BASE = 0x20000000;

export const MAGIC = 0x45504154; // "TAPE"

/** `struct header`, offsets in bytes. */
export const HEADER = { magic: 0, count: 4, errorFd: 8, size: 16, SIZE: 24 } as const;

/** `struct record`, offsets in bytes. `arg` is six u64; `only` is the error that a jump on an error is for, 0 for any. */
export const RECORD = { nr: 0, flags: 4, arg: 8, jump: 56, only: 60, result: 64, SIZE: 72 } as const;

/** The file descriptors that the player itself uses. */
export const TAPE_FD = 3;

/** Flags of a record. Bits 0 to 5 say that an argument is the result of the record it numbers. */
export const FLAG = { ignore: 0x100, retry: 0x200, jumpShift: 16 } as const;

/** When a record jumps, by the number in its flags. */
export const JUMPS = ["never", "zero", "nonzero", "error", "always"] as const;
export type JumpWhen = (typeof JUMPS)[number];

/** Records that are no system calls, in the order of their numbers from 0x10000 on. */
export const OPERATIONS = ["store", "load", "alu", "fail", "nop", "same", "decimal"] as const;
export type Operation = (typeof OPERATIONS)[number];
export const FIRST_OPERATION = 0x10000;

/** What the operation `alu` does, in the order of its numbers. */
export const ALU = ["add", "sub", "and", "or", "shr", "eq", "less"] as const;
export type AluName = (typeof ALU)[number];

/** What the player writes to the error descriptor: the failed record's index and its errno, u32 each. */
export const FAILURE = { index: 0, errno: 4, SIZE: 8 } as const;

/** With what a player exits whose tape failed. */
export const EXIT_FAILED = 125;
