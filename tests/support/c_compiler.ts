import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The first of these C compilers that is there. */
export function findCompiler(...names: string[]): string | undefined {
  return names.find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);
}

/** The C compilers of both architectures, as far as they are there. */
export function findCompilers(): string[] {
  return [findCompiler("cc", "gcc", "clang"), findCompiler("aarch64-linux-gnu-gcc")].filter((name) =>
    name !== undefined
  );
}

/** A skip reason where there is no C compiler. */
export const NEEDS_COMPILER: string | false = findCompilers().length === 0 ? "needs a C compiler" : false;

/** Compiles C source, and does not link it. Fails the test with the compiler's words where it does not compile. */
export function compileC(compiler: string, source: string, flags: readonly string[] = []): void {
  const folder = mkdtempSync(join(tmpdir(), "dugout-c-"));
  try {
    const file = join(folder, "test.c");
    writeFileSync(file, source);
    const { status, stderr } = spawnSync(compiler, ["-std=gnu11", "-c", "-o", "/dev/null", ...flags, file], {
      encoding: "utf8",
    });
    assert.equal(status, 0, `${compiler}: ${stderr}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A line of C that does not compile where two numbers differ. */
export function assertEqualInC(expression: string, value: number | bigint, name = expression): string {
  return `_Static_assert((unsigned long long)(${expression}) == ${BigInt.asUintN(64, BigInt(value))}ULL, ${
    JSON.stringify(`${name} is not ${value}`)
  });`;
}
