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
  const rows = lines.map((line) => line.split("\t").map((text) => ({ text, width: displayWidth(text) })));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.slice(0, -1).entries()) {
      widths[i] = Math.max(widths[i] ?? MIN_WIDTH, cell.width + GAP);
    }
  }
  return rows.map((row) => {
    const last = row.length - 1;
    const cells = row.map(({ text, width }, i) => i === last ? text : text + " ".repeat((widths[i] ?? 0) - width));
    return cells.join("") + "\n";
  }).join("");
}
