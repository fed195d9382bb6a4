import { escapeText } from "#oci/text.ts";
import { humanSize } from "./format/units.ts";
import { cutToWidth, displayWidth } from "./format/width.ts";

/** Where progress is shown. */
export interface ProgressScreen {
  /** A terminal gets bars that are drawn again, all else gets a line for each event that lasts. */
  isTerminal: boolean;
  columns: number;
  rows: number;
  write: (text: string) => void;
  nowMs: () => number;
}

/** What a part (a layer) is doing, in docker's words. Only those of {@linkcode LASTING} are told where there is no terminal. */
export type PartState =
  | "Pulling fs layer"
  | "Waiting"
  | "Downloading"
  | "Verifying Checksum"
  | "Download complete"
  | "Extracting"
  | "Pull complete"
  | "Already exists"
  | "Loading layer"
  | "Layer already exists"
  | "Preparing"
  | "Pushing"
  | "Pushed"
  | "Skipped foreign layer"
  | `Mounted from ${string}`
  | `Retrying in ${number} second${"" | "s"}`;

const LASTING: ReadonlySet<PartState> = new Set<PartState>([
  "Pulling fs layer",
  "Download complete",
  "Pull complete",
  "Already exists",
  "Preparing",
  "Layer already exists",
  "Pushed",
  "Skipped foreign layer",
]);

/** States that are left out first where the screen is too small. */
const FINISHED: ReadonlySet<PartState> = new Set<PartState>([
  "Pull complete",
  "Already exists",
  "Layer already exists",
  "Pushed",
  "Skipped foreign layer",
]);

function isMounted(state: PartState): boolean {
  return state.startsWith("Mounted from ");
}

export interface Progress {
  /** A line of its own, above the parts on a terminal: `latest: Pulling from library/debian`. */
  line(text: string): void;
  /** Says what a part is doing; a part stands where it was first told of. */
  part(id: string, state: PartState, doneBytes?: number, totalBytes?: number): void;
  /** Draws what is not drawn yet and leaves the cursor below. What follows is printed below it. */
  end(): void;
}

/** Time between two drawings: more often is only flicker, and work for the terminal. */
const DRAW_EVERY_MS = 100;

interface Part {
  id: string;
  state: PartState;
  doneBytes: number | undefined;
  totalBytes: number | undefined;
}

/** Starts to show progress. Nothing is drawn before the first event. */
export function createProgress(screen: ProgressScreen): Progress {
  return screen.isTerminal ? createBars(screen) : createLines(screen);
}

function createLines({ write }: ProgressScreen): Progress {
  const told = new Map<string, PartState>();
  return {
    line: (text) => write(escapeText(text) + "\n"),
    part: (id, state) => {
      if (!(LASTING.has(state) || isMounted(state)) || told.get(id) === state) return;
      told.set(id, state);
      write(`${escapeText(id)}: ${escapeText(state)}\n`);
    },
    end: () => {},
  };
}

function createBars(screen: ProgressScreen): Progress {
  const parts = new Map<string, Part>();
  /** Lines of the block that stands above the cursor. */
  let drawnLines = 0;
  let drawnAtMs = -Infinity;
  let isStale = false;

  const draw = (lines: readonly string[]): void => {
    // one write for all, so that nothing is seen half-way
    let text = drawnLines === 0 ? "" : `\x1b[${drawnLines}A`;
    for (const line of lines) text += `\x1b[2K${line}\r\n`;
    // a block that has become shorter leaves lines behind
    if (drawnLines > lines.length) text += "\x1b[J";
    screen.write(text);
    drawnLines = lines.length;
    drawnAtMs = screen.nowMs();
    isStale = false;
  };
  const drawVisible = (): void => draw(chooseLines([...parts.values()], screen));

  return {
    line: (text) => {
      const lines = drawnLines === 0 ? [] : chooseLines([...parts.values()], screen);
      if (drawnLines > 0) screen.write(`\x1b[${drawnLines}A\x1b[J`);
      drawnLines = 0;
      screen.write(cutToWidth(escapeText(text), screen.columns * 20) + "\r\n");
      if (lines.length > 0) draw(lines);
    },
    part: (id, state, doneBytes, totalBytes) => {
      const before = parts.get(id);
      parts.set(id, { id, state, doneBytes, totalBytes });
      isStale = true;
      // a change of state is shown at once; bytes only now and then
      if (before?.state !== state || screen.nowMs() - drawnAtMs >= DRAW_EVERY_MS) drawVisible();
    },
    end: () => {
      const lines = [...parts.values()].map((part) => describePart(part, screen.columns));
      if (isStale || lines.length !== drawnLines) draw(lines);
      parts.clear();
      drawnLines = 0;
    },
  };
}

/** The lines of the parts, at most as many as the screen has: finished ones are left out first, the rest is counted. */
function chooseLines(parts: readonly Part[], { columns, rows }: ProgressScreen): string[] {
  const most = Math.max(rows - 2, 2);
  if (parts.length <= most) return parts.map((part) => describePart(part, columns));
  const working = parts.filter(({ state }) => !FINISHED.has(state) && !isMounted(state));
  const shown = working.slice(0, most - 1);
  const rest = cutToWidth(`${parts.length - shown.length} more layers`, columns - 1);
  return [...shown.map((part) => describePart(part, columns)), rest];
}

/** `aaaaaaaaaaaa: Downloading [====>     ]  60kB/100kB`, never wider than the screen. */
function describePart({ id, state, doneBytes, totalBytes }: Part, columns: number): string {
  const head = `${escapeText(id)}: ${escapeText(state)}`;
  if (doneBytes === undefined) return cutToWidth(head, columns - 1);
  const hasTotal = totalBytes !== undefined && totalBytes > 0;
  const sizes = hasTotal ? `${humanSize(doneBytes)}/${humanSize(totalBytes)}` : humanSize(doneBytes);
  // fixed room for the sizes, or the bar would jump when a digit comes
  const room = columns - 1 - displayWidth(head) - 20 - 4;
  if (!hasTotal || room < 10) return cutToWidth(`${head}  ${sizes}`, columns - 1);
  return `${head} ${drawBar(Math.min(doneBytes / totalBytes, 1), Math.min(room, 50))}  ${sizes}`;
}

function drawBar(fraction: number, width: number): string {
  const done = Math.round(fraction * width);
  return `[${"=".repeat(done)}${done < width ? ">" : ""}${" ".repeat(Math.max(width - done - 1, 0))}]`;
}
