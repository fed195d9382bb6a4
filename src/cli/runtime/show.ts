/**
 * `state`, `list`, `ps`.
 *
 * @module
 */
import { readContainer } from "#bundle/container_state.ts";
import { describeState, listContainers } from "#bundle/list.ts";
import { listProcesses } from "#bundle/signal.ts";
import { escapeText } from "#oci/text.ts";
import { printOut } from "../output.ts";
import { usageError } from "../usage_error.ts";
import type { RuntimeInvocation } from "./main.ts";

/** `state`: JSON, in runc's form. */
export function runState({ root, args }: RuntimeInvocation): number {
  printOut(`${JSON.stringify(describeState(readContainer(root.path, args[0]!)), undefined, 2)}\n`);
  return 0;
}

const COLUMNS = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];

/** `list`: a table, JSON, or ids. */
export function runList({ root, flags, log }: RuntimeInvocation): number {
  const format = flags.text("format") ?? "table";
  if (format !== "table" && format !== "json") throw usageError("invalid format option", 1, "");
  const states = listContainers(root.path, (message) => log.warn(message)).map(describeState);
  if (flags.has("quiet")) {
    printOut(states.map(({ id }) => `${id}\n`).join(""));
    return 0;
  }
  if (format === "json") {
    // none at all is `null`, as Go writes it
    printOut(states.length === 0 ? "null\n" : `${JSON.stringify(states)}\n`);
    return 0;
  }
  const rows = states.map(({ id, pid, status, bundle, created, owner }) =>
    [id, String(pid), status, bundle, created, owner].map((text) => escapeText(text, 4096))
  );
  printOut(table([COLUMNS, ...rows]));
  return 0;
}

/** Columns as Go's tabwriter makes them for runc: 12 wide at least, 3 apart; the last one is not padded. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(12, ...rows.map((row) => row[column]!.length + 3)));
  return rows.map((row) =>
    `${row.map((text, column) => column === row.length - 1 ? text : text.padEnd(widths[column]!)).join("")}\n`
  ).join("");
}

/** `ps`: the lines of ps(1) that are the container's, or its pids. */
export function runPs({ root, args, flags }: RuntimeInvocation): number {
  const format = flags.text("format") ?? "table";
  if (format !== "table" && format !== "json") throw usageError("invalid format option", 1, "");
  const pids = listProcesses(readContainer(root.path, args[0]!));
  if (format === "json") {
    printOut(`${JSON.stringify(pids)}\n`);
    return 0;
  }
  const options = args.slice(1);
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  const ended = spawnSync("ps", options.length === 0 ? ["-ef"] : options, { encoding: "utf8", maxBuffer: 64 << 20 });
  if (ended.status !== 0) throw usageError(`cannot run ps: ${ended.error?.message ?? ended.stderr}`, 1, "");
  const [header = "", ...lines] = ended.stdout.split("\n");
  const column = header.trim().split(/ +/).indexOf("PID");
  if (column < 0) throw usageError("couldn't find PID field in ps output", 1, "");
  const ours = new Set<number>(pids);
  printOut(`${[header, ...lines.filter((line) => ours.has(Number(line.trim().split(/ +/)[column])))].join("\n")}\n`);
  return 0;
}
