/**
 * What runs in a container, as ps(1) tells it.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { DugoutError } from "#oci/error.ts";
import { listProcesses, type ProcessStat, TICKS_A_SECOND } from "./container_processes.ts";
import type { Engine } from "../engine.ts";
import { readSpecFile } from "../prepare/spec_file.ts";
import type { ContainerState } from "../record/container_state.ts";

/** A table of processes. */
export interface ProcessTable {
  readonly titles: readonly string[];
  /** As many cells as there are titles. */
  readonly processes: readonly (readonly string[])[];
}

/**
 * Lists the processes of a container.
 * @param options Of ps; none: docker's columns, which take no ps.
 * @throws {DugoutError} PS_MISSING, PS_FAILED, PS_WITHOUT_PID.
 */
export function topContainer(engine: Engine, state: ContainerState, options: readonly string[]): ProcessTable {
  const processes = listProcesses(state, readSpecFile(engine.dataRoot, state.id)?.init ?? false);
  return options.length === 0 ? usualTable(processes) : askPs(options, processes.map(({ pid }) => pid));
}

/** The columns of `ps -ef`. */
function usualTable(processes: readonly ProcessStat[]): ProcessTable {
  const upSeconds = Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]);
  const names = readUserNames();
  return {
    titles: ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"],
    processes: processes.map((process) => {
      const aliveSeconds = Math.max(0, upSeconds - process.startTicks / TICKS_A_SECOND);
      const spentSeconds = process.spentTicks / TICKS_A_SECOND;
      const uid = readUid(process.pid);
      return [
        names.get(uid) ?? uid,
        String(process.pid),
        String(process.parent),
        String(aliveSeconds < 1 ? 0 : Math.min(99, Math.trunc(spentSeconds / aliveSeconds * 100))),
        startText(Date.now() - aliveSeconds * 1000),
        terminalText(process.terminal),
        timeText(spentSeconds),
        commandText(process),
      ];
    }),
  };
}

function readUid(pid: number): string {
  try {
    return /^Uid:\t[0-9]+\t([0-9]+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? "?";
  } catch {
    return "?";
  }
}

/** Names of this machine's users: pids and ids are those of the machine here, as with docker. */
function readUserNames(): Map<string, string> {
  const names = new Map<string, string>();
  let text = "";
  try {
    text = readFileSync("/etc/passwd", "utf8");
  } catch {
    // then ids have no names
  }
  for (const line of text.split("\n")) {
    const [name = "", , uid = ""] = line.split(":");
    if (uid !== "" && !names.has(uid)) names.set(uid, name);
  }
  return names;
}

const DAY_MS = 86_400_000;

/** The hour today, else the day, as ps has it. */
function startText(startMs: number): string {
  const start = new Date(startMs);
  if (Date.now() - startMs < DAY_MS) {
    return `${String(start.getHours()).padStart(2, "0")}:${String(start.getMinutes()).padStart(2, "0")}`;
  }
  return `${start.toLocaleString("en-US", { month: "short" })}${String(start.getDate()).padStart(2, "0")}`;
}

const FIRST_PTS_MAJOR = 136;

/** Of the device number in stat: the minor's low byte, the major, the rest of the minor (proc(5)). */
function terminalText(device: number): string {
  if (device === 0) return "?";
  const major = device >> 8 & 0xff;
  const minor = (device & 0xff) | (device >> 12 & 0xfff00);
  return major >= FIRST_PTS_MAJOR && major < FIRST_PTS_MAJOR + 8 ? `pts/${minor}` : `tty${minor}`;
}

function timeText(seconds: number): string {
  const two = (value: number): string => String(Math.trunc(value)).padStart(2, "0");
  return `${two(seconds / 3600)}:${two(seconds / 60 % 60)}:${two(seconds % 60)}`;
}

function commandText({ pid, name }: ProcessStat): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter((word) => word !== "");
    return words.length === 0 ? `[${name}]` : words.join(" ");
  } catch {
    return `[${name}]`;
  }
}

/** This machine's ps, by its place: nothing of a container's is executed. */
const PS_PLACES = ["/usr/bin/ps", "/bin/ps"];
const MOST_OUTPUT_BYTES = 16 << 20;

/** Asks ps with the user's options, and keeps the lines of the container's processes: docker's way. */
function askPs(options: readonly string[], pids: readonly number[]): ProcessTable {
  const program = PS_PLACES.find((path) => existsSync(path));
  if (program === undefined) {
    throw new DugoutError("PS_MISSING", "Cannot use options of ps: this machine has no /usr/bin/ps", {
      hint: "leave the options out, or install procps",
    });
  }
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  const run = (args: readonly string[]) =>
    spawnSync(program, args, {
      encoding: "utf8",
      maxBuffer: MOST_OUTPUT_BYTES,
      env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8" },
    });
  // not with every option: then all processes are looked through
  const few = run([...options, `-q${pids.join(",")}`]);
  const answer = few.status === 0 ? few : run(options);
  if (answer.status !== 0) {
    throw new DugoutError("PS_FAILED", `ps: ${answer.stderr.trim().split("\n")[0] || "failed"}`);
  }
  return keepProcesses(answer.stdout, new Set(pids));
}

/** Reads what ps has printed. The last column may have blanks. */
export function keepProcesses(text: string, pids: ReadonlySet<number>): ProcessTable {
  const [head = "", ...lines] = text.split("\n");
  const titles = head.trim().split(/\s+/);
  const column = titles.indexOf("PID");
  if (column < 0) {
    throw new DugoutError("PS_WITHOUT_PID", "Couldn't find PID field in ps output", { hint: "add pid to -o" });
  }
  const processes = lines.map((line) => splitCells(line, titles.length)).filter((cells) =>
    pids.has(Number(cells[column]))
  );
  return { titles, processes };
}

function splitCells(line: string, count: number): string[] {
  const words = line.trim().split(/\s+/);
  if (words.length <= count) return words;
  return [...words.slice(0, count - 1), words.slice(count - 1).join(" ")];
}
