/**
 * What all generated services share: the sections of the file kept as they are, ours added, references between files
 * turned into those of services.
 *
 * @module
 */
import { quadletError } from "./error.ts";
import { encodeCommand } from "./exec_line.ts";
import { installLinks } from "./install_section.ts";
import { checkQuadletSection } from "./keys.ts";
import { kindOf, type QuadletContext, type Service, type Source, stemOf } from "./source.ts";
import { type Entry, lastEntry, type UnitFile } from "./unit_file.ts";

/** Keys of `[Unit]` that name other units. */
const REFERENCES: ReadonlySet<string> = new Set([
  "Wants",
  "Requires",
  "Requisite",
  "BindsTo",
  "PartOf",
  "Upholds",
  "Conflicts",
  "Before",
  "After",
]);

/** What a file's own section says about its service. */
export interface ServiceParts {
  /** `web.service`. */
  readonly name: string;
  /** Services that it needs, which start before it. */
  readonly needs: readonly string[];
  /** Lines for `[Service]`, in front of the file's own, which win. */
  readonly defaults: readonly (readonly [key: string, value: string])[];
  /** Lines behind them. */
  readonly lines: readonly (readonly [key: string, value: string])[];
}

/** Puts a service together. */
export function makeService(source: Source, context: QuadletContext, parts: ServiceParts): Service {
  checkQuadletSection(source.unit);
  const section = ownSection(source);
  const unit: UnitFile = new Map();
  for (const [name, entries] of source.unit) {
    // systemd passes over sections whose name begins with X-: the file can be read in its service
    if (name === section || name === "Quadlet") unit.set(`X-${name}`, [...entries]);
    else if (name === "Unit") unit.set(name, entries.map((entry) => resolveReferences(entry, context)));
    else unit.set(name, [...entries]);
  }
  const made = (key: string, value: string): Entry => ({ key, value, path: source.path, line: 0 });
  const unitEntries = unit.get("Unit") ?? [];
  const own = unit.get("Service") ?? [];
  unit.set("Unit", [
    made("SourcePath", escapePath(source.path)),
    ...parts.needs.flatMap((service) => [made("Requires", service), made("After", service)]),
    ...unitEntries,
  ]);
  unit.set("Service", [
    ...parts.defaults.filter(([key]) => lastEntry(own, key) === undefined).map(([key, value]) => made(key, value)),
    ...own,
    ...parts.lines.map(([key, value]) => made(key, value)),
  ]);
  return { name: parts.name, unit, links: installLinks(parts.name, source.unit) };
}

/** `Container` of `web.container`. */
export function ownSection({ kind }: Pick<Source, "kind">): string {
  return kind[0]!.toUpperCase() + kind.slice(1);
}

/** A command of ours as a line of `[Service]`. Its words come from the author of the file. */
export function commandLine(context: QuadletContext, words: readonly string[]): string {
  const program = encodeCommand(context.program, "literal");
  return words.length === 0 ? program : `${program} ${encodeCommand(words, "template")}`;
}

/** A path in a unit: `%` stands for itself. */
function escapePath(path: string): string {
  return path.replaceAll("%", "%%").replaceAll(/[\n\r]/g, "?");
}

/** `After=db.container` becomes `After=db.service`. */
function resolveReferences(entry: Entry, context: QuadletContext): Entry {
  if (!REFERENCES.has(entry.key)) return entry;
  const value = entry.value.split(/[ \t]+/).map((name) => {
    const kind = kindOf(name);
    if (kind === undefined) return name;
    const resource = context.resources.get(name);
    if (resource === undefined) {
      throw quadletError(entry.path, entry.line, `${entry.key}= names ${name}, which is not there`);
    }
    return resource.service;
  }).join(" ");
  return { ...entry, value };
}

/** The service that a file becomes, unless it names another: `web.service`, `data-volume.service`. */
export function serviceName(source: Pick<Source, "file" | "kind">, named: string | undefined): string {
  if (named !== undefined) return `${named}.service`;
  const stem = stemOf(source.file);
  return source.kind === "container" ? `${stem}.service` : `${stem}-${source.kind}.service`;
}
