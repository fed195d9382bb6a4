import type { Descriptor } from "#oci/descriptor.ts";
import { parseReference } from "#oci/reference.ts";
import type { ContentStore } from "#storage/content.ts";
import { listNames } from "#storage/names.ts";
import { type Closure, walkTarget } from "./closure.ts";
import { groupByTarget } from "./list.ts";

/** What a name leads to, with all of its platforms. */
export type ImageTree = Pick<Closure, "images" | "absent"> & {
  /** The manifest, or the index, that the names point to. */
  readonly target: Descriptor;
  /** In full, with tags; none where nothing but a digest leads there. */
  readonly names: readonly string[];
};

/** Every target that has an image which is whole, newest first. */
export function listImageTrees(store: ContentStore): ImageTree[] {
  const trees = groupByTarget(listNames(store).names).map(({ target, names }): ImageTree => {
    const { images, absent } = walkTarget(store, target);
    const tagged = names.flatMap(({ reference }) => reference ?? [])
      .filter((reference) => parseReference(reference).tag !== undefined);
    return { target, names: tagged.sort(), images, absent };
  });
  const createdMs = ({ images }: ImageTree): number => Math.max(...images.map((image) => image.createdMs ?? 0));
  return trees.filter(({ images }) => images.length > 0).sort((one, other) =>
    createdMs(other) - createdMs(one) || (one.target.digest < other.target.digest ? -1 : 1)
  );
}
