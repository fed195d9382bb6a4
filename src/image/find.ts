/**
 * Finds an image by what a user typed: a name, a name with a digest, an id, the beginning of an id.
 *
 * @module
 */
import type { Descriptor } from "#oci/descriptor.ts";
import { type Digest, isDigest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { formatPlatform, hostPlatform, type Platform, scorePlatform } from "#oci/platform.ts";
import {
  completeReference,
  formatReference,
  parseTypedReference,
  type Reference,
  repositoryName,
} from "#oci/reference.ts";
import { quote } from "#oci/text.ts";
import type { ContentStore } from "#storage/content.ts";
import { type ImageName, listNames, readName } from "#storage/names.ts";
import { type ImageContent, listIds, walkTarget } from "./closure.ts";
import { HELLO_REFERENCE, isHelloName } from "./hello/name.ts";
import { type Image, listImages, problemOf, shortId } from "./list.ts";

/** What a text leads to. */
export type FoundTarget = {
  /** The name that led there; undefined when it was an id or a digest alone. */
  readonly reference: string | undefined;
  readonly target: Descriptor;
  /** All targets that hold the image, where the text was an id: two where it came twice, compressed differently. */
  readonly targets: readonly Descriptor[];
  /** The image of that id, where the text was an id; else all images of the target are meant. */
  readonly id: Digest | undefined;
};

export type FindOptions = {
  /** The wanted platform. By default this machine's, or, where that isn't there, what is. */
  platform?: Platform | undefined;
  /** What a short name may mean besides Docker's default, as `registries.conf` says, in order. */
  candidates?: readonly Reference[] | undefined;
};

const HEX = /^[0-9a-f]{1,64}$/;

/**
 * Finds what a text leads to. A name goes before an id of the same letters, as in Docker. Only files that the name itself
 * is about are read, so it costs the same however many images there are.
 * @returns undefined when there is no such image.
 * @throws {DugoutError} IMAGE_AMBIGUOUS when several ids begin so; REFERENCE_INVALID; NAME_BROKEN and JSON_… when the
 * name's file is damaged.
 */
export function findTarget(store: ContentStore, text: string, options: FindOptions = {}): FoundTarget | undefined {
  if (isDigest(text)) return findByDigest(store, text);
  const bare = text.startsWith("sha256:") ? text.slice(7) : text;
  const isHex = HEX.test(bare);
  if (bare === text && text.length !== 64) {
    const found = findByName(store, text, options.candidates);
    if (found !== undefined) return found;
  }
  return isHex ? findByIdPrefix(store, bare) : undefined;
}

function findByName(store: ContentStore, text: string, candidates: readonly Reference[] = []): FoundTarget | undefined {
  const typed = parseTypedReference(text);
  const references = [...candidates, completeReference(typed)];
  // what podman builds and what podman's archives hold; a short name may mean it
  if (typed.domain === undefined) references.push(completeReference({ ...typed, domain: "localhost" }));
  if (isHelloName(text)) references.push(HELLO_REFERENCE);
  for (const reference of references) {
    const name = reference.digest === undefined
      ? readName(store, formatReference(reference))
      : findByNamedDigest(store, reference);
    if (name !== undefined) {
      return { reference: name.reference, target: name.target, targets: [name.target], id: undefined };
    }
  }
  return undefined;
}

/** `name@digest`: pulled so, or any name of that repository which stands for that digest. A tag beside it says nothing more. */
function findByNamedDigest(store: ContentStore, reference: Reference): ImageName | undefined {
  const { domain, path, digest } = reference;
  const exact = readName(store, formatReference({ domain, path, digest: digest! }));
  if (exact !== undefined) return exact;
  const prefix = repositoryName(reference);
  for (const name of listNames(store).names) {
    if (
      name.reference === undefined ||
      !(name.reference.startsWith(`${prefix}:`) || name.reference.startsWith(`${prefix}@`))
    ) continue;
    if (name.target.digest === digest) return name;
    const image = walkTarget(store, name.target).images.find((found) => found.manifestDigest === digest);
    if (image !== undefined) return { ...name, target: image.descriptor };
  }
  return undefined;
}

function findByDigest(store: ContentStore, digest: Digest): FoundTarget | undefined {
  const { names } = listNames(store);
  const named = names.find((name) => name.target.digest === digest);
  if (named !== undefined) {
    return { reference: undefined, target: named.target, targets: [named.target], id: undefined };
  }
  const byId = digest.startsWith("sha256:") ? findByIdPrefix(store, digest.slice("sha256:".length)) : undefined;
  if (byId !== undefined) return byId;
  const image = listImages(store).images.find(({ manifestDigest }) => manifestDigest === digest);
  return image === undefined ? undefined : foundById(image);
}

function findByIdPrefix(store: ContentStore, prefix: string): FoundTarget | undefined {
  const targets = new Map(listNames(store).names.map(({ target }) => [target.digest, target]));
  const found = new Map<Digest, Descriptor[]>();
  for (const target of targets.values()) {
    for (const id of listIds(store, target)) {
      if (id.startsWith(`sha256:${prefix}`)) found.set(id, [...found.get(id) ?? [], target]);
    }
  }
  if (found.size > 1) {
    const ids = [...found.keys()].slice(0, 5).map(shortId).join(", ");
    throw new DugoutError(
      "IMAGE_AMBIGUOUS",
      `Cannot tell which image ${quote(prefix)} is: ${found.size} ids begin so: ${ids}`,
      { hint: "Give more digits of the id", exitCode: 1 },
    );
  }
  for (const [id, all] of found) return { reference: undefined, target: all[0]!, targets: all, id };
  return undefined;
}

function foundById(image: Image): FoundTarget {
  return { reference: undefined, target: image.target, targets: image.targets, id: image.id };
}

/** An image that can be run, and the name that led to it. */
export type FoundImage = { readonly image: ImageContent; readonly reference: string | undefined };

/**
 * Finds the image of a text for a platform, without looking at any other image: what `run` and `create` need.
 * @returns undefined when there is no such image, or none for the platform that was asked for.
 * @throws {DugoutError} As {@linkcode findTarget}; IMAGE_DAMAGED when it is named but cannot be used.
 */
export function findImage(store: ContentStore, text: string, options: FindOptions = {}): FoundImage | undefined {
  const found = findTarget(store, text, options);
  if (found === undefined) return undefined;
  const closure = walkTarget(store, found.target);
  if (closure.images.length === 0) {
    throw new DugoutError("IMAGE_DAMAGED", `Cannot use the image ${quote(text)}: ${problemOf(closure)}`, {
      hint: `Pull or load it again, or remove it with "dugout rmi"`,
    });
  }
  const candidates = found.id === undefined ? closure.images : closure.images.filter((image) => image.id === found.id);
  const image = chooseImage(candidates, options.platform);
  return image === undefined ? undefined : { image, reference: found.reference };
}

/** The best image for a platform; where none is asked for, this machine's, else the first. */
export function chooseImage<T extends ImageContent>(
  images: readonly T[],
  platform: Platform | undefined,
): T | undefined {
  const wanted = platform ?? hostPlatform();
  let best: T | undefined;
  let bestScore = platform === undefined ? -1 : 0;
  for (const image of images) {
    const score = scorePlatform(wanted, image.platform);
    if (score > bestScore) [best, bestScore] = [image, score];
  }
  return best;
}

/**
 * The image of a text with all its names: what `inspect`, `history`, `save` and `tag` need.
 * @throws {DugoutError} IMAGE_UNKNOWN, and as {@linkcode findImage}.
 */
export function getImage(
  store: ContentStore,
  text: string,
  options: FindOptions = {},
): Image & { readonly foundBy: string | undefined } {
  const found = findImage(store, text, options);
  if (found === undefined) throw unknownImage(text, options.platform);
  const image = listImages(store).images.find(({ id }) => id === found.image.id);
  if (image === undefined) throw unknownImage(text, options.platform);
  // the content that the name leads to, where the same id is there twice
  return { ...image, ...found.image, foundBy: found.reference };
}

/** The error for a text that leads to no image; Docker's words, which scripts look for. */
export function unknownImage(text: string, platform?: Platform): DugoutError {
  const where = platform === undefined ? "" : ` for the platform ${quote(formatPlatform(platform))}`;
  return new DugoutError("IMAGE_UNKNOWN", `No such image: ${quote(text).slice(1, -1)}${where}`, { exitCode: 1 });
}
