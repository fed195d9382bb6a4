import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { assertEqualInC, compileC, findCompilers, NEEDS_COMPILER } from "../../tests/support/c_compiler.ts";
import {
  ALU,
  BASE,
  EXIT_FAILED,
  FIRST_OPERATION,
  FLAG,
  HEADER,
  JUMPS,
  MAGIC,
  OPERATIONS,
  RECORD,
  TAPE_FD,
} from "./layout.ts";

const PLAYER = fileURLToPath(new URL("player/player.c", import.meta.url).href);

/** Compares a table of offsets with a C struct, whose fields have the same names. */
function assertLayout(struct: string, layout: Readonly<Record<string, number>>): string[] {
  return Object.entries(layout).map(([field, offset]) =>
    field === "SIZE"
      ? assertEqualInC(`sizeof(struct ${struct})`, offset)
      : assertEqualInC(`__builtin_offsetof(struct ${struct}, ${field})`, offset)
  );
}

test(
  "the player's structs and numbers are those of the layout, on both architectures",
  { skip: NEEDS_COMPILER },
  () => {
    const upper = (names: readonly string[], prefix: string, first = 0) =>
      names.map((name, index) => assertEqualInC(`${prefix}_${name.toUpperCase()}`, first + index));
    const source = [
      `#include ${JSON.stringify(PLAYER)}`,
      ...assertLayout("header", HEADER),
      ...assertLayout("record", RECORD),
      ...upper(JUMPS, "JUMP"),
      ...upper(OPERATIONS, "OP", FIRST_OPERATION),
      ...upper(ALU, "ALU"),
      assertEqualInC("FLAG_IGNORE", FLAG.ignore),
      assertEqualInC("FLAG_RETRY", FLAG.retry),
      assertEqualInC("BASE", BASE),
      assertEqualInC("MAGIC", MAGIC),
      assertEqualInC("TAPE_FD", TAPE_FD),
      assertEqualInC("EXIT_FAILED", EXIT_FAILED),
    ];
    for (const compiler of findCompilers()) compileC(compiler, source.join("\n"), ["-ffreestanding"]);
  },
);
