import { showName } from "#engine/describe/describe_image.ts";
import type { ImageContent } from "#image/closure.ts";
import { type Image, imageSizeBytes, shortId } from "#image/list.ts";
import { type ImageTree, listImageTrees } from "#image/tree.ts";
import { formatPlatform } from "#oci/platform.ts";
import { escapeText } from "#oci/text.ts";
import type { ImageContext } from "../context.ts";
import { alignTable } from "../format/table.ts";
import { humanSize } from "../format/units.ts";
import { hasSwitch, textOption } from "../options.ts";
import type { Options } from "../scan.ts";
import { usageError } from "../usage_error.ts";

/** Docker's own headings (`docker images --tree`, client 28). */
const HEADINGS = ["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"];

/** What docker does not show as a tree either; its words name the second one so. */
const NOT_IN_TREES = [["quiet", "--quiet"], ["no-trunc", "--no-trunc"], ["digests", "--show-digest"]] as const;

/** @throws {DugoutError} When a flag is given that trees have no place for. */
export function checkTreeOptions(options: Options): void {
  const named = NOT_IN_TREES.find(([flag]) => hasSwitch(options, flag))?.[1] ??
    (textOption(options, "format") === undefined ? undefined : "--format");
  if (named !== undefined) throw usageError(`${named} is not yet supported with --tree`, 1, "leave out one of the two");
}

/**
 * Images with their platforms below them: those that are here, and those that an index names and nobody has fetched.
 * @param wanted The images that the filters let pass, with the names that are to be shown.
 */
export function formatImageTrees(
  context: Pick<ImageContext, "store" | "layerBytes" | "usersOf">,
  wanted: Image[],
): string {
  const namesOf = new Map(wanted.map(({ id, names }) => [id, new Set(names)]));
  const trees = listImageTrees(context.store).filter(({ images }) => images.some(({ id }) => namesOf.has(id)));
  const lines = trees.flatMap((tree) => {
    const shown = tree.names.filter((name) => tree.images.some(({ id }) => namesOf.get(id)?.has(name)));
    return describeTree(context, tree, shown);
  });
  return alignTable([HEADINGS, ...lines].map((cells) => cells.map((cell) => escapeText(cell, Infinity)).join("\t")));
}

function describeTree(
  { layerBytes, usersOf }: Pick<ImageContext, "layerBytes" | "usersOf">,
  { target, images, absent }: ImageTree,
  names: readonly string[],
): string[][] {
  const cellsOf = (image: ImageContent): string[] => [
    shortId(image.id),
    humanSize(image.sizeBytes + imageSizeBytes(image, layerBytes), 3),
    humanSize(image.sizeBytes, 3),
    usersOf(image.id).length > 0 ? "U" : "",
  ];
  const [first = "<untagged>", ...others] = names.map(showName);
  const [only] = images;
  if (only !== undefined && only.manifestDigest === target.digest) {
    return [[first, ...cellsOf(only)], ...others.map((name) => [name])];
  }
  const sum = (size: (image: ImageContent) => number) => humanSize(images.map(size).reduce((a, b) => a + b, 0), 3);
  const children = [
    ...images.map((image) => [formatPlatform(image.platform), ...cellsOf(image)]),
    ...absent.map((
      { platform, digest },
    ) => [platform === undefined ? "?" : formatPlatform(platform), shortId(digest), "0B", "0B", ""]),
  ];
  return [
    [
      first,
      shortId(target.digest),
      sum((image) => image.sizeBytes + imageSizeBytes(image, layerBytes)),
      sum((image) => image.sizeBytes),
      images.some(({ id }) => usersOf(id).length > 0) ? "U" : "",
    ],
    ...others.map((name) => [name]),
    ...children.map(([name, ...cells], at) => [`${at === children.length - 1 ? "└─" : "├─"} ${name}`, ...cells]),
  ];
}
