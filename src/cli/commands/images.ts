import { showName, splitName } from "#engine/describe/describe_image.ts";
import { filterImages, LIST_FILTERS, parseImageFilters } from "#image/filter.ts";
import { type Image, imageSizeBytes, listImages, shortId } from "#image/list.ts";
import { compilePattern } from "#image/pattern.ts";
import type { Digest } from "#oci/digest.ts";
import { openImageContext, warn } from "../context.ts";
import { formatRows, type ListShape, type Row } from "../format/rows.ts";
import { formatGoTime } from "../format/time.ts";
import { humanDuration, humanSize } from "../format/units.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, listOption, textOption } from "../options.ts";
import { printOut } from "../output.ts";
import { checkTreeOptions, formatImageTrees } from "./images_tree.ts";

/** Docker's fields of an image in a list. */
const HEADERS = {
  Repository: "REPOSITORY",
  Tag: "TAG",
  Digest: "DIGEST",
  ID: "IMAGE ID",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  Size: "SIZE",
  Containers: "CONTAINERS",
  SharedSize: "SHARED SIZE",
  UniqueSize: "UNIQUE SIZE",
  VirtualSize: "VIRTUAL SIZE",
} as const;

/** `dugout images` */
export function runImages({ options, args, global }: Invocation): number {
  const isTree = hasSwitch(options, "tree");
  if (isTree) checkTreeOptions(options);
  const context = openImageContext(global);
  const { store, layerBytes } = context;
  const nowMs = Date.now();
  const filters = [...listOption(options, "filter"), ...args.map((pattern) => `reference=${pattern}`)];
  const filter = parseImageFilters(filters, LIST_FILTERS, nowMs);
  const { images, damaged } = listImages(store);
  for (const { reference, fileName, problem } of damaged) {
    warn(global, `the image "${reference ?? fileName}" cannot be used: ${problem}; 'dugout rmi' removes it`);
  }
  const rules: RowRules = {
    nowMs,
    layerBytes,
    showsDigests: hasSwitch(options, "digests"),
    idsInFull: hasSwitch(options, "no-trunc"),
  };
  const fits = filter.references.map(compilePattern);
  const wanted = filterImages(store, images, filter)
    .map((image) => fits.length === 0 ? image : keepNames(image, fits));
  if (isTree) {
    printOut(formatImageTrees(context, wanted));
    return 0;
  }
  const rows = wanted.flatMap((image) => describeImageRows(image, rules));
  const format = textOption(options, "format");
  if (hasSwitch(options, "quiet") && (format === undefined || format.startsWith("table"))) {
    printOut(rows.map((row) => row["ID"] + "\n").join(""));
    return 0;
  }
  const columns = ["Repository", "Tag", ...(rules.showsDigests ? ["Digest"] : []), "ID", "CreatedSince", "Size"];
  const shape: ListShape = { noun: "image", headers: HEADERS, columns };
  printOut(formatRows(rows, shape, format));
  return 0;
}

/** Of an image that was asked for by names, only the names that fit are shown. */
function keepNames(image: Image, fits: readonly ((text: string) => boolean)[]): Image {
  const isWanted = (name: string): boolean => {
    const { repository } = splitName(name);
    return fits.some((fit) => fit(showName(name)) || fit(repository));
  };
  return { ...image, names: image.names.filter(isWanted), digests: image.digests.filter(isWanted) };
}

/** How rows of images are told. */
export interface RowRules {
  nowMs: number;
  layerBytes: (diffId: Digest) => number | undefined;
  showsDigests: boolean;
  idsInFull: boolean;
}

/** A row for each tag of an image; for each digest of a repository without tags; one for an image without names. */
export function describeImageRows(image: Image, rules: RowRules): Row[] {
  const sizeBytes = imageSizeBytes(image, rules.layerBytes);
  const common = {
    ID: rules.idsInFull ? image.id : shortId(image.id),
    CreatedSince: image.createdMs === undefined ? "N/A" : `${humanDuration(rules.nowMs - image.createdMs)} ago`,
    CreatedAt: image.createdMs === undefined ? "N/A" : formatGoTime(image.createdMs),
    Size: humanSize(sizeBytes, 3),
    VirtualSize: humanSize(sizeBytes),
    Containers: "N/A",
    SharedSize: "N/A",
    UniqueSize: "N/A",
  };
  return pairNames(image, rules.showsDigests).map(({ repository, tag, digest }) => ({
    Repository: repository ?? "<none>",
    Tag: tag ?? "<none>",
    Digest: digest ?? "<none>",
    ...common,
  }));
}

interface NameCells {
  repository?: string | undefined;
  tag?: string | undefined;
  digest?: string | undefined;
}

/** Names as rows show them: with digests, a tag stands once for each digest of its repository. */
function pairNames(image: Image, showsDigests: boolean): NameCells[] {
  const digests = image.digests.map(splitName);
  const rows: NameCells[] = image.names.map(splitName).flatMap((name): NameCells[] => {
    const own = digests.filter(({ repository }) => repository === name.repository);
    return showsDigests && own.length > 0 ? own.map(({ digest }) => ({ ...name, digest })) : [name];
  });
  const tagged = new Set(rows.map(({ repository }) => repository));
  rows.push(...digests.filter(({ repository }) => !tagged.has(repository)));
  return rows.length === 0 ? [{}] : rows;
}
