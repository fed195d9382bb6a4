import { escapeText } from "#oci/text.ts";
import { writeJson } from "../template/json.ts";
import { parseTemplate } from "../template/parse.ts";
import { renderTemplate } from "../template/render.ts";
import { alignTable } from "./table.ts";

/** What one thing of a list shows: fields by name, as the templates of docker's lists know them. */
export type Row = Readonly<Record<string, string>>;

export interface ListShape {
  /** What the rows are, for messages: `image`. */
  noun: string;
  /** The heading of every field, in the order of the table for those that it has. */
  headers: Readonly<Record<string, string>>;
  /** The fields of the table when nothing else was asked for. */
  columns: readonly string[];
  /** Without the first line. */
  hasNoHeading?: boolean;
}

/**
 * Prints a list as `--format` asks: `table` (also by default), `table TEMPLATE`, `json` (a line each), or a template for each row.
 * Control characters of the rows are escaped, so that no row can look like another one.
 * @throws {DugoutError} TEMPLATE.
 */
export function formatRows(rows: readonly Row[], shape: ListShape, format: string | undefined): string {
  const wanted = (format ?? "").trim();
  if (wanted === "json") {
    return rows.map((row) => writeJson(sortable(row), { indent: 0, escapesHtml: true }) + "\n").join("");
  }
  if (wanted === "" || wanted === "table") {
    const line = (row: Row): string => shape.columns.map((field) => escapeText(row[field] ?? "", Infinity)).join("\t");
    return alignTable([...(shape.hasNoHeading === true ? [] : [line(shape.headers)]), ...rows.map(line)]);
  }
  const isTable = wanted.startsWith("table");
  // in a shell nobody can type these characters
  const text = (isTable ? wanted.slice("table".length).trim() : wanted).replaceAll("\\t", "\t").replaceAll("\\n", "\n");
  const template = parseTemplate(text);
  const render = (row: Row): string => {
    return renderTemplate(template, sortable(row), {
      describeMissing: (name) =>
        `can't evaluate field ${name} in type ${shape.noun}: it has ${Object.keys(shape.headers).join(", ")}`,
      readText: (value) => escapeText(value, Infinity),
    });
  };
  if (!isTable) return rows.map((row) => render(row) + "\n").join("");
  return alignTable(
    [...(shape.hasNoHeading === true ? [] : [shape.headers]), ...rows].flatMap((row) => render(row).split("\n")),
  );
}

/** Fields in the order of their names, as docker's `{{json .}}` has them. */
function sortable(row: Row): Row {
  return Object.assign(Object.create(null), row);
}
