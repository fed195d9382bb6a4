import { watchRemoval } from "#engine/events/image_events.ts";
import { sweepLayerStores } from "#engine/store/layer_shelf.ts";
import { parseImageFilters, PRUNE_FILTERS } from "#image/filter.ts";
import { sweepContainers } from "#engine/life/sweep.ts";
import { pruneImages, type PruneOptions } from "#image/prune.ts";
import { listImages } from "#image/list.ts";
import { removeImage, type RemoveRecord, type RemoveResult } from "#image/remove.ts";
import { removePlatforms } from "#image/remove_platform.ts";
import { parsePlatform } from "#oci/platform.ts";
import { DugoutError } from "#oci/error.ts";
import { escapeText } from "#oci/text.ts";
import type { ContentStore } from "#storage/content.ts";
import { askYesNo } from "../ask.ts";
import { type ImageContext, openImageContext } from "../context.ts";
import { humanSize } from "../format/units.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, listOption } from "../options.ts";
import { printOut } from "../output.ts";
import { reportError } from "../report.ts";

/** `dugout rmi`: removes what it can, reports the rest, and fails then. */
export async function runRemoveImages({ options, args, global }: Invocation): Promise<number> {
  const platforms = listOption(options, "platform").map((text) => parsePlatform(text));
  const { engine, store, shelf, usersOf } = openImageContext(global);
  // a container whose command was killed is no reason to keep an image (C-081)
  await sweepContainers(engine);
  const note = watchRemoval(engine);
  const ignoresMissing = hasSwitch(options, "ignore");
  let exitCode = 0;
  for (const name of hasSwitch(options, "all") ? nameAll(store) : args) {
    try {
      const rules = { nowMs: Date.now(), force: hasSwitch(options, "force"), usersOf, shelf };
      const { records } = platforms.length === 0
        ? await removeImage(store, name, rules)
        : await removePlatforms(store, name, platforms, rules);
      note(records);
      printOut(records.map((record) => describeRecord(record, "Untagged", "Deleted")).join(""));
    } catch (error) {
      if (ignoresMissing && error instanceof DugoutError && error.code === "IMAGE_UNKNOWN") continue;
      exitCode = reportError(error, { failureExitCode: 1, debug: global.debug });
    }
  }
  return exitCode;
}

/** Every name, and ids of images without one: removing them one by one leaves nothing. */
function nameAll(store: ContentStore): string[] {
  return listImages(store).images.flatMap(({ id, names, digests }) => {
    if (names.length > 0) return names;
    return digests.length > 0 ? digests : [id];
  });
}

/** `dugout image prune` */
export async function runPruneImages({ options, global }: Invocation): Promise<number> {
  const context = openImageContext(global);
  const all = hasSwitch(options, "all");
  const nowMs = Date.now();
  const filter = parseImageFilters(listOption(options, "filter"), PRUNE_FILTERS, nowMs);
  if (!hasSwitch(options, "force")) {
    const what = all ? "all images without at least one container associated to them" : "all dangling images";
    if (!askYesNo(`WARNING! This will remove ${what}.\nAre you sure you want to continue?`)) return 0;
  }
  const pruned = await pruneUnusedImages(context, { all, filter, nowMs });
  tellPrunedImages(pruned);
  printOut(`Total reclaimed space: ${humanSize(pruned.freedBytes)}\n`);
  return 0;
}

/** Removes images that nobody needs, and what killed processes left of layers. */
export async function pruneUnusedImages(
  { engine, store, shelf, usersOf }: ImageContext,
  rules: Pick<PruneOptions, "all" | "filter" | "nowMs">,
): Promise<RemoveResult> {
  const isUsed = (id: Parameters<typeof usersOf>[0]): boolean => usersOf(id).length > 0;
  const note = watchRemoval(engine);
  const result = await pruneImages(store, { ...rules, isUsed, shelf });
  note(result.records);
  await sweepLayerStores(engine);
  return result;
}

/** Docker's list of what was removed. */
export function tellPrunedImages({ records }: RemoveResult): void {
  if (records.length > 0) {
    const lines = records.map((record) => describeRecord(record, "untagged", "deleted")).join("");
    printOut(`Deleted Images:\n${lines}\n`);
  }
}

function describeRecord(record: RemoveRecord, untagged: string, deleted: string): string {
  return "untagged" in record ? `${untagged}: ${escapeText(record.untagged)}\n` : `${deleted}: ${record.deleted}\n`;
}
