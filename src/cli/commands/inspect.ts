import { describeImage } from "#engine/describe_image.ts";
import { findImage, getImage } from "#image/find.ts";
import { imageSizeBytes } from "#image/list.ts";
import { DugoutError } from "#oci/error.ts";
import { parsePlatform } from "#oci/platform.ts";
import { escapeText } from "#oci/text.ts";
import { listNames } from "#storage/names.ts";
import { type ImageContext, openImageContext } from "../context.ts";
import { formatObjects } from "../format/inspect.ts";
import type { Invocation } from "../invocation.ts";
import { textOption } from "../options.ts";
import { printError, printOut } from "../output.ts";
import { notYetError, usageError } from "../usage_error.ts";

/** Kinds of objects that docker inspects and this version does not have. */
const OTHER_TYPES: readonly string[] = [
  "container",
  "network",
  "volume",
  "plugin",
  "node",
  "secret",
  "service",
  "task",
  "config",
];

/** `dugout inspect`: of this version's objects, images. */
export function runInspect(invocation: Invocation): number {
  const type = textOption(invocation.options, "type") ?? "";
  if (OTHER_TYPES.includes(type)) throw notYetError(`'--type ${type}'`);
  if (type !== "" && type !== "image") {
    throw usageError(`"${type}" is not a valid value for --type`, 1, "this version has: image");
  }
  return inspectImages(invocation, type === "" ? "object" : "image");
}

/** `dugout image inspect` */
export function runImageInspect(invocation: Invocation): number {
  return inspectImages(invocation, "image");
}

/** Prints those that are there, complains of the others, and fails then: as docker does. */
function inspectImages({ options, args, global }: Invocation, noun: string): number {
  const context = openImageContext(global);
  const platform = textOption(options, "platform");
  const find = platform === undefined ? {} : { platform: parsePlatform(platform) };
  const objects: unknown[] = [];
  const missing: string[] = [];
  for (const name of args) {
    try {
      objects.push(describeFound(context, getImage(context.store, name, find)));
    } catch (error) {
      if (!(error instanceof DugoutError) || error.code !== "IMAGE_UNKNOWN") throw error;
      missing.push(name);
    }
  }
  const format = textOption(options, "format");
  if (objects.length > 0 || format === undefined || format === "json") printOut(formatObjects(objects, format));
  for (const name of missing) printError(`dugout: No such ${noun}: ${escapeText(name, 300)}\n`);
  return missing.length === 0 ? 0 : 1;
}

function describeFound(context: ImageContext, image: ReturnType<typeof getImage>): unknown {
  const targets = new Set(image.targets.map(({ digest }) => digest));
  const times = listNames(context.store).names
    .filter(({ target, reference }) => reference !== undefined && targets.has(target.digest))
    .map(({ createdMs }) => createdMs);
  return describeImage(image, {
    sizeBytes: imageSizeBytes(image, context.layerBytes),
    driver: { name: "overlay", data: null },
    lastTagMs: times.length === 0 ? undefined : Math.max(...times),
  });
}

/** `dugout image exists`: says it by the exit code alone. */
export function runImageExists({ args, global }: Invocation): number {
  return findImage(openImageContext(global).store, args[0] ?? "") === undefined ? 1 : 0;
}
