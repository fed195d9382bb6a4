import { compileEventFilter } from "#engine/events/filter_events.ts";
import { followEvents } from "#engine/events/follow_events.ts";
import type { SeenEvent } from "#engine/events/read_events.ts";
import { parsePointInTime } from "#image/point_in_time.ts";
import { escapeText } from "#oci/text.ts";
import { openContainerContext } from "../context.ts";
import { formatRfc3339Nano } from "../format/time.ts";
import type { Invocation } from "../invocation.ts";
import { listOption, switchOption, textOption } from "../options.ts";
import { printOut } from "../output.ts";
import { entriesOf, JSON_FORM, writeJson } from "../template/json.ts";
import { parseTemplate } from "../template/parse.ts";
import { renderTemplate } from "../template/render.ts";

/** `dugout events` */
export async function runEvents({ options, global }: Invocation): Promise<number> {
  const nowMs = Date.now();
  const time = (name: string): number | undefined => {
    const text = textOption(options, name);
    return text === undefined ? undefined : parsePointInTime(text, nowMs);
  };
  const span = { sinceMs: time("since"), untilMs: time("until"), follows: switchOption(options, "stream") ?? true };
  const fits = compileEventFilter(listOption(options, "filter"));
  const print = chooseFormat(textOption(options, "format"));
  const engine = await openContainerContext(global);
  for await (const events of followEvents(engine, span)) printOut(events.filter(fits).map(print).join(""));
  return 0;
}

function chooseFormat(format: string | undefined): (event: SeenEvent) => string {
  if (format === undefined || format === "") return describeEvent;
  if (format === "json") return (event) => writeJson(makeMessage(event), { indent: 0 }) + "\n";
  const template = parseTemplate(format);
  return (event) => renderTemplate(template, makeMessage(event), { allowsMissingEntries: true }) + "\n";
}

/** Docker's line: `2026-01-02T03:04:05.678000000Z container die ID (exitCode=0, image=debian, name=x)`. */
function describeEvent({ timeMs, type, action, id, attributes }: SeenEvent): string {
  const list = entriesOf(attributes).map(([key, value]) => `${key}=${String(value)}`).join(", ");
  const line = `${formatRfc3339Nano(timeMs)} ${type} ${action} ${id}`;
  return escapeText(list === "" ? line : `${line} (${list})`, Infinity) + "\n";
}

/** Docker's message, whose JSON has other names than its templates. */
function makeMessage({ timeMs, type, action, id, attributes }: SeenEvent): Record<string, unknown> {
  // docker keeps these for containers and images
  const isOld = type === "container" || type === "image";
  const image = attributes.get("image");
  const [status, oldId, from] = isOld ? [action, id, image] : [];
  const actor = { ID: id, Attributes: attributes };
  const time = Math.trunc(timeMs / 1000);
  const timeNano = BigInt(Math.trunc(timeMs)) * 1_000_000n;
  const json = { status, id: oldId, from, Type: type, Action: action, Actor: actor, scope: "local", time, timeNano };
  const named = {
    Status: status ?? "",
    ID: oldId ?? "",
    From: from ?? "",
    Type: type,
    Action: action,
    Actor: actor,
    Scope: "local",
    Time: time,
    TimeNano: timeNano,
  };
  return Object.assign(named, { [JSON_FORM]: json });
}
