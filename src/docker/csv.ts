/**
 * One record of comma-separated values, as `--mount` and `--network` take it (RFC 4180; Go's encoding/csv): a field
 * that begins with a quote ends with one, and holds commas, newlines and doubled quotes in between.
 *
 * @returns `undefined` when a quote is out of place, or more than one record is there.
 */
export function parseCsvRecord(text: string): string[] | undefined {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      let field = "";
      at++;
      for (;;) {
        const end = text.indexOf('"', at);
        if (end === -1) return undefined;
        field += text.slice(at, end);
        at = end + 1;
        if (text[at] !== '"') break;
        field += '"';
        at++;
      }
      fields.push(field);
      if (at === text.length) return fields;
      if (text[at] !== ",") return undefined;
      at++;
      continue;
    }
    const comma = text.indexOf(",", at);
    const field = text.slice(at, comma === -1 ? text.length : comma);
    if (/["\r\n]/.test(field)) return undefined;
    fields.push(field);
    if (comma === -1) return fields;
    at = comma + 1;
  }
}
