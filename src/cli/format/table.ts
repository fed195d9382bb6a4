import { displayWidth } from "./width.ts";

/** Docker's columns are at least ten wide, and three spaces apart. */
const MIN_WIDTH = 10;
const GAP = 3;

/**
 * Aligns cells in columns as docker does (Go's tabwriter 10, 1, 3): a cell that ends with a tab is filled up, the last one of a
 * line is not.
 * @param lines Cells separated by tabs.
 */
export function alignTable(lines: readonly string[]): string {
  const rows = lines.map((line) => line.split("\t"));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.slice(0, -1).entries()) {
      widths[i] = Math.max(widths[i] ?? MIN_WIDTH, displayWidth(cell) + GAP);
    }
  }
  return rows.map((row) => {
    const last = row.length - 1;
    return row.map((cell, i) => i === last ? cell : cell + " ".repeat((widths[i] ?? 0) - displayWidth(cell))).join("") +
      "\n";
  }).join("");
}
