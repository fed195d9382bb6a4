/**
 * The filters of `events` (Docker's). Values of one key are alternatives, but labels must all fit; all keys must fit.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import type { EngineEvent } from "./events.ts";
import { hasLabel } from "../describe/filter_containers.ts";

type Test = (event: EngineEvent, values: readonly string[]) => boolean;

const TESTS: ReadonlyMap<string, Test> = new Map<string, Test>([
  ["type", ({ type }, values) => values.includes(type)],
  // exec events name their command behind a colon: `exec_start: sh`
  ["event", ({ action }, values) => values.some((value) => action === value || action.startsWith(`${value}:`))],
  ["container", (event, values) => fitsName(event, values)],
  ["volume", ({ type, id }, values) => type === "volume" && values.some((value) => id.startsWith(value))],
  ["network", (event, values) => event.type === "network" && fitsName(event, values)],
  ["image", fitsImage],
  ["label", ({ attributes }, values) => values.every((value) => hasLabel(attributes, value))],
  ["scope", (_, values) => values.includes("local")],
]);

/**
 * Reads filters as they were typed: `event=die`, `label=a=b`.
 * @throws {DugoutError} FILTER_INVALID.
 */
export function compileEventFilter(texts: readonly string[]): (event: EngineEvent) => boolean {
  const filter = new Map<string, string[]>();
  for (const text of texts) {
    const equals = text.indexOf("=");
    const key = text.slice(0, Math.max(equals, 0)).trim().toLowerCase();
    if (!TESTS.has(key)) {
      throw new DugoutError(
        "FILTER_INVALID",
        `Cannot use the filter ${quote(text)}: the filters here are ${
          [...TESTS.keys()].map((k) => `${k}=`).join(", ")
        }`,
        { exitCode: 1 },
      );
    }
    filter.set(key, [...filter.get(key) ?? [], text.slice(equals + 1).trim()]);
  }
  return (event) => [...filter].every(([key, values]) => TESTS.get(key)!(event, values));
}

/** By name, id, or the beginning of either, as Docker has it. */
function fitsName({ id, attributes }: EngineEvent, values: readonly string[]): boolean {
  return values.some((value) => id.startsWith(value) || attributes.get("name")?.startsWith(value) === true);
}

/** By id or name, with or without its tag: of an image's own events, and of those of its containers. */
function fitsImage({ type, id, attributes }: EngineEvent, values: readonly string[]): boolean {
  const name = attributes.get(type === "image" ? "name" : "image") ?? "";
  return values.some((value) => [id, name, withoutTag(id), withoutTag(name)].includes(value));
}

function withoutTag(name: string): string {
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/") ? name.slice(0, colon) : name;
}
