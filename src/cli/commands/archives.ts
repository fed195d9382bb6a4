import { statSync } from "node:fs";
import type { Engine } from "#engine/engine.ts";
import { userPlaces } from "#engine/paths.ts";
import { openRegistries } from "#engine/store/pull.ts";
import { noteImage } from "#engine/events/image_events.ts";
import { findImage } from "#image/find.ts";
import { importImage, type ImportOptions } from "#image/import.ts";
import { loadLayerLimits } from "#image/layer_limits_conf.ts";
import { downloadArchive } from "#image/registry/download_archive.ts";
import { loadArchive, loadDirectory, type LoadedImage } from "#image/load.ts";
import { parseSaveFormat, saveImages } from "#image/save.ts";
import type { Fd } from "#linux/call.ts";
import { isTerminal } from "#linux/terminal.ts";
import { hostPlatform, parsePlatform } from "#oci/platform.ts";
import { familiarReference, parseReference } from "#oci/reference.ts";
import { escapeText } from "#oci/text.ts";
import { openImageContext } from "../context.ts";
import { readPieces, writePieces } from "../files.ts";
import type { Invocation } from "../invocation.ts";
import { listOption, textOption } from "../options.ts";
import { printOut, writeAll } from "../output.ts";
import { usageError } from "../usage_error.ts";

/** `dugout save` */
export async function runSave({ options, args, global }: Invocation): Promise<number> {
  const output = textOption(options, "output");
  if (output === undefined && isTerminal(1 as Fd)) {
    throw usageError("cowardly refusing to save to a terminal", 1, "use the -o flag or redirect");
  }
  const { engine, store } = openImageContext(global);
  const platform = textOption(options, "platform");
  const format = textOption(options, "format");
  const pieces = saveImages(store, args, {
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
    ...(format === undefined ? {} : { format: parseSaveFormat(format) }),
  });
  if (output !== undefined) await writePieces(output, pieces);
  else for await (const piece of pieces) writeAll(1, piece);
  for (const name of args) {
    const found = findImage(store, name);
    if (found !== undefined) noteImage(engine, "save", found.image, name);
  }
  return 0;
}

/** `dugout load` */
export async function runLoad({ options, global }: Invocation): Promise<number> {
  const input = textOption(options, "input");
  if (input === undefined && isTerminal(0 as Fd)) {
    throw usageError("requested load from stdin, but stdin is a terminal", 1, "use the -i flag or redirect");
  }
  const { engine, store } = openImageContext(global);
  const platform = textOption(options, "platform");
  const rules = { nowMs: Date.now(), ...(platform === undefined ? {} : { platform: parsePlatform(platform) }) };
  const loaded = input !== undefined && statSync(input, { throwIfNoEntry: false })?.isDirectory() === true
    ? await loadDirectory(store, input, rules)
    : await loadArchive(store, readPieces(input), rules);
  for (const { references: [first], image } of loaded) {
    noteImage(engine, "load", image, first === undefined ? undefined : familiarReference(first));
  }
  printOut(loaded.flatMap(describeLoaded).join(""));
  return 0;
}

/** Docker's words: docker-py reads the name from them. */
function describeLoaded({ references, image }: LoadedImage): string[] {
  if (references.length === 0) return [`Loaded image ID: ${image.id}\n`];
  return references.map((reference) => `Loaded image: ${escapeText(familiarReference(reference))}\n`);
}

/** `dugout import` */
export async function runImport({ options, args, global }: Invocation): Promise<number> {
  const [source = "", name] = args;
  const platform = textOption(options, "platform");
  const { engine, store } = openImageContext(global);
  const limits = await loadLayerLimits(userPlaces(engine));
  const rules: ImportOptions = {
    nowMs: Date.now(),
    reference: name === undefined ? undefined : parseReference(name),
    changes: listOption(options, "change"),
    message: textOption(options, "message"),
    platform: platform === undefined ? hostPlatform() : parsePlatform(platform),
    limits,
  };
  const image = /^https?:\/\//i.test(source)
    ? await importFrom(engine, source, rules, limits.maxTotalBytes)
    : await importImage(store, readPieces(source === "-" ? undefined : source), rules);
  noteImage(engine, "import", image);
  printOut(image.id + "\n");
  return 0;
}

/** From a web server. */
async function importFrom(engine: Engine, address: string, rules: ImportOptions, maxBytes: number) {
  using access = await openRegistries(engine);
  printOut(`Downloading from ${escapeText(address)}\n`);
  const pieces = downloadArchive(access.client, address, { maxBytes, isInsecure: access.isInsecure });
  return await importImage(engine.store, pieces, { ...rules, origin: address });
}
