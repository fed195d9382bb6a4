/**
 * What a container wrote, line by line, with the time of each.
 *
 * @module
 */

/** The time of a frame. */
export interface LogTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** What stands before each line. */
export interface LineOptions {
  readonly timestamps: boolean;
  /** Docker prints them, and a blank, also when there are none. */
  readonly details: string | undefined;
}

/** Splits the output of two streams into lines. */
export interface LinePrinter {
  /** @returns The lines that are whole now. */
  add(stream: "stdout" | "stderr", time: LogTime, bytes: Uint8Array): Uint8Array;
  /** @returns What has no line feed, at the end. */
  end(stream: "stdout" | "stderr"): Uint8Array;
}

const LF = 0x0a;

/** RFC 3339 with all nine digits, as docker prints it. */
export function formatLogTime({ seconds, nanoseconds }: LogTime): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(nanoseconds).padStart(9, "0")}Z`;
}

/** Makes a printer. A line has the time at which its beginning came. */
export function makeLinePrinter({ timestamps, details }: LineOptions): LinePrinter {
  const open = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const encoder = new TextEncoder();
  const head = (time: LogTime): Uint8Array =>
    encoder.encode((timestamps ? `${formatLogTime(time)} ` : "") + (details === undefined ? "" : `${details} `));
  return {
    add(stream, time, bytes) {
      const done: Uint8Array[] = [];
      let from = 0;
      while (from < bytes.length) {
        const feed = bytes.indexOf(LF, from);
        const end = feed < 0 ? bytes.length : feed + 1;
        if (open[stream].length === 0) open[stream].push(head(time));
        // the bytes are there until the next read only
        open[stream].push(feed < 0 ? bytes.slice(from, end) : bytes.subarray(from, end));
        if (feed >= 0) done.push(...open[stream].splice(0));
        from = end;
      }
      return join(done);
    },
    end: (stream) => join(open[stream].splice(0)),
  };
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
