/**
 * Which images there are.
 *
 * @module
 */
import type { Descriptor } from "#oci/descriptor.ts";
import type { Digest } from "#oci/digest.ts";
import { parseReference, repositoryName } from "#oci/reference.ts";
import type { ContentStore } from "#storage/content.ts";
import { type ImageName, listNames } from "#storage/names.ts";
import { type Closure, type ImageContent, walkTarget } from "./closure.ts";

/** An image with everything that refers to it. */
export type Image = ImageContent & {
  /** In full, with tags, sorted: `docker.io/library/debian:12`. None for a dangling image. */
  readonly names: readonly string[];
  /** `docker.io/library/debian@sha256:…`, of the target, for each repository that has a name of it. */
  readonly digests: readonly string[];
  /** All that lead to this id: usually one; two where the same config came with other compressed layers. */
  readonly targets: readonly Descriptor[];
};

/** A name whose image cannot be used, and why; `rmi` removes it all the same (C-047). */
export type DamagedImage = {
  /** Undefined where the name's file itself is broken, and for an image without a name. */
  readonly reference: string | undefined;
  readonly target: Descriptor | undefined;
  readonly fileName: string;
  readonly problem: string;
};

/** All images that are whole, newest first as Docker lists them; and what is not whole. */
export function listImages(store: ContentStore): { images: Image[]; damaged: DamagedImage[] } {
  const { names, broken } = listNames(store);
  const damaged: DamagedImage[] = broken.map(({ fileName, problem }) => ({
    reference: undefined,
    target: undefined,
    fileName,
    problem,
  }));
  const byId = new Map<
    Digest,
    { content: ImageContent; names: Set<string>; digests: Set<string>; targets: Map<Digest, Descriptor> }
  >();
  for (const { target, names: sameTarget } of groupByTarget(names)) {
    const closure = walkTarget(store, target);
    if (closure.images.length === 0) {
      for (const name of sameTarget) {
        damaged.push({ reference: name.reference, target, fileName: name.fileName, problem: problemOf(closure) });
      }
    }
    for (const content of closure.images) {
      let entry = byId.get(content.id);
      if (entry === undefined) {
        entry = { content, names: new Set(), digests: new Set(), targets: new Map() };
        byId.set(content.id, entry);
      }
      entry.targets.set(target.digest, target);
      for (const { reference } of sameTarget) {
        if (reference === undefined) continue;
        const parsed = parseReference(reference);
        if (parsed.tag !== undefined) entry.names.add(reference);
        entry.digests.add(`${repositoryName(parsed)}@${parsed.digest ?? target.digest}`);
      }
    }
  }
  const images = [...byId.values()].map(({ content, names, digests, targets }): Image => ({
    ...content,
    names: [...names].sort(),
    digests: [...digests].sort(),
    targets: [...targets.values()],
  }));
  images.sort((a, b) => (b.createdMs ?? 0) - (a.createdMs ?? 0) || (a.id < b.id ? -1 : 1));
  return { images, damaged };
}

/** Why a target has no image that can be used, as words. */
export function problemOf(closure: Closure): string {
  return closure.incomplete[0]?.problem ?? "it holds no image";
}

/** Names by what they point to. */
export function groupByTarget(names: readonly ImageName[]): { target: Descriptor; names: ImageName[] }[] {
  const groups = new Map<Digest, { target: Descriptor; names: ImageName[] }>();
  for (const name of names) {
    const group = groups.get(name.target.digest);
    if (group === undefined) groups.set(name.target.digest, { target: name.target, names: [name] });
    else group.names.push(name);
  }
  return [...groups.values()];
}

/** The first twelve hex digits of an id, as lists show it. */
export function shortId(id: Digest): string {
  return id.slice(id.indexOf(":") + 1).slice(0, 12);
}

/**
 * The size of an image as Docker shows it: its layers unpacked, each counted once, plus the config.
 * @param layerBytes The unpacked size of a layer, where it is known; else the size of its blob counts.
 */
export function imageSizeBytes(image: ImageContent, layerBytes: (diffId: Digest) => number | undefined): number {
  const sizes = new Map(image.layers.map((layer) => [layer.diffId, layerBytes(layer.diffId) ?? layer.sizeBytes]));
  return [...sizes.values()].reduce((sum, size) => sum + size, image.manifest.config.size);
}
