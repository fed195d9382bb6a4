import { hasRecord } from "#engine/record/container_record.ts";
import type { Container } from "#engine/record/containers.ts";
import { exposedPorts, shownNetworks, stateWord } from "#engine/describe/describe_container.ts";
import {
  compileContainerFilter,
  LIST_CONTAINER_FILTERS,
  parseContainerFilters,
} from "#engine/describe/filter_containers.ts";
import { describePorts, publishedPorts } from "#engine/describe/describe_networks.ts";
import type { Engine } from "#engine/engine.ts";
import { healthOf } from "#engine/health/describe_health.ts";
import type { HealthWord } from "#engine/health/judge.ts";
import { type ContainerSize, measureContainers } from "#engine/store/measure_container.ts";
import { shownExitCode } from "#engine/record/containers.ts";
import { openContainerListing, warn } from "../context.ts";
import { formatRows, type ListShape, type Row } from "../format/rows.ts";
import { formatGoTime } from "../format/time.ts";
import { humanDuration, humanSize } from "../format/units.ts";
import { cutWithEllipsis } from "../format/width.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, listOption, textOption } from "../options.ts";
import { printOut } from "../output.ts";
import { compareText } from "../template/json.ts";
import { usageError } from "../usage_error.ts";

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
  const compare = readOrder(textOption(options, "sort"));
  const filter = parseContainerFilters(listOption(options, "filter"), LIST_CONTAINER_FILTERS);
  const { engine, containers, damaged } = await openContainerListing(global);
  const isExternal = hasSwitch(options, "external");
  const unread = damaged.filter((id) => hasRecord(engine.dataRoot, id));
  for (const id of isExternal ? [] : unread) {
    warn(global, `the container "${id.slice(0, 12)}" cannot be read; 'dugout rm -f' with its id removes it`);
  }
  const nowMs = Date.now();
  const fits = compileContainerFilter(engine, filter, nowMs);
  const last = hasSwitch(options, "latest") ? 1 : Number(textOption(options, "last") ?? -1);
  const showsAll = hasSwitch(options, "all") || last > 0 || filter.has("status");
  const chosen = containers
    .filter((container) => (showsAll || isAtWork(container)) && fits(container))
    .slice(0, last > 0 ? last : undefined);
  const format = textOption(options, "format");
  const idsInFull = hasSwitch(options, "no-trunc");
  if (hasSwitch(options, "quiet") && (format === undefined || format.startsWith("table"))) {
    const ids = [...chosen.map(({ record: { id } }) => id), ...(isExternal ? unread : [])];
    printOut(ids.map((id) => `${idsInFull ? id : id.slice(0, 12)}\n`).join(""));
    return 0;
  }
  const wantsSize = hasSwitch(options, "size") || textOption(options, "sort") === "size" ||
    /\.Size\b/.test(format ?? "");
  const sizes = wantsSize ? await measureContainers(engine, chosen.map(({ record }) => record)) : [];
  const rows = order(chosen.map((container, i) => ({ container, size: sizes[i] })), compare)
    .map(({ container, size }) =>
      describeContainerRow(
        container,
        nowMs,
        idsInFull,
        size,
        healthOf(engine, container)?.status,
        shownPorts(engine, container),
      )
    );
  if (isExternal) rows.push(...unread.map((id) => describeDamagedRow(id, idsInFull)));
  const columns = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];
  const shape: ListShape = {
    noun: "container",
    headers: HEADERS,
    columns: hasSwitch(options, "size") ? [...columns, "Size"] : columns,
    hasNoHeading: hasSwitch(options, "noheading"),
  };
  printOut(formatRows(rows, shape, format));
  return 0;
}

/** Whether it is listed without `--all`: it runs, or is about to run again. */
function isAtWork({ status }: Container): boolean {
  return status.kind === "running" || (status.kind === "exited" && status.isRestarting === true);
}

interface Measured {
  readonly container: Container;
  readonly size: ContainerSize | undefined;
}

type Compare = (a: Measured, b: Measured) => number;

const byText = (read: (container: Container) => string): Compare => (a, b) =>
  compareText(read(a.container), read(b.container));

/** Podman's orders. */
const ORDERS: ReadonlyMap<string, Compare> = new Map<string, Compare>([
  ["command", byText(({ record }) => record.command.join(" "))],
  ["created", byText(({ record }) => record.created)],
  ["id", byText(({ record }) => record.id)],
  ["image", byText(({ record }) => record.image ?? "")],
  ["names", byText(({ record }) => record.name)],
  ["runningfor", byText(({ record }) => record.created)],
  ["size", (a, b) => (a.size?.ownBytes ?? 0) - (b.size?.ownBytes ?? 0)],
  ["status", byText(({ status }) => stateWord(status))],
]);

function readOrder(name: string | undefined): Compare | undefined {
  if (name === undefined) return undefined;
  const found = ORDERS.get(name);
  if (found === undefined) {
    throw usageError(`"${name}" is not a valid value for --sort`, 125, `one of ${[...ORDERS.keys()].join(", ")}`);
  }
  return found;
}

function order(measured: Measured[], compare: Compare | undefined): Measured[] {
  return compare === undefined ? measured : measured.sort(compare);
}

/** What is known of a container whose record cannot be read: that its files are there. */
function describeDamagedRow(id: string, inFull: boolean): Row {
  const empty = Object.fromEntries(Object.keys(HEADERS).map((field) => [field, ""]));
  return { ...empty, ID: inFull ? id : id.slice(0, 12), Status: "Storage", State: "unknown", Names: id.slice(0, 12) };
}

/** Of one that runs in a network of its own. */
function shownPorts(engine: Engine, { record, status }: Container): string {
  const [first = ""] = shownNetworks(record);
  if (status.kind !== "running" || first === "host" || first === "none" || first.startsWith("container:")) return "";
  return describePorts(publishedPorts(engine, record.id), exposedPorts(record));
}

/** A container in docker's lists. */
export function describeContainerRow(
  container: Container,
  nowMs: number,
  inFull: boolean,
  size: ContainerSize | undefined,
  health?: HealthWord,
  ports = "",
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
    // few ask for it, and the first time that a program asks for the zone takes milliseconds
    get CreatedAt() {
      return Number.isNaN(createdMs) ? "N/A" : formatGoTime(createdMs);
    },
    Status: describeStatus(container, nowMs) + describeHealthWord(health, container),
    State: stateWord(status),
    Ports: ports,
    Names: record.name,
    Size: size === undefined ? "" : describeSize(size),
    Labels: [...record.labels].map(([key, value]) => `${key}=${value}`).join(","),
    Mounts: mounts.map((mount) => inFull ? mount : cutWithEllipsis(mount, 15)).join(","),
    LocalVolumes: String(record.mounts.filter(({ volume }) => volume !== undefined).length),
    Networks: shownNetworks(record).join(","),
  };
}

function describeHealthWord(health: HealthWord | undefined, { status }: Container): string {
  if (health === undefined || status.kind !== "running") return "";
  return health === "starting" ? " (health: starting)" : ` (${health})`;
}

/** Docker's words. */
function describeStatus(container: Container, nowMs: number): string {
  const { status } = container;
  switch (status.kind) {
    case "created":
      return "Created";
    case "running":
      return `Up ${humanDuration(nowMs - status.state.startedMs)}${status.isPaused ? " (Paused)" : ""}`;
    case "exited": {
      const { finishedMs } = status.end;
      const ago = finishedMs === undefined ? "" : ` ${humanDuration(nowMs - finishedMs)} ago`;
      return `${status.isRestarting ? "Restarting" : "Exited"} (${shownExitCode(container)})${ago}`;
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
