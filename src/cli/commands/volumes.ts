import { refuseVolumeOptions } from "#docker/volume_options.ts";
import { noteEvent, volumeEvent } from "#engine/events/events.ts";
import { hasLabel } from "#engine/describe/filter_containers.ts";
import { pruneVolumes, removeVolume, unknownVolume, volumeUsers } from "#engine/volumes/remove_volumes.ts";
import { DugoutError } from "#oci/error.ts";
import { escapeText, quote } from "#oci/text.ts";
import { isVolumeName, listVolumes, makeVolume, openVolumes, readVolume, type Volume } from "#storage/volumes.ts";
import { askYesNo } from "../ask.ts";
import { openContainerContext, warn } from "../context.ts";
import { formatObjects } from "../format/inspect.ts";
import { formatRows, type Row } from "../format/rows.ts";
import { formatRfc3339 } from "../format/time.ts";
import { humanSize } from "../format/units.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, listOption, textOption } from "../options.ts";
import { printError, printOut } from "../output.ts";
import { reportError } from "../report.ts";
import { usageError } from "../usage_error.ts";

/** `dugout volume create` */
export async function runCreateVolume({ options, args, global }: Invocation): Promise<number> {
  const driver = textOption(options, "driver") ?? "local";
  if (driver !== "local" && driver !== "") {
    throw usageError(`there is no volume driver ${quote(driver)}`, 1, "it is local");
  }
  const given = textOption(options, "name");
  if (given !== undefined && args[0] !== undefined) {
    throw usageError(
      "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
      1,
      "",
    );
  }
  const driverOptions = new Map(listOption(options, "opt").map(splitPair));
  const refusal = refuseVolumeOptions(driverOptions);
  if (refusal !== undefined) throw usageError(`Cannot make the volume: ${refusal}`, 1, "");
  const engine = await openContainerContext(global);
  const labels = new Map(listOption(options, "label").map(splitPair));
  const { volume, isNew } = makeVolume(openVolumes(engine.dataRoot), {
    name: args[0] ?? given,
    labels,
    options: driverOptions,
  });
  if (isNew) noteEvent(engine, volumeEvent(volume.name, "create"));
  printOut(`${volume.name}\n`);
  return 0;
}

function splitPair(text: string): [name: string, value: string] {
  const equals = text.indexOf("=");
  return equals < 0 ? [text, ""] : [text.slice(0, equals), text.slice(equals + 1)];
}

const HEADERS = {
  Driver: "DRIVER",
  Name: "VOLUME NAME",
  Mountpoint: "MOUNTPOINT",
  Labels: "LABELS",
  Scope: "SCOPE",
  Size: "SIZE",
  Links: "LINKS",
  Availability: "AVAILABILITY",
  Group: "GROUP",
  Status: "STATUS",
} as const;

/** `dugout volume ls` */
export async function runListVolumes({ options, global }: Invocation): Promise<number> {
  const filters = listOption(options, "filter");
  for (const text of filters) checkFilter(text, ["dangling", "driver", "name", "label"]);
  const engine = await openContainerContext(global);
  const { volumes, damaged } = listVolumes(openVolumes(engine.dataRoot));
  for (const name of damaged) warn(global, `the volume ${quote(name)} cannot be read; 'dugout volume rm' removes it`);
  const users = volumeUsers(engine);
  const chosen = volumes.filter((volume) => fitsFilters(volume, filters, users.has(volume.name)));
  const format = textOption(options, "format");
  if (hasSwitch(options, "quiet") && (format === undefined || format.startsWith("table"))) {
    printOut(chosen.map(({ name }) => `${name}\n`).join(""));
    return 0;
  }
  const shape = { noun: "volume", headers: HEADERS, columns: ["Driver", "Name"] };
  printOut(formatRows(chosen.map(describeRow), shape, format));
  return 0;
}

function checkFilter(text: string, allowed: readonly string[]): void {
  const [key, value] = splitPair(text);
  const isKnown = text.includes("=") && allowed.includes(key);
  if (isKnown && (key !== "dangling" || /^(true|false|0|1)$/.test(value))) return;
  if (isKnown) {
    throw new DugoutError("FILTER_INVALID", `Cannot use the filter ${quote(text)}: it is true or false`, {
      exitCode: 1,
    });
  }
  throw new DugoutError(
    "FILTER_INVALID",
    `Cannot use the filter ${quote(text)}: the filters here are ${allowed.map((name) => `${name}=`).join(", ")}`,
    { exitCode: 1 },
  );
}

/** Names and drivers are alternatives, labels must all fit. */
export function fitsFilters(volume: Volume, filters: readonly string[], isUsed: boolean): boolean {
  const pairs = filters.map(splitPair);
  const values = (key: string) => pairs.filter(([name]) => name === key).map(([, value]) => value);
  const [names, drivers] = [values("name"), values("driver")];
  return (names.length === 0 || names.some((name) => volume.name.includes(name))) &&
    (drivers.length === 0 || drivers.includes("local")) &&
    values("label").every((label) => hasLabel(volume.labels, label)) &&
    values("label!").every((label) => !hasLabel(volume.labels, label)) &&
    values("dangling").every((value) => (value === "true" || value === "1") !== isUsed);
}

function describeRow(volume: Volume): Row {
  return {
    Driver: "local",
    Name: volume.name,
    Mountpoint: volume.data,
    Labels: [...volume.labels].map(([key, value]) => `${key}=${value}`).join(","),
    Scope: "local",
    Size: "N/A",
    Links: "N/A",
    Availability: "N/A",
    Group: "N/A",
    Status: "N/A",
  };
}

/** A volume in the shape of Docker's `GET /volumes/NAME`. */
export function describeVolume(volume: Volume): Record<string, unknown> {
  const createdMs = Date.parse(volume.created);
  return {
    CreatedAt: Number.isNaN(createdMs) ? "" : formatRfc3339(createdMs),
    Driver: "local",
    Labels: volume.isAnonymous && volume.labels.size === 0
      ? new Map([["com.docker.volume.anonymous", ""]])
      : volume.labels.size === 0
      ? null
      : volume.labels,
    Mountpoint: volume.data,
    Name: volume.name,
    Options: volume.options.size === 0 ? null : volume.options,
    Scope: "local",
  };
}

/** `dugout volume inspect` */
export async function runInspectVolumes({ options, args, global }: Invocation): Promise<number> {
  const engine = await openContainerContext(global);
  const volumes = openVolumes(engine.dataRoot);
  const objects: unknown[] = [];
  const missing: string[] = [];
  for (const name of args) {
    // what no volume can be called is none that is there
    const volume = isVolumeName(name) ? readVolume(volumes, name) : undefined;
    if (volume === undefined) missing.push(name);
    else objects.push(describeVolume(volume));
  }
  const format = textOption(options, "format");
  if (objects.length > 0 || format === undefined || format === "json") printOut(formatObjects(objects, format));
  for (const name of missing) printError(`dugout: No such volume: ${escapeText(name, 300)}\n`);
  return missing.length === 0 ? 0 : 1;
}

/** `dugout volume rm` */
export async function runRemoveVolumes({ options, args, global }: Invocation): Promise<number> {
  const engine = await openContainerContext(global);
  const force = hasSwitch(options, "force");
  let exitCode = 0;
  for (const name of args) {
    try {
      await removeVolume(engine, name);
      printOut(`${name}\n`);
    } catch (error) {
      if (force && error instanceof DugoutError && error.code === unknownVolume(name).code) printOut(`${name}\n`);
      else exitCode = reportError(error, { failureExitCode: 1, debug: global.debug });
    }
  }
  return exitCode;
}

/** Docker's list of what was removed. */
export function tellPrunedVolumes(names: readonly string[]): void {
  if (names.length > 0) printOut(`Deleted Volumes:\n${names.join("\n")}\n\n`);
}

/** `dugout volume prune` */
export async function runPruneVolumes({ options, global }: Invocation): Promise<number> {
  const filters = listOption(options, "filter");
  for (const text of filters) checkFilter(text.replace("label!=", "label="), ["label", "all"]);
  const all = hasSwitch(options, "all") || filters.some((text) => text === "all=1" || text === "all=true");
  const engine = await openContainerContext(global);
  if (!hasSwitch(options, "force")) {
    const what = all ? "all local volumes" : "anonymous local volumes";
    const question =
      `WARNING! This will remove ${what} not used by at least one container.\nAre you sure you want to continue?`;
    if (!askYesNo(question)) return 0;
  }
  const { names, freedBytes } = await pruneVolumes(
    engine,
    (volume) => (all || volume.isAnonymous) && fitsFilters(volume, filters, false),
  );
  tellPrunedVolumes(names);
  printOut(`Total reclaimed space: ${humanSize(freedBytes)}\n`);
  return 0;
}
