/**
 * The record of a layer: what the archive says and the disk cannot hold. It stands beside the tree, never in it, since
 * the image chooses the names in there.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import * as v from "valibot";
import { DugoutError } from "#oci/error.ts";
import { type ByteString, fromText, toText } from "#tar/bytes.ts";
import { quote } from "#oci/text.ts";

/** A device node, of which the disk has an empty file. */
export type RecordedDevice = { readonly kind: "char" | "block"; readonly major: number; readonly minor: number };

/** What the disk has otherwise than the archive, of one path. Ids are those of the archive. */
export type PathRecord = {
  uid?: number;
  gid?: number;
  /** All of the mode, where the disk lacks its set-id bits. */
  mode?: number;
  device?: RecordedDevice;
  /** Attributes that are not on disk, values in base64. */
  xattrs?: Record<string, string>;
};

/** A layer as it was unpacked. Paths have no slash in front; the root is the empty path. */
export type LayerRecord = {
  readonly diffId: string;
  /** Sizes of its files together, holes included. */
  readonly sizeBytes: number;
  readonly entries: number;
  /** Whether the archive has an entry for the root, so that its mode and owner count. */
  readonly hasRoot: boolean;
  /** Whiteouts and opaque directories that the file system could not hold: overlayfs does not see them. */
  readonly whiteouts: readonly ByteString[];
  readonly opaques: readonly ByteString[];
  /**
   * What only makes sense upon the layers below: whiteouts in directories that this layer has not, and directories that
   * were made up because something lies in them, whose mode and owner are those of the layer below, if it has them.
   */
  readonly detached: readonly ByteString[];
  readonly madeUp: readonly ByteString[];
  readonly paths: ReadonlyMap<ByteString, PathRecord>;
};

/** The version of the file; a higher one is not read. */
const RECORD_VERSION = 1;

/** Names that are no UTF-8 are in base64 behind this. No path begins with it otherwise: it would be coded as well. */
const BASE64 = "base64:";

function spellPath(path: ByteString): string {
  const text = toText(path);
  return text === undefined || text.startsWith(BASE64) ? BASE64 + Buffer.from(path, "latin1").toString("base64") : text;
}

function readPath(text: string): ByteString {
  return text.startsWith(BASE64)
    ? Buffer.from(text.slice(BASE64.length), "base64").toString("latin1") as ByteString
    : fromText(text);
}

/** Spells a record as JSON, a path a line, in the order of the paths: it can be read with `less` and compared. */
export function encodeRecord(record: LayerRecord): string {
  const list = (paths: readonly ByteString[]) => JSON.stringify([...paths].sort().map(spellPath));
  const paths = [...record.paths].sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, one]) => JSON.stringify([spellPath(path), one]));
  return `{"version":${RECORD_VERSION},
"diffId":${JSON.stringify(record.diffId)},
"sizeBytes":${record.sizeBytes},
"entries":${record.entries},
"hasRoot":${record.hasRoot},
"whiteouts":${list(record.whiteouts)},
"opaques":${list(record.opaques)},
"detached":${list(record.detached)},
"madeUp":${list(record.madeUp)},
"paths":[
${paths.join(",\n")}
]}
`;
}

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const PathSchema = v.object({
  uid: v.optional(whole),
  gid: v.optional(whole),
  mode: v.optional(v.pipe(whole, v.maxValue(0o7777))),
  device: v.optional(v.object({ kind: v.picklist(["char", "block"]), major: whole, minor: whole })),
  xattrs: v.optional(v.record(v.string(), v.string())),
});

const RecordSchema = v.object({
  version: v.literal(RECORD_VERSION),
  diffId: v.string(),
  sizeBytes: whole,
  entries: whole,
  hasRoot: v.boolean(),
  whiteouts: v.array(v.string()),
  opaques: v.array(v.string()),
  detached: v.array(v.string()),
  madeUp: v.array(v.string()),
  paths: v.array(v.tuple([v.string(), PathSchema])),
});

/**
 * Reads a record.
 * @param where For messages: the file's path.
 * @throws {DugoutError} STORE_DAMAGED when it is none, or of a newer version.
 */
export function decodeRecord(text: string, where: string): LayerRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(where, error);
  }
  const parsed = v.safeParse(RecordSchema, value);
  if (!parsed.success) throw damaged(where, parsed.issues[0].message);
  const { whiteouts, opaques, detached, madeUp, paths, ...rest } = parsed.output;
  return {
    diffId: rest.diffId,
    sizeBytes: rest.sizeBytes,
    entries: rest.entries,
    hasRoot: rest.hasRoot,
    whiteouts: whiteouts.map(readPath),
    opaques: opaques.map(readPath),
    detached: detached.map(readPath),
    madeUp: madeUp.map(readPath),
    paths: new Map(paths.map(([path, one]) => [readPath(path), one as PathRecord])),
  };
}

function damaged(where: string, cause: unknown): DugoutError {
  return new DugoutError("STORE_DAMAGED", `Cannot use the layer: its record ${quote(where)} cannot be read`, {
    hint: 'Remove the image with "dugout rmi", then pull or load it again',
    cause,
  });
}

/** An attribute's value as a record has it, and back. */
export function spellValue(value: Uint8Array): string {
  return Buffer.from(value).toString("base64");
}

/** The inverse of {@linkcode spellValue}. */
export function readValue(text: string): Uint8Array {
  return Buffer.from(text, "base64");
}

/** The name of an attribute as a record has it: its bytes, as they are no path. */
export function spellXattrName(name: ByteString): string {
  return spellPath(name);
}

/** The inverse of {@linkcode spellXattrName}. */
export function readXattrName(text: string): ByteString {
  return readPath(text);
}
