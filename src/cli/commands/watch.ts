import { type Container, findContainer, readStatus } from "#engine/record/containers.ts";
import { machineMemoryBytes, processorPercent, sampleUsage, type UsageSample } from "#engine/inside/container_usage.ts";
import type { Engine } from "#engine/engine.ts";
import { pauseContainer, unpauseContainer } from "#engine/life/pause_container.ts";
import { requireRunning } from "#engine/inside/require_running.ts";
import { readSpecFile } from "#engine/prepare/spec_file.ts";
import { topContainer } from "#engine/inside/top_container.ts";
import { whereabouts } from "#engine/record/whereabouts.ts";
import { escapeText } from "#oci/text.ts";
import { delay } from "#storage/delay.ts";
import { openContainerContext, openContainerListing } from "../context.ts";
import { formatRows, type ListShape, type Row } from "../format/rows.ts";
import { humanBinarySize, humanSize } from "../format/units.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, textOption } from "../options.ts";
import { printOut } from "../output.ts";
import { forEachName, recordOf } from "./containers.ts";
import { withLatest } from "./latest.ts";

/** docker's table of processes: at least 20 wide, three apart. */
const LEAST_WIDTH = 20;
const GAP = 3;

/** `dugout top` */
export async function runTop({ options, args, global }: Invocation): Promise<number> {
  const engine = await openContainerContext(global);
  const [container = "", ...psOptions] = withLatest(engine, { options, args });
  const { titles, processes } = topContainer(engine, requireRunning(engine, container), psOptions);
  const lines = [titles, ...processes].map((cells) => cells.map((cell) => escapeText(cell, Infinity)));
  const widths = titles.map((_, at) => Math.max(LEAST_WIDTH, ...lines.map((cells) => (cells[at] ?? "").length + GAP)));
  const last = titles.length - 1;
  printOut(
    lines.map((cells) => cells.map((cell, at) => at === last ? cell : cell.padEnd(widths[at] ?? 0)).join("") + "\n")
      .join(""),
  );
  return 0;
}

/** `dugout pause` and `dugout unpause` */
export function runPause(invocation: Invocation): Promise<number> {
  const act = invocation.command.names[0] === "pause" ? pauseContainer : unpauseContainer;
  return forEachName(invocation, (engine, name) => {
    act(engine, recordOf(findContainer(engine, name)));
    return name;
  });
}

const STATS_HEADERS = {
  ID: "CONTAINER ID",
  Name: "NAME",
  CPUPerc: "CPU %",
  MemUsage: "MEM USAGE / LIMIT",
  MemPerc: "MEM %",
  NetIO: "NET I/O",
  BlockIO: "BLOCK I/O",
  PIDs: "PIDS",
  Container: "CONTAINER",
} as const;

const STATS_SHAPE: ListShape = {
  noun: "stats",
  headers: STATS_HEADERS,
  columns: ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"],
};

const INTERVAL_MS = 1000;

/** `dugout stats` */
export async function runStats({ options, args, global }: Invocation): Promise<number> {
  const format = textOption(options, "format");
  const inFull = hasSwitch(options, "no-trunc");
  const engine = await openContainerContext(global);
  const names = withLatest(engine, { options, args });
  const choose = async (): Promise<Container[]> => {
    if (names.length > 0) {
      const here = whereabouts();
      return names.map((name) => {
        const record = recordOf(findContainer(engine, name));
        return { record, status: readStatus(engine, record, here) };
      });
    }
    const { containers } = await openContainerListing(global);
    return containers.filter(({ status }) => hasSwitch(options, "all") || status.kind === "running");
  };
  let before = takeSamples(engine, await choose());
  for (;;) {
    await delay(INTERVAL_MS);
    const containers = await choose();
    const after = takeSamples(engine, containers);
    const rows = containers.map((container) =>
      describeUsage(container, before.get(container.record.id), after.get(container.record.id), inFull)
    );
    const text = formatRows(rows, STATS_SHAPE, format);
    if (hasSwitch(options, "no-stream")) {
      printOut(text);
      return 0;
    }
    // home, and what was there is gone; programs that read it get no such marks
    printOut(process.stdout.isTTY ? `\x1b[H\x1b[J${text}` : text);
    before = after;
  }
}

function takeSamples(engine: Engine, containers: readonly Container[]): Map<string, UsageSample> {
  const samples = new Map<string, UsageSample>();
  for (const { record: { id }, status } of containers) {
    if (status.kind !== "running") continue;
    samples.set(id, sampleUsage(status.state, readSpecFile(engine.dataRoot, id)?.init ?? false));
  }
  return samples;
}

/** Two numbers of bytes with a slash between them; "--" where one is unknown. */
function pair(left: number | undefined, right: number | undefined, digits = 3): string {
  return left === undefined || right === undefined ? "--" : `${humanSize(left, digits)} / ${humanSize(right, digits)}`;
}

function describePressure(pressure: UsageSample["pressure"]): Row {
  const show = (value: number | undefined) => value === undefined ? "--" : `${value.toFixed(2)}%`;
  return { CPUPressure: show(pressure?.cpu), IOPressure: show(pressure?.io), MemPressure: show(pressure?.memory) };
}

/** A container in docker's words; one that does not run uses nothing. */
function describeUsage(
  { record: { id, name } }: Container,
  before: UsageSample | undefined,
  after: UsageSample | undefined,
  inFull: boolean,
): Row {
  const limit = after === undefined ? 0 : Math.min(after.memoryLimitBytes ?? Infinity, machineMemoryBytes());
  const memory = after?.memoryBytes ?? 0;
  const percent = before === undefined || after === undefined ? 0 : processorPercent(before, after);
  return {
    BlockIO: after === undefined ? pair(0, 0) : pair(after.readBytes, after.writtenBytes),
    CPUPerc: `${percent.toFixed(2)}%`,
    Container: inFull ? id : id.slice(0, 12),
    ID: inFull ? id : id.slice(0, 12),
    MemPerc: `${(limit === 0 ? 0 : memory / limit * 100).toFixed(2)}%`,
    MemUsage: `${humanBinarySize(memory)} / ${humanBinarySize(limit)}`,
    Name: name,
    NetIO: after === undefined ? pair(0, 0) : pair(after.receivedBytes, after.sentBytes),
    PIDs: String(after?.tasks ?? 0),
    // ours, for --format
    ...describePressure(after?.pressure),
  };
}
