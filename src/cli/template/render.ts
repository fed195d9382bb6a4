import { escapeText } from "#oci/text.ts";
import { type ExecuteRules, executeTemplate } from "./execute.ts";
import type { Template } from "./nodes.ts";

/**
 * Runs a template and makes what comes out safe for a terminal: line feeds and tabs stay, since templates are
 * written with them, other control and bidi characters are escaped.
 * @throws {DugoutError} TEMPLATE.
 */
export function renderTemplate(template: Template, data: unknown, rules: ExecuteRules = {}): string {
  return escapeKeepingLines(executeTemplate(template, data, rules));
}

/** Escapes what a terminal could act on, but for line feeds and tabs. */
export function escapeKeepingLines(text: string): string {
  return text.split(/([\n\t])/).map((part) => part === "\n" || part === "\t" ? part : escapeText(part, Infinity)).join(
    "",
  );
}
