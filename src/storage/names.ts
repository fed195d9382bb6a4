/**
 * Names of images: one small file a name below `images/names/`, so that two processes, or two machines on a file system
 * without locks, that name different things never touch one file. `index.json` is made anew from them after each change
 * and is for other tools to read; we believe the files.
 *
 * A file holds `{"reference", "descriptor", "layout", "created"}`. It is called after the reference, percent-encoded, or
 * after its hash where that would be too long. An image that has lost its last name keeps a file too, called `@` and its
 * digest, without a reference, until it is removed: that is a dangling image.
 *
 * `descriptor` points to the manifest or index as it came. Readers of OCI layouts do not take Docker's types in
 * index.json (skopeo 1.9: "no descriptor found"), so for those `layout` points to an OCI index that leads to them.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { describeForJson, type Descriptor, descriptorSchema } from "#oci/descriptor.ts";
import { digestAlgorithm, digestHex, hashBytes } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { encodeJson, parseJson } from "#oci/json.ts";
import { encodeIndex, type Index } from "#oci/manifest.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import { optional, parseSchema } from "#oci/schema.ts";
import { quote } from "#oci/text.ts";
import { type ContentStore, listDirectory } from "./content.ts";
import { type Lease, withStoreLock } from "./lease.ts";
import { findMark, markState } from "./owner_mark.ts";
import { errorCode } from "./private_dir.ts";
import { isNoSpace, noSpaceError } from "./space.ts";
import { unlinkIfThere, writeFileWhole } from "./write_file_whole.ts";

/** A name and what it points to. */
export type ImageName = {
  /** In the form of `formatReference`, with a tag or a digest; undefined for an image without a name. */
  readonly reference: string | undefined;
  /** The manifest or index, as it came. */
  readonly target: Descriptor;
  /** What index.json has in the target's place, where that is of Docker's types. */
  readonly layout: Descriptor | undefined;
  /** When the name was given, in milliseconds since 1970. */
  readonly createdMs: number;
  /** Below names/. */
  readonly fileName: string;
};

/** A file in names/ that cannot be understood: cut short, or written by something else. */
export type BrokenName = { readonly fileName: string; readonly problem: string };

export const REF_NAME_ANNOTATION = "org.opencontainers.image.ref.name";

const SUFFIX = ".json";
/** NAME_MAX is 255, and the temporary file beside it has 60 characters more. */
const ENCODED_MAX = 180;
const NAME_BYTES_MAX = 256 * 1024;

const nameSchema = v.object({
  reference: optional(v.string()),
  descriptor: descriptorSchema,
  layout: optional(descriptorSchema),
  created: v.pipe(v.string(), v.isoTimestamp()),
});

/** The file of a reference: percent-encoded, so that it is one name and none of `.`, `..` and `@…`. */
export function nameFile(reference: string): string {
  const encoded = encodeURIComponent(reference);
  return (encoded.length <= ENCODED_MAX ? encoded : `~${digestHex(hashBytes(reference))}`) + SUFFIX;
}

/** The file of an image without a name. */
export function unnamedFile(target: Descriptor): string {
  return `@${digestAlgorithm(target.digest)}-${digestHex(target.digest)}${SUFFIX}`;
}

/** Reads what a name points to; undefined when there is no such name. A broken file throws NAME_BROKEN. */
export function readName(store: ContentStore, reference: string): ImageName | undefined {
  return readNameFile(store, nameFile(reference));
}

/** Reads all names, those of dangling images too, in the order of their files; and what cannot be read. */
export function listNames(store: ContentStore): { names: ImageName[]; broken: BrokenName[] } {
  const names: ImageName[] = [];
  const broken: BrokenName[] = [];
  for (const fileName of listDirectory(join(store.path, "names")).sort()) {
    if (!fileName.endsWith(SUFFIX)) continue;
    try {
      const name = readNameFile(store, fileName);
      if (name !== undefined) names.push(name);
    } catch (error) {
      if (!(error instanceof DugoutError)) throw error;
      broken.push({ fileName, problem: error.message });
    }
  }
  return { names, broken };
}

function readNameFile(store: ContentStore, fileName: string): ImageName | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(join(store.path, "names", fileName));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const what = `the name file ${quote(fileName)}`;
  const raw = parseSchema(nameSchema, parseJson(bytes, what, { maxBytes: NAME_BYTES_MAX }), what, "NAME_BROKEN");
  const expected = raw.reference === undefined ? unnamedFile(raw.descriptor) : nameFile(raw.reference);
  if (expected !== fileName) {
    throw new DugoutError(
      "NAME_BROKEN",
      `Cannot use ${what}: it is about ${quote(raw.reference ?? raw.descriptor.digest)}`,
    );
  }
  return {
    reference: raw.reference,
    target: raw.descriptor,
    layout: raw.layout,
    createdMs: Date.parse(raw.created),
    fileName,
  };
}

export type SetNameOptions = {
  /** In the form of `formatReference`; undefined keeps the image without a name. */
  reference: string | undefined;
  target: Descriptor;
  /** See `ImageName.layout`. */
  layout?: Descriptor | undefined;
  nowMs: number;
  /** Runs under the store's lock, before the name is written: throws when something of the image is missing. */
  check?: () => void;
};

/**
 * Gives a name to an image whose content is all there. If the name was another image's, that one stays, without a name
 * if this was its last. An image that gets a name is no longer a dangling one.
 * @returns What the name pointed to before, if that was something else.
 * @throws {DugoutError} ENOSPC, EDQUOT; what `check` throws.
 */
export async function setName(lease: Lease, options: SetNameOptions): Promise<Descriptor | undefined> {
  const { store } = lease;
  return await withStoreLock(store, () => {
    options.check?.();
    const { names } = listNames(store);
    const { reference, target } = options;
    if (reference === undefined && names.some((name) => name.target.digest === target.digest)) return undefined;
    const before = names.find((name) => name.reference !== undefined && name.reference === reference);
    writeName(store, options);
    const isMoved = before !== undefined && before.target.digest !== target.digest;
    if (isMoved) {
      const others = names.filter((name) => name !== before && name.target.digest === before.target.digest);
      if (others.length === 0) {
        writeName(store, {
          reference: undefined,
          target: before.target,
          layout: before.layout,
          nowMs: before.createdMs,
        });
      }
    }
    if (reference !== undefined) unlinkIfThere(join(store.path, "names", unnamedFile(target)));
    refreshIndex(store);
    return isMoved ? before.target : undefined;
  });
}

function writeName(store: ContentStore, name: Omit<SetNameOptions, "check">): void {
  const fileName = name.reference === undefined ? unnamedFile(name.target) : nameFile(name.reference);
  const content = encodeJson({
    ...(name.reference === undefined ? {} : { reference: name.reference }),
    descriptor: describeForJson(name.target),
    ...(name.layout === undefined ? {} : { layout: describeForJson(name.layout) }),
    created: new Date(name.nowMs).toISOString(),
  }) + "\n";
  try {
    writeFileWhole(join(store.path, "names", fileName), content);
  } catch (error) {
    if (isNoSpace(error)) throw noSpaceError(store.path, content.length, "the image's name", error);
    throw error;
  }
}

/** Removes files from names/. Called under the store's lock, and followed by {@linkcode refreshIndex}. */
export function removeNameFiles(store: ContentStore, fileNames: Iterable<string>): void {
  for (const fileName of fileNames) unlinkIfThere(join(store.path, "names", fileName));
}

/** Keeps an image that has just lost its last name. Called under the store's lock. */
export function keepUnnamed(store: ContentStore, name: ImageName): void {
  writeName(store, { reference: undefined, target: name.target, layout: name.layout, nowMs: name.createdMs });
}

/**
 * Makes index.json anew from the names. Where there are no locks, two processes may do this at once, and the one that
 * read first may write last; so each looks again after it has written, until what it reads is what it wrote: whoever
 * writes last then has seen every name that was there before.
 * On a full disk index.json stays as it was; the next change makes it right.
 */
export function refreshIndex(store: ContentStore): void {
  const path = join(store.path, "index.json");
  for (let round = 0; round < 100; round++) {
    const wanted = encodeIndexText(deriveIndex(store));
    let current: string | undefined;
    try {
      current = readFileSync(path, "utf8");
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error;
    }
    if (current === wanted) return;
    try {
      writeFileWhole(path, wanted);
    } catch (error) {
      if (isNoSpace(error)) return;
      throw error;
    }
  }
}

/** index.json as text. */
export function encodeIndexText(index: Index): string {
  return new TextDecoder().decode(encodeIndex(index));
}

/** index.json as the names have it: the full reference as `org.opencontainers.image.ref.name`, none for dangling images. */
export function deriveIndex(store: ContentStore): Index {
  const manifests = listNames(store).names.map((name): Descriptor => {
    const { mediaType, digest, size } = name.layout ?? name.target;
    if (name.reference === undefined) return { mediaType, digest, size };
    return { mediaType, digest, size, annotations: new Map([[REF_NAME_ANNOTATION, name.reference]]) };
  });
  return { mediaType: MEDIA_TYPES.ociIndex, manifests };
}

/** Removes the temporary files that killed writers left in names/ and beside it; returns how many. */
export function sweepTemporaries(store: ContentStore): number {
  let count = 0;
  for (const dir of ["", "names"]) {
    for (const name of listDirectory(join(store.path, dir))) {
      const mark = name.endsWith(".tmp") ? findMark(name) : undefined;
      if (mark !== undefined && markState(mark) === "dead" && unlinkIfThere(join(store.path, dir, name))) count++;
    }
  }
  return count;
}
