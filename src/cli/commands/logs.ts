import { join } from "node:path";
import { readKeptRequest } from "#engine/life/kept_container.ts";
import { findContainer } from "#engine/record/containers.ts";
import type { ContainerRecord } from "#engine/record/container_record.ts";
import type { Engine } from "#engine/engine.ts";
import type { LogFrame } from "#engine/log/frames.ts";
import { readLog } from "#engine/log/read_log.ts";
import { waitForEnd } from "#engine/life/signal_container.ts";
import { parsePointInTime } from "#image/point_in_time.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { openContainerContext, warn } from "../context.ts";
import type { Invocation } from "../invocation.ts";
import { makeLinePrinter } from "../log_lines.ts";
import { hasSwitch, textOption } from "../options.ts";
import { writeAll } from "../output.ts";
import { recordOf } from "./containers.ts";
import { withLatest } from "./latest.ts";

const DESCRIPTORS = { stdout: 1, stderr: 2 } as const;

/** `dugout logs` */
export async function runLogs({ options, args, global }: Invocation): Promise<number> {
  const nowMs = Date.now();
  const timeOf = (flag: string): number | undefined => {
    const text = textOption(options, flag);
    return text === undefined || text === "" ? undefined : parsePointInTime(text, nowMs);
  };
  const [sinceMs, untilMs] = [timeOf("since"), timeOf("until")];
  const tailLines = readTail(textOption(options, "tail") ?? "all");
  const engine = await openContainerContext(global);
  const record = recordOf(findContainer(engine, withLatest(engine, { options, args })[0] ?? ""));
  const details = hasSwitch(options, "details") ? describeDetails(record) : undefined;
  const printer = hasSwitch(options, "timestamps") || details !== undefined
    ? makeLinePrinter({ timestamps: hasSwitch(options, "timestamps"), details })
    : undefined;
  const print = ({ stream, bytes, ...time }: LogFrame): void => {
    if (stream === "lost") {
      const count = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
      return warn(global, `${count} bytes of output are missing here: the disk was full`);
    }
    writeAll(DESCRIPTORS[stream], printer === undefined ? bytes : printer.add(stream, time, bytes));
  };
  const stop = new AbortController();
  const untilEnd = hasSwitch(options, "follow") ? followUntil(engine, record, untilMs, stop) : undefined;
  requireLog(record);
  const directory = join(engine.dataRoot, "containers", record.id);
  for await (const frames of readLog(directory, { tailLines, until: untilEnd, signal: stop.signal })) {
    for (const frame of frames) {
      // each for itself: clocks are set back
      const ms = frame.seconds * 1000 + frame.nanoseconds / 1e6;
      if ((sinceMs === undefined || ms >= sinceMs) && (untilMs === undefined || ms <= untilMs)) print(frame);
    }
  }
  for (const stream of ["stdout", "stderr"] as const) {
    const rest = printer?.end(stream);
    if (rest !== undefined && rest.length > 0) writeAll(DESCRIPTORS[stream], rest);
  }
  return 0;
}

/** When nothing more is to be waited for: the container has ended, or the time is over. */
async function followUntil(
  engine: Engine,
  record: ContainerRecord,
  untilMs: number | undefined,
  stop: AbortController,
): Promise<void> {
  const limitMs = untilMs === undefined ? undefined : Math.max(0, untilMs - Date.now());
  const status = await waitForEnd(engine, record, limitMs);
  if (status?.kind === "running") stop.abort();
}

function readTail(text: string): number | undefined {
  // docker takes what is no number, and negative ones, for all
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}

function requireLog(record: ContainerRecord): void {
  if (record.request === undefined || readKeptRequest(record).request.log.driver !== "none") return;
  throw new DugoutError("LOG_NOT_KEPT", "configured logging driver does not support reading", {
    exitCode: 1,
    hint: `the container ${quote(record.name)} was made with --log-driver none`,
  });
}

/** What `--log-opt labels=…` and `env=…` name, as docker prints it. */
function describeDetails(record: ContainerRecord): string {
  if (record.request === undefined) return "";
  const { request } = readKeptRequest(record);
  const namesOf = (option: string) => (request.log.options.get(option) ?? "").split(",").filter((name) => name !== "");
  const env = new Map(request.env);
  const found = [
    ...namesOf("labels").map((name) => [name, record.labels.get(name)] as const),
    ...namesOf("env").map((name) => [name, env.get(name)] as const),
  ];
  return found
    .flatMap(([name, value]) => value === undefined ? [] : [`${encodeURIComponent(name)}=${encodeURIComponent(value)}`])
    .sort()
    .join(",");
}
