/**
 * `save`: images as one archive, in a form that Docker, podman, skopeo, containerd and we read.
 *
 * `docker-archive` is what Docker writes since version 25: an OCI image layout (`oci-layout`, `index.json`, `blobs/`) and
 * beside it `manifest.json` with tags and the paths of configs and layers. Blobs are those that came, so manifest digests
 * stay; but readers of that form know no zstd, so such a layer becomes a plain tar, with the same diff-id, and its
 * manifest a new one (C-016). The config is never touched, so the id stays.
 *
 * `oci-archive` is the layout alone, as podman writes it: zstd stays, manifests of Docker's types become OCI's, which is
 * all that readers of that form take.
 *
 * @module
 */
import type { Descriptor } from "#oci/descriptor.ts";
import { DugoutError } from "#oci/error.ts";
import { formatReference, parseReference, parseTypedReference } from "#oci/reference.ts";
import { quote } from "#oci/text.ts";
import type { ContentStore } from "#storage/content.ts";
import { openLease } from "#storage/lease.ts";
import { listNames } from "#storage/names.ts";
import { writeTar } from "#tar/write.ts";
import { ArchivePlan, type SaveFormat } from "./archive_plan.ts";
import { type ImageContent, walkTarget } from "./closure.ts";
import { chooseImage, type FindOptions, findTarget, unknownImage } from "./find.ts";
import { problemOf } from "./list.ts";

export const SAVE_FORMATS: readonly SaveFormat[] = ["docker-archive", "oci-archive"];

export type SaveOptions = FindOptions & {
  format?: SaveFormat;
  signal?: AbortSignal;
};

/** An image to be saved, with the names that were asked for; none when it was asked for by id (C-031). */
type Wanted = {
  target: Descriptor;
  names: string[];
  images: readonly ImageContent[];
  /** Not all images of the target that are here. */
  isPart: boolean;
};

/**
 * Writes images into one archive, shared blobs once (C-030). Nothing is held in memory but a piece of a blob.
 * @param texts Names, ids; a name without a tag stands for all tags of its repository where there are several, as in Docker.
 * @returns Pieces of a tar archive, each valid until the next is asked for.
 * @throws {DugoutError} IMAGE_UNKNOWN, IMAGE_DAMAGED; all before the first piece. BLOB_UNKNOWN, DIGEST_MISMATCH, ENOSPC (a
 * zstd layer is unpacked in the store first).
 */
export async function* saveImages(
  store: ContentStore,
  texts: readonly string[],
  options: SaveOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  using lease = openLease(store);
  const wanted = mergeWanted(texts.flatMap((text) => findWanted(store, text, options)));
  using archive = new ArchivePlan(lease, options.format ?? "docker-archive", options.signal);
  for (const item of wanted) {
    const shown = chooseImage(item.images, options.platform)!;
    await archive.add(item, shown);
  }
  for await (const piece of writeTar(archive.members())) {
    options.signal?.throwIfAborted();
    yield piece;
  }
}

/** Checks a format that was typed. @throws {DugoutError} FORMAT_INVALID */
export function parseSaveFormat(text: string): SaveFormat {
  const format = SAVE_FORMATS.find((name) => name === text);
  if (format !== undefined) return format;
  throw new DugoutError("FORMAT_INVALID", `Cannot save as ${quote(text)}: the formats are ${SAVE_FORMATS.join(", ")}`);
}

function findWanted(store: ContentStore, text: string, options: SaveOptions): Wanted[] {
  const tags = findAllTags(store, text);
  const found = tags.length > 0
    ? tags
    : [findTarget(store, text, options)].map((one) =>
      one === undefined ? undefined : { target: one.target, name: one.reference, id: one.id }
    );
  return found.map((one): Wanted => {
    if (one === undefined) throw unknownImage(text, options.platform);
    const closure = walkTarget(store, one.target);
    if (closure.images.length === 0) {
      throw new DugoutError("IMAGE_DAMAGED", `Cannot save the image ${quote(text)}: ${problemOf(closure)}`);
    }
    const candidates = one.id === undefined ? closure.images : closure.images.filter((image) => image.id === one.id);
    const isPart = options.platform !== undefined || candidates.length < closure.images.length;
    const chosen = options.platform === undefined ? undefined : chooseImage(candidates, options.platform);
    if (options.platform !== undefined && chosen === undefined) throw unknownImage(text, options.platform);
    const isTag = one.name !== undefined && parseReference(one.name).tag !== undefined;
    return {
      target: one.target,
      names: isTag ? [one.name!] : [],
      images: chosen === undefined ? candidates : [chosen],
      isPart,
    };
  });
}

/** All tags of a repository, when `text` is its name alone and it has any. */
function findAllTags(store: ContentStore, text: string): { target: Descriptor; name: string; id: undefined }[] {
  let repository: string;
  try {
    const typed = parseTypedReference(text);
    if (typed.tag !== undefined || typed.digest !== undefined) return [];
    repository = formatReference({ ...parseReference(text), tag: "" });
  } catch {
    return []; // an id
  }
  return listNames(store).names.flatMap(({ reference, target }) =>
    reference?.startsWith(repository) === true ? [{ target, name: reference, id: undefined }] : []
  );
}

/** One entry a target, with all the names that were asked for. */
function mergeWanted(all: readonly Wanted[]): Wanted[] {
  const merged: Wanted[] = [];
  for (const item of all) {
    const same = merged.find(({ target, images }) =>
      target.digest === item.target.digest && images.length === item.images.length &&
      images.every(({ id }, at) => id === item.images[at]!.id)
    );
    if (same === undefined) merged.push({ ...item, names: [...item.names] });
    else same.names.push(...item.names.filter((name) => !same.names.includes(name)));
  }
  return merged;
}
