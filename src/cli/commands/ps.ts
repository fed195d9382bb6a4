import { hasRecord } from "#engine/container_record.ts";
import { type Container, listContainers } from "#engine/containers.ts";
import { stateWord } from "#engine/describe_container.ts";
import { compileContainerFilter, LIST_CONTAINER_FILTERS, parseContainerFilters } from "#engine/filter_containers.ts";
import { type ContainerSize, measureContainers } from "#engine/measure_container.ts";
import { shownExitCode } from "#engine/signal_container.ts";
import { openContainerContext, warn } from "../context.ts";
import { formatRows, type ListShape, type Row } from "../format/rows.ts";
import { formatGoTime } from "../format/time.ts";
import { humanDuration, humanSize } from "../format/units.ts";
import { cutWithEllipsis } from "../format/width.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, listOption, textOption } from "../options.ts";
import { printOut } from "../output.ts";

/** Docker's fields of a container in a list. */
const HEADERS = {
  ID: "CONTAINER ID",
  Image: "IMAGE",
  Command: "COMMAND",
  RunningFor: "CREATED",
  Status: "STATUS",
  Ports: "PORTS",
  Names: "NAMES",
  Size: "SIZE",
  CreatedAt: "CREATED AT",
  State: "STATE",
  Labels: "LABELS",
  Mounts: "MOUNTS",
  LocalVolumes: "LOCAL VOLUMES",
  Networks: "NETWORKS",
} as const;

/** `dugout ps` */
export async function runPs({ options, global }: Invocation): Promise<number> {
  const filter = parseContainerFilters(listOption(options, "filter"), LIST_CONTAINER_FILTERS);
  const engine = await openContainerContext(global);
  const { containers, damaged } = listContainers(engine);
  for (const id of damaged.filter((id) => hasRecord(engine.dataRoot, id))) {
    warn(global, `the container "${id.slice(0, 12)}" cannot be read; 'dugout rm -f' with its id removes it`);
  }
  const nowMs = Date.now();
  const fits = compileContainerFilter(engine, filter, nowMs);
  const last = hasSwitch(options, "latest") ? 1 : Number(textOption(options, "last") ?? -1);
  const showsAll = hasSwitch(options, "all") || last > 0 || filter.has("status");
  const chosen = containers
    .filter((container) => (showsAll || container.status.kind === "running") && fits(container))
    .slice(0, last > 0 ? last : undefined);
  const format = textOption(options, "format");
  const idsInFull = hasSwitch(options, "no-trunc");
  if (hasSwitch(options, "quiet") && (format === undefined || format.startsWith("table"))) {
    printOut(chosen.map(({ record: { id } }) => `${idsInFull ? id : id.slice(0, 12)}\n`).join(""));
    return 0;
  }
  const wantsSize = hasSwitch(options, "size") || /\.Size\b/.test(format ?? "");
  const sizes = wantsSize ? await measureContainers(engine, chosen.map(({ record }) => record)) : [];
  const rows = chosen.map((container, i) => describeContainerRow(container, nowMs, idsInFull, sizes[i]));
  const columns = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];
  const shape: ListShape = {
    noun: "container",
    headers: HEADERS,
    columns: hasSwitch(options, "size") ? [...columns, "Size"] : columns,
  };
  printOut(formatRows(rows, shape, format));
  return 0;
}

/** A container in docker's lists. */
export function describeContainerRow(
  container: Container,
  nowMs: number,
  inFull: boolean,
  size: ContainerSize | undefined,
): Row {
  const { record, status } = container;
  const createdMs = Date.parse(record.created);
  const command = record.command.join(" ");
  const rootfs = record.facts["rootfs"];
  const mounts = record.mounts.filter(({ kind }) => kind !== "tmpfs").map(({ volume, source }) => volume ?? source);
  return {
    ID: inFull ? record.id : record.id.slice(0, 12),
    Image: record.image ?? (typeof rootfs === "string" ? rootfs : ""),
    Command: `"${(inFull ? command : cutWithEllipsis(command, 20)).replaceAll(/["\\]/g, "\\$&")}"`,
    RunningFor: Number.isNaN(createdMs) ? "N/A" : `${humanDuration(nowMs - createdMs)} ago`,
    CreatedAt: Number.isNaN(createdMs) ? "N/A" : formatGoTime(createdMs),
    Status: describeStatus(container, nowMs),
    State: stateWord(status),
    Ports: "",
    Names: record.name,
    Size: size === undefined ? "" : describeSize(size),
    Labels: [...record.labels].map(([key, value]) => `${key}=${value}`).join(","),
    Mounts: mounts.map((mount) => inFull ? mount : cutWithEllipsis(mount, 15)).join(","),
    LocalVolumes: String(record.mounts.filter(({ volume }) => volume !== undefined).length),
    Networks: record.network === "default" ? "host" : record.network,
  };
}

/** Docker's words. */
function describeStatus(container: Container, nowMs: number): string {
  const { status } = container;
  switch (status.kind) {
    case "created":
      return "Created";
    case "running":
      return `Up ${humanDuration(nowMs - status.state.startedMs)}`;
    case "exited": {
      const { finishedMs } = status.end;
      const ago = finishedMs === undefined ? "" : ` ${humanDuration(nowMs - finishedMs)} ago`;
      return `Exited (${shownExitCode(container)})${ago}`;
    }
    case "elsewhere":
      return `On ${status.machine}`;
    default:
      throw new Error(`Unknown status ${status satisfies never}`);
  }
}

function describeSize({ ownBytes, allBytes }: ContainerSize): string {
  return `${humanSize(ownBytes, 3)} (virtual ${humanSize(allBytes, 3)})`;
}
