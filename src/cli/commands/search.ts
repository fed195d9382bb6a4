import { parseSearchFilters, searchImages, type SearchResult } from "#image/registry/search.ts";
import { formatRows, type ListShape, type Row } from "../format/rows.ts";
import { cutWithEllipsis } from "../format/width.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, listOption, switchOption, textOption } from "../options.ts";
import { printOut } from "../output.ts";
import { openRegistries } from "../registry.ts";

const SHAPE: ListShape = {
  noun: "search result",
  headers: {
    Name: "NAME",
    Description: "DESCRIPTION",
    StarCount: "STARS",
    IsOfficial: "OFFICIAL",
    IsAutomated: "AUTOMATED",
  },
  columns: ["Name", "Description", "StarCount", "IsOfficial"],
};

const DESCRIPTION_CHARACTERS = 45;

/** `dugout search` */
export async function runSearch({ options, args, global }: Invocation): Promise<number> {
  const filters = parseSearchFilters(listOption(options, "filter"));
  const limit = textOption(options, "limit");
  using access = await openRegistries(global, switchOption(options, "tls-verify"));
  const results = await searchImages(
    access.client,
    { term: args[0] ?? "", filters, ...(limit === undefined ? {} : { limit: Number(limit) }) },
    access.isInsecure,
  );
  const format = textOption(options, "format");
  const isTable = format === undefined || format.trimStart().startsWith("table");
  const inFull = hasSwitch(options, "no-trunc");
  printOut(formatRows(results.map((result) => describeResult(result, inFull, isTable)), SHAPE, format));
  return 0;
}

function describeResult(result: SearchResult, inFull: boolean, isTable: boolean): Row {
  const description = result.description.replace(/[\r\n]/g, " ");
  const showFlag = (flag: boolean): string => isTable ? (flag ? "[OK]" : "") : String(flag);
  return {
    Name: result.name,
    Description: inFull ? description : cutWithEllipsis(description, DESCRIPTION_CHARACTERS),
    StarCount: String(result.stars),
    IsOfficial: showFlag(result.isOfficial),
    IsAutomated: showFlag(result.isAutomated),
  };
}
