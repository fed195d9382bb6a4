import {
  compileContainerFilter,
  parseContainerFilters,
  PRUNE_CONTAINER_FILTERS,
} from "#engine/describe/filter_containers.ts";
import { pruneContainers } from "#engine/life/prune_containers.ts";
import { pruneVolumes } from "#engine/volumes/remove_volumes.ts";
import { sweepContainers } from "#engine/life/sweep.ts";
import { parseImageFilters, PRUNE_FILTERS } from "#image/filter.ts";
import { escapeText } from "#oci/text.ts";
import { askYesNo } from "../ask.ts";
import { openImageContext } from "../context.ts";
import { humanSize } from "../format/units.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, listOption } from "../options.ts";
import { printOut } from "../output.ts";
import { usageError } from "../usage_error.ts";
import { reportAll, tellPruned } from "./containers.ts";
import { pruneUnusedImages, tellPrunedImages } from "./remove_images.ts";
import { pruneNetworks, tellPrunedNetworks } from "./networks.ts";
import { fitsFilters, tellPrunedVolumes } from "./volumes.ts";

/** `dugout system prune` */
export async function runPruneSystem({ options, global }: Invocation): Promise<number> {
  const nowMs = Date.now();
  const filters = listOption(options, "filter");
  const all = hasSwitch(options, "all");
  const volumes = hasSwitch(options, "volumes");
  if (volumes && filters.some((text) => text.startsWith("until="))) {
    throw usageError('ERROR: The "until" filter is not supported with "--volumes"', 1, "");
  }
  const containerFilter = parseContainerFilters(filters, PRUNE_CONTAINER_FILTERS);
  const filter = parseImageFilters(filters, PRUNE_FILTERS, nowMs);
  if (!hasSwitch(options, "force") && !askYesNo(describeWarning(all, volumes, filters))) return 0;

  const context = openImageContext(global);
  const { engine } = context;
  await sweepContainers(engine);
  const containers = await pruneContainers(engine, compileContainerFilter(engine, containerFilter, nowMs));
  tellPruned(containers);
  let freedBytes = containers.freedBytes;
  tellPrunedNetworks(await pruneNetworks(engine, filters));
  if (volumes) {
    const pruned = await pruneVolumes(engine, (volume) => volume.isAnonymous && fitsFilters(volume, filters, false));
    tellPrunedVolumes(pruned.names);
    freedBytes += pruned.freedBytes;
  }
  const images = await pruneUnusedImages(context, { all, filter, nowMs });
  tellPrunedImages(images);
  printOut(`Total reclaimed space: ${humanSize(freedBytes + images.freedBytes)}\n`);
  return reportAll(containers.errors, global.debug);
}

/** Docker's text. */
function describeWarning(all: boolean, volumes: boolean, filters: readonly string[]): string {
  const what = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(volumes ? ["all anonymous volumes not used by at least one container"] : []),
    all ? "all images without at least one container associated to them" : "all dangling images",
    all ? "all build cache" : "unused build cache",
  ];
  const list = (lines: readonly string[]): string => lines.map((line) => `  - ${escapeText(line)}\n`).join("");
  const filtered = filters.length === 0 ? "" : `\n  Items to be pruned will be filtered with:\n${list(filters)}`;
  return `WARNING! This will remove:\n${list(what)}${filtered}\nAre you sure you want to continue?`;
}
