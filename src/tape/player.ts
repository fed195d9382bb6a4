import type { Arch } from "#linux/syscall_numbers.ts";
import { PLAYER_BYTES } from "./player/bytes.ts";

/** The player's executable for an architecture, a static ELF of about 1.5 KB (`player/player.c`). */
export function playerBytes(arch: Arch): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(PLAYER_BYTES[arch], "base64"));
}
