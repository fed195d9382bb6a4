/**
 * The runtime's messages: lines as logrus writes them, as text or as JSON, to stderr or to a file. What calls a runtime looks
 * for them there (podman and conmon ask for JSON).
 *
 * @module
 */
import { closeSync, constants, openSync } from "node:fs";
import { escapeText } from "#oci/text.ts";
import { usageError } from "../usage_error.ts";
import { printError, writeAll } from "../output.ts";

/** Where messages go. */
export interface RuntimeLog {
  /** A failure, which ends the command: to the log, and to stderr where that is another place. */
  error(message: string): void;
  warn(message: string): void;
  /** Only with `--debug`. */
  debug(message: string): void;
}

/** What the command line says of messages. */
export interface LogOptions {
  readonly path: string | undefined;
  readonly format: string;
  readonly debug: boolean;
}

/** Opens the log. @throws {DugoutError} USAGE for an unknown format, or a file that cannot be written. */
export function openLog({ path, format, debug }: LogOptions): RuntimeLog {
  if (format !== "text" && format !== "json") throw usageError(`invalid log-format: ${format}`, 1, "");
  const file = path === undefined || path === "/dev/stderr" ? undefined : openLogFile(path);
  const write = (level: string, message: string) => {
    const time = `${new Date().toISOString().slice(0, 19)}Z`;
    const line = format === "json"
      ? `${JSON.stringify({ level, msg: message, time })}\n`
      : `time=${JSON.stringify(time)} level=${level} msg=${JSON.stringify(escapeText(message, 4000))}\n`;
    if (file === undefined) printError(line);
    else writeAll(file, line);
  };
  return {
    error(message) {
      write("error", message);
      if (file !== undefined) {
        printError(`${escapeText(message, 4000)}\n`);
        closeSync(file);
      }
    },
    warn: (message) => write("warning", message),
    debug: (message) => debug ? write("debug", message) : undefined,
  };
}

/** A link in its place is not followed. */
function openLogFile(path: string): number {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
  try {
    return openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o644);
  } catch (error) {
    throw usageError(`open ${path}: ${(error as NodeJS.ErrnoException).code}`, 1, "");
  }
}
