import { getImage } from "#image/find.ts";
import { historyOf, type HistoryStep } from "#image/history.ts";
import { shortId } from "#image/list.ts";
import { parsePlatform } from "#oci/platform.ts";
import { openImageContext } from "../context.ts";
import { formatRows, type ListShape, type Row } from "../format/rows.ts";
import { formatRfc3339 } from "../format/time.ts";
import { humanDuration, humanSize } from "../format/units.ts";
import { cutWithEllipsis } from "../format/width.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, textOption } from "../options.ts";
import { printOut } from "../output.ts";

const HEADERS = {
  ID: "IMAGE",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  CreatedBy: "CREATED BY",
  Size: "SIZE",
  Comment: "COMMENT",
} as const;

/** How much of a command a row shows. */
const COMMAND_CHARACTERS = 45;

/** `dugout history` */
export function runHistory({ options, args, global }: Invocation): number {
  const { store, layerBytes } = openImageContext(global);
  const platform = textOption(options, "platform");
  const image = getImage(store, args[0] ?? "", platform === undefined ? {} : { platform: parsePlatform(platform) });
  const isHuman = options.get("human") !== false;
  const rules = { nowMs: Date.now(), isHuman, inFull: hasSwitch(options, "no-trunc") };
  const rows = historyOf(image, layerBytes).map((step) => describeStep(step, rules));
  if (hasSwitch(options, "quiet")) {
    printOut(rows.map((row) => row["ID"] + "\n").join(""));
    return 0;
  }
  const shape: ListShape = {
    noun: "history",
    headers: HEADERS,
    columns: ["ID", isHuman ? "CreatedSince" : "CreatedAt", "CreatedBy", "Size", "Comment"],
  };
  printOut(formatRows(rows, shape, textOption(options, "format")));
  return 0;
}

function describeStep(step: HistoryStep, rules: { nowMs: number; isHuman: boolean; inFull: boolean }): Row {
  const { id, createdMs } = step;
  const command = step.createdBy.replaceAll("\t", " ");
  return {
    ID: id === undefined ? "<missing>" : rules.inFull ? id : shortId(id),
    CreatedSince: createdMs === undefined ? "N/A" : `${humanDuration(rules.nowMs - createdMs)} ago`,
    CreatedAt: createdMs === undefined ? "N/A" : formatRfc3339(createdMs),
    CreatedBy: rules.inFull ? command : cutWithEllipsis(command, COMMAND_CHARACTERS),
    Size: rules.isHuman ? humanSize(step.sizeBytes, 3) : String(step.sizeBytes),
    Comment: step.comment,
  };
}
