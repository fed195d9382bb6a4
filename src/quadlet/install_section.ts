import { entryError, readWords } from "./keys.ts";
import { isUnitName, stemOf, templateOf } from "./source.ts";
import { type Entry, listEntries, type UnitFile } from "./unit_file.ts";

/** Keys of `[Install]` that become links in a directory of the wanting unit. */
const DIRECTORIES: ReadonlyMap<string, string> = new Map([
  ["WantedBy", "wants"],
  ["RequiredBy", "requires"],
  ["UpheldBy", "upholds"],
]);

const KNOWN: ReadonlySet<string> = new Set([...DIRECTORIES.keys(), "Alias", "DefaultInstance", "Also"]);

/**
 * The links that `systemctl enable` would make of `[Install]`, since generated units cannot be enabled.
 * @param service The unit's name; of a template, its default instance is linked, if it names one.
 * @returns Path below the generator's directory → what the link leads to.
 */
export function installLinks(service: string, unit: UnitFile): Map<string, string> {
  const entries = unit.get("Install") ?? [];
  const links = new Map<string, string>();
  for (const entry of entries) {
    if (!KNOWN.has(entry.key)) throw entryError(entry, `there is no key "${entry.key}" in [Install]`);
    if (entry.key === "Also") throw entryError(entry, "Also= cannot be had: generated units are not enabled by name");
  }
  for (const { name } of unitNames(entries, "Alias")) links.set(name, service);
  const wanted = wantedName(service, entries);
  if (wanted === undefined) return links;
  for (const [key, directory] of DIRECTORIES) {
    for (const { name } of unitNames(entries, key)) links.set(`${name}.${directory}/${wanted}`, `../${service}`);
  }
  return links;
}

/** The name under which it is wanted: of a template, its default instance. */
function wantedName(service: string, entries: readonly Entry[]): string | undefined {
  const template = templateOf(stemOf(service));
  if (template === undefined || template.instance !== "") return service;
  const instance = unitNames(entries, "DefaultInstance").at(-1);
  return instance === undefined ? undefined : `${template.prefix}@${instance.name}.service`;
}

function unitNames(entries: readonly Entry[], key: string): { name: string }[] {
  return listEntries(entries, key).flatMap((entry) =>
    readWords(entry).map((name) => {
      if (!isUnitName(name)) throw entryError(entry, `"${name}" cannot be the name of a unit`);
      return { name };
    })
  );
}
