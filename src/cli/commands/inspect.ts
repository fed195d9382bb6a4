import { lookForContainer, readStatus } from "#engine/record/containers.ts";
import { describeContainer } from "#engine/describe/describe_container.ts";
import { describeImage } from "#engine/describe/describe_image.ts";
import { measureContainers } from "#engine/store/measure_container.ts";
import { whereabouts } from "#engine/record/whereabouts.ts";
import { getImage } from "#image/find.ts";
import { imageSizeBytes } from "#image/list.ts";
import { DugoutError } from "#oci/error.ts";
import { parsePlatform } from "#oci/platform.ts";
import { escapeText } from "#oci/text.ts";
import { listNames } from "#storage/names.ts";
import { isVolumeName, openVolumes, readVolume } from "#storage/volumes.ts";
import { type ImageContext, openImageContext } from "../context.ts";
import { formatObjects } from "../format/inspect.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, textOption } from "../options.ts";
import { printError, printOut } from "../output.ts";
import { findNetworkObject } from "./networks.ts";
import { describeVolume } from "./volumes.ts";
import { notYetError, usageError } from "../usage_error.ts";
import { withLatest } from "./latest.ts";

/** Kinds of objects that docker inspects and this version does not have. */
const OTHER_TYPES: readonly string[] = [
  "plugin",
  "node",
  "secret",
  "service",
  "task",
  "config",
];

/** `dugout inspect`: a container, an image or a volume, whatever has the name first. */
export async function runInspect(invocation: Invocation): Promise<number> {
  const type = textOption(invocation.options, "type") ?? "";
  if (OTHER_TYPES.includes(type)) throw notYetError(`'--type ${type}'`);
  if (type !== "" && !FINDERS.some((finder) => finder.type === type)) {
    throw usageError(
      `"${type}" is not a valid value for --type`,
      1,
      `this version has: ${FINDERS.map((finder) => finder.type).join(", ")}`,
    );
  }
  return await inspectObjects(invocation, type);
}

/** `dugout container inspect` */
export async function runContainerInspect(invocation: Invocation): Promise<number> {
  return await inspectObjects(invocation, "container");
}

/** `dugout image inspect` */
export async function runImageInspect(invocation: Invocation): Promise<number> {
  return await inspectObjects(invocation, "image");
}

/** A kind of object, and how one is found by a name: undefined when there is none. */
interface Finder {
  readonly type: string;
  find(context: ImageContext, name: string, invocation: Invocation): unknown;
}

/** In docker's order. */
const FINDERS: readonly Finder[] = [
  { type: "container", find: findContainerObject },
  { type: "image", find: findImageObject },
  { type: "network", find: ({ engine }, name) => findNetworkObject(engine, name) },
  { type: "volume", find: findVolumeObject },
];

/** Prints those that are there, complains of the others, and fails then: as docker does. */
async function inspectObjects(invocation: Invocation, type: string): Promise<number> {
  const { options, args, global } = invocation;
  const context = openImageContext(global);
  const finders = FINDERS.filter((finder) => type === "" || finder.type === type);
  const objects: unknown[] = [];
  const missing: string[] = [];
  for (const name of withLatest(context.engine, { options, args })) {
    const object = await findFirst(finders, context, name, invocation);
    if (object === undefined) missing.push(name);
    else objects.push(object);
  }
  const format = textOption(options, "format");
  if (objects.length > 0 || format === undefined || format === "json") printOut(formatObjects(objects, format));
  for (const name of missing) printError(`dugout: No such ${type || "object"}: ${escapeText(name, 300)}\n`);
  return missing.length === 0 ? 0 : 1;
}

async function findFirst(
  finders: readonly Finder[],
  context: ImageContext,
  name: string,
  invocation: Invocation,
): Promise<unknown> {
  for (const finder of finders) {
    const object = await finder.find(context, name, invocation);
    if (object !== undefined) return object;
  }
  return undefined;
}

async function findContainerObject({ engine }: ImageContext, name: string, { options }: Invocation): Promise<unknown> {
  const record = lookForContainer(engine, name)?.record;
  if (record === undefined) return undefined;
  const [sizes] = hasSwitch(options, "size") ? await measureContainers(engine, [record]) : [];
  return describeContainer(engine, { record, status: readStatus(engine, record, whereabouts()) }, sizes);
}

function findVolumeObject({ engine }: ImageContext, name: string): unknown {
  if (!isVolumeName(name)) return undefined;
  const volume = readVolume(openVolumes(engine.dataRoot), name);
  return volume === undefined ? undefined : describeVolume(volume);
}

function findImageObject(context: ImageContext, name: string, { options }: Invocation): unknown {
  const platform = textOption(options, "platform");
  try {
    return describeFound(
      context,
      getImage(context.store, name, platform === undefined ? {} : { platform: parsePlatform(platform) }),
    );
  } catch (error) {
    if (error instanceof DugoutError && error.code === "IMAGE_UNKNOWN") return undefined;
    throw error;
  }
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
