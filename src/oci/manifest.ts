import * as v from "valibot";
import { annotationsSchema, describeForJson, type Descriptor, descriptorSchema } from "./descriptor.ts";
import { DugoutError } from "./error.ts";
import { encodeJson, isJsonObject, type JsonObject, parseJson } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { isIndexType, isManifestType, isSchema1Type, MEDIA_TYPES } from "./media_types.ts";
import { compact, optional, parseSchema } from "./schema.ts";
import { quote } from "./text.ts";

/** An image for one platform: a config and the layers, lowest first (image-spec, manifest; Docker's schema 2). */
export interface Manifest {
  mediaType: string;
  config: Descriptor;
  layers: Descriptor[];
  artifactType?: string;
  subject?: Descriptor;
  annotations?: Map<string, string>;
}

/** A list of manifests, usually one a platform (image-spec, image-index; Docker's manifest list). */
export interface Index {
  mediaType: string;
  manifests: Descriptor[];
  artifactType?: string;
  subject?: Descriptor;
  annotations?: Map<string, string>;
}

/** What a manifest URL can answer. */
export type ManifestDocument = { kind: "manifest"; manifest: Manifest } | { kind: "index"; index: Index };

const common = {
  schemaVersion: v.literal(2),
  artifactType: optional(v.string()),
  subject: optional(descriptorSchema),
  annotations: optional(annotationsSchema),
};

const manifestSchema = v.object({
  ...common,
  config: descriptorSchema,
  layers: v.pipe(v.array(descriptorSchema), v.maxLength(LIMITS.layers)),
});

const indexSchema = v.object({
  ...common,
  manifests: v.pipe(v.array(descriptorSchema), v.maxLength(LIMITS.indexDescriptors)),
});

/** Go's reader takes a field in any case of letters, so another spelling of a known one would be a second meaning. */
const KNOWN_KEYS: ReadonlyMap<string, string> = new Map(
  [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
    "signatures",
  ]
    .map((key) => [key.toLowerCase(), key]),
);

function refuse(what: string, why: string, hint?: string): never {
  throw new DugoutError("MANIFEST_INVALID", `Cannot use ${what}: ${why}`, { hint });
}

function checkKeys(object: JsonObject, what: string): void {
  for (const key of Object.keys(object)) {
    const known = KNOWN_KEYS.get(key.toLowerCase());
    if (known !== undefined && known !== key) {
      refuse(what, `the key ${quote(key)} is another spelling of ${quote(known)}`);
    }
  }
}

/** The bare media type of a Content-Type header: `Application/JSON; charset=utf-8` gives `application/json`. */
export function bareMediaType(contentType: string): string {
  const semicolon = contentType.indexOf(";");
  return (semicolon < 0 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
}

/** Types that say nothing about the content; some registries send one of them for every manifest. */
const GENERIC_TYPES: ReadonlySet<string> = new Set([
  "",
  "application/json",
  "application/octet-stream",
  "text/plain",
  "binary/octet-stream",
]);

/**
 * Parses the bytes of a manifest or index, strictly: the Content-Type, the body's `mediaType` and the fields have to agree, so that no two
 * readers see two documents (A-013, CVE-2021-41190).
 * @param bytes The very bytes that were hashed.
 * @param what Names it in messages, as in `the manifest of "docker.io/library/debian:12"`.
 * @param contentType What the registry or the descriptor said it is.
 * @throws {DugoutError} MANIFEST_SCHEMA1, MANIFEST_INVALID, NOT_AN_IMAGE, JSON_….
 */
export function parseManifestDocument(bytes: Uint8Array, what: string, contentType = ""): ManifestDocument {
  const value = parseJson(bytes, what, { maxBytes: LIMITS.manifestBytes });
  if (!isJsonObject(value)) refuse(what, "it is not a JSON object");
  checkKeys(value, what);
  const said = bareMediaType(contentType);
  const own = value["mediaType"];
  if (own !== undefined && typeof own !== "string") refuse(what, "mediaType: not a string");
  if (isSchema1Type(said) || isSchema1Type(own ?? "") || value["schemaVersion"] === 1 || "fsLayers" in value) {
    throw new DugoutError(
      "MANIFEST_SCHEMA1",
      `Cannot use ${what}: it is in Docker's schema 1 of before 2016, which is no longer read`,
      {
        hint: "Push the image again with a current tool, for example: skopeo copy docker://OLD docker://NEW",
      },
    );
  }
  const hasManifests = "manifests" in value;
  const hasLayers = "layers" in value || "config" in value;
  if (hasManifests && hasLayers) {
    refuse(what, "it has the fields of an index and those of a manifest, so readers differ about it");
  }
  const named = own ?? (GENERIC_TYPES.has(said) ? undefined : said);
  if (own !== undefined && !GENERIC_TYPES.has(said) && said !== own.toLowerCase()) {
    refuse(what, `the Content-Type is ${quote(said)} but the mediaType in it is ${quote(own)}`);
  }
  if (named !== undefined && !isIndexType(named) && !isManifestType(named)) {
    throw new DugoutError(
      "NOT_AN_IMAGE",
      `Cannot use ${what}: its media type is ${quote(named)}, neither an image nor a list of images`,
    );
  }
  if (!hasManifests && !hasLayers) {
    throw new DugoutError("NOT_AN_IMAGE", `Cannot use ${what}: it has neither "layers" nor "manifests"`);
  }
  if (named !== undefined && isIndexType(named) !== hasManifests) {
    refuse(what, `the type is ${quote(named)} but it has the fields of ${hasManifests ? "an index" : "a manifest"}`);
  }
  if (hasManifests) {
    const { schemaVersion: _, ...rest } = parseSchema(indexSchema, value, what, "MANIFEST_INVALID");
    return { kind: "index", index: compact({ mediaType: named ?? MEDIA_TYPES.ociIndex, ...rest }) };
  }
  const { schemaVersion: _, ...rest } = parseSchema(manifestSchema, value, what, "MANIFEST_INVALID");
  return { kind: "manifest", manifest: compact({ mediaType: named ?? MEDIA_TYPES.ociManifest, ...rest }) };
}

/** The bytes of a new manifest. Manifests that came from outside are kept as they came, never written again (C-034). */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return new TextEncoder().encode(encodeJson(compact({
    schemaVersion: 2,
    mediaType: manifest.mediaType,
    artifactType: manifest.artifactType,
    config: describeForJson(manifest.config),
    layers: manifest.layers.map(describeForJson),
    subject: manifest.subject === undefined ? undefined : describeForJson(manifest.subject),
    annotations: manifest.annotations,
  })));
}

/** The bytes of a new index, as in index.json of an image layout. */
export function encodeIndex(index: Index): Uint8Array {
  return new TextEncoder().encode(encodeJson(compact({
    schemaVersion: 2,
    mediaType: index.mediaType,
    artifactType: index.artifactType,
    manifests: index.manifests.map(describeForJson),
    subject: index.subject === undefined ? undefined : describeForJson(index.subject),
    annotations: index.annotations,
  })));
}
