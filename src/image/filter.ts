/**
 * The filters of `images` and `image prune`.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { familiarReference, familiarRepository, parseReference } from "#oci/reference.ts";
import { quote } from "#oci/text.ts";
import type { ContentStore } from "#storage/content.ts";
import { getImage } from "./find.ts";
import type { Image } from "./list.ts";
import { compilePattern } from "./pattern.ts";
import { parsePointInTime } from "./point_in_time.ts";

/** A label that must be there, or must not, with a value or with any. */
export type LabelFilter = { readonly key: string; readonly value: string | undefined; readonly isAbsent: boolean };

/** What was asked for. Labels must all fit; of references one must. */
export type ImageFilter = {
  readonly dangling?: boolean;
  readonly labels: readonly LabelFilter[];
  readonly before?: string;
  readonly since?: string;
  readonly references: readonly string[];
  /** Images made before it, in milliseconds since 1970. */
  readonly untilMs?: number;
};

/** The keys that `images` takes, and those that `image prune` takes (Docker CLI reference). */
export const LIST_FILTERS: readonly string[] = ["dangling", "label", "label!", "before", "since", "reference", "until"];
export const PRUNE_FILTERS: readonly string[] = ["dangling", "label", "label!", "until"];

/**
 * Reads filters as they were typed: `dangling=true`, `label=a`, `label=a=b`, `label!=a`, `until=24h`.
 * @throws {DugoutError} FILTER_INVALID
 */
export function parseImageFilters(texts: readonly string[], allowed: readonly string[], nowMs: number): ImageFilter {
  const labels: LabelFilter[] = [];
  const references: string[] = [];
  let rest: { dangling?: boolean; before?: string; since?: string; untilMs?: number } = {};
  for (const text of texts) {
    const equals = text.indexOf("=");
    if (equals < 0) throw badFilter(text, 'it has no "="');
    const key = text.slice(0, equals).trim().toLowerCase();
    const value = text.slice(equals + 1).trim();
    if (!allowed.includes(key)) throw badFilter(text, `the filters here are ${allowed.join(", ")}`);
    switch (key) {
      case "dangling":
        rest = { ...rest, dangling: parseBoolean(text, value) };
        break;
      case "label":
      case "label!": {
        const [name = "", ...values] = value.split("=");
        labels.push({
          key: name,
          value: values.length === 0 ? undefined : values.join("="),
          isAbsent: key === "label!",
        });
        break;
      }
      case "before":
        rest = { ...rest, before: value };
        break;
      case "since":
        rest = { ...rest, since: value };
        break;
      case "until":
        rest = { ...rest, untilMs: parsePointInTime(value, nowMs) };
        break;
      case "reference":
        references.push(value);
        break;
    }
  }
  return { labels, references, ...rest };
}

function parseBoolean(text: string, value: string): boolean {
  // as Go's strconv.ParseBool, which Docker uses
  if (["1", "t", "T", "true", "TRUE", "True"].includes(value)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(value)) return false;
  throw badFilter(text, "it is true or false");
}

function badFilter(text: string, why: string): DugoutError {
  return new DugoutError("FILTER_INVALID", `Cannot use the filter ${quote(text)}: ${why}`, { exitCode: 1 });
}

/**
 * The images that fit, in the order they came.
 * @throws {DugoutError} IMAGE_UNKNOWN for an image of `before` or `since`; FILTER_INVALID for a pattern.
 */
export function filterImages(store: ContentStore, images: readonly Image[], filter: ImageFilter): Image[] {
  const beforeMs = filter.before === undefined ? undefined : getImage(store, filter.before).createdMs ?? 0;
  const sinceMs = filter.since === undefined ? undefined : getImage(store, filter.since).createdMs ?? 0;
  const patterns = filter.references.map(compilePattern);
  return images.filter((image) => {
    const createdMs = image.createdMs ?? 0;
    return (filter.dangling === undefined || isDangling(image) === filter.dangling) &&
      filter.labels.every((label) => hasLabel(image, label)) &&
      (beforeMs === undefined || createdMs < beforeMs) &&
      (sinceMs === undefined || createdMs > sinceMs) &&
      (filter.untilMs === undefined || createdMs < filter.untilMs) &&
      (patterns.length === 0 || fitsReference(image, patterns));
  });
}

/** No tag leads to it; a digest alone does not count (Docker's rule). */
export function isDangling(image: Image): boolean {
  return image.names.length === 0;
}

function hasLabel(image: Image, { key, value, isAbsent }: LabelFilter): boolean {
  const found = image.config.config.Labels?.get(key);
  return (found !== undefined && (value === undefined || found === value)) !== isAbsent;
}

/** Docker matches a pattern against the short name, with its tag and without. */
function fitsReference(image: Image, patterns: readonly ((text: string) => boolean)[]): boolean {
  const texts = [...image.names, ...image.digests].flatMap((name) => {
    const reference = parseReference(name);
    return [familiarReference(reference), familiarRepository(reference)];
  });
  return patterns.some((pattern) => texts.some(pattern));
}
