import { writeJson } from "../template/json.ts";
import { parseTemplate } from "../template/parse.ts";
import { renderTemplate } from "../template/render.ts";

/**
 * Prints objects as `inspect` does: all of them in one JSON list, a JSON line each (`json`), or a template for each.
 * @throws {DugoutError} TEMPLATE.
 */
export function formatObjects(objects: readonly unknown[], format: string | undefined): string {
  if (format === undefined || format === "") return writeJson(objects, { indent: 4 }) + "\n";
  if (format === "json") return writeJson(objects, { indent: 0 }) + "\n";
  const template = parseTemplate(format);
  return objects.map((object) => renderTemplate(template, object) + "\n").join("");
}

/**
 * Prints one object as `info` and `version` do: as text of their own, as a JSON line (`json`), or by a template.
 * @throws {DugoutError} TEMPLATE.
 */
export function formatObject(object: unknown, format: string | undefined, describe: () => string): string {
  if (format === undefined || format === "") return describe();
  if (format === "json") return writeJson(object, { indent: 0 }) + "\n";
  return renderTemplate(parseTemplate(format), object) + "\n";
}
