/**
 * The known word that a mistyped one most likely meant: at most two edits away (one for words of up to three letters),
 * a swap of neighbours counting as one. The first of several equally near ones.
 */
export function suggestWord(typed: string, known: Iterable<string>): string | undefined {
  if (typed.length > 64) return undefined; // nobody mistypes that; and the distance costs the product of both lengths
  let best: string | undefined;
  let bestDistance = typed.length <= 3 ? 2 : 3;
  for (const word of known) {
    if (Math.abs(word.length - typed.length) >= bestDistance) continue;
    const distance = countEdits(typed, word);
    if (distance < bestDistance) [best, bestDistance] = [word, distance];
  }
  return best;
}

/** Optimal string alignment distance: insertions, deletions, replacements, swaps of neighbours. */
function countEdits(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(edits);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
