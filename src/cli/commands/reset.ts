import { findResetPlaces, resetStore } from "#engine/store/reset.ts";
import { escapeText } from "#oci/text.ts";
import { askYesNo } from "../ask.ts";
import { warn } from "../context.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch } from "../options.ts";

/** `dugout system reset` */
export async function runReset({ options, global }: Invocation): Promise<number> {
  const places = findResetPlaces({ ...global, warn: (message) => warn(global, message) });
  if (!hasSwitch(options, "force")) {
    const what = [
      "all containers, those that run too",
      "all images",
      "all volumes, with what is in them",
      ...(places.dataRoot === undefined ? [] : [`the directory ${places.dataRoot}`]),
      `the directory ${places.runRoot}`,
    ];
    const list = what.map((line) => `  - ${escapeText(line)}\n`).join("");
    if (!askYesNo(`WARNING! This will remove:\n${list}\nAre you sure you want to continue?`)) return 0;
  }
  const left = await resetStore(places);
  if (left.length > 0) {
    warn(global, `the directory ${places.dataRoot} stays, with what is not dugout's: ${left.slice(0, 5).join(", ")}`);
  }
  return 0;
}
