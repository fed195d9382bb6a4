import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Compares a text with the one in `tests/golden/`, which was reviewed. `UPDATE_GOLDEN=1` writes it anew instead: the diff
 * is then reviewed.
 * @param file Below `tests/golden/`: `tapes/container.txt`.
 * @param actual The text; a newline is put behind it where none is.
 */
export function expectGolden(file: string, actual: string): void {
  const path = join(fileURLToPath(new URL("../golden", import.meta.url).href), file);
  const text = actual.endsWith("\n") ? actual : `${actual}\n`;
  if (process.env["UPDATE_GOLDEN"] === "1") {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return;
  }
  assert.ok(existsSync(path), `tests/golden/${file} is missing: run the test once with UPDATE_GOLDEN=1`);
  const expected = readFileSync(path, "utf8");
  if (text === expected) return;
  const [actualLines, expectedLines] = [text.split("\n"), expected.split("\n")];
  const line = actualLines.findIndex((one, index) => one !== expectedLines[index]);
  const at = line < 0 ? actualLines.length : line;
  assert.fail(
    `tests/golden/${file}, line ${at + 1} (UPDATE_GOLDEN=1 rewrites it)\n  got   ${
      actualLines[at] ?? "the end"
    }\n  want  ${expectedLines[at] ?? "the end"}`,
  );
}
