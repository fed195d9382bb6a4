import { escapeText } from "#oci/text.ts";
import { PipeClosedError, printError } from "./output.ts";

/** What the command that failed wants to be said about its exit code, and how much to tell. */
export interface ReportRules {
  /** The exit code where the error names none, or names the general 125. */
  failureExitCode: number;
  /** Show where the error came from. */
  debug: boolean;
}

/**
 * The one place that tells a user of an error: `dugout: MESSAGE`, a line of advice where there is some, and the exit code.
 * Errors that carry a `code` are meant for users and come without a stack; all others are bugs of ours, and say so.
 * @returns The exit code.
 */
export function reportError(error: unknown, rules: ReportRules): number {
  const { text, exitCode } = describeError(error, rules);
  if (text !== "") printError(text);
  return exitCode;
}

/** The lines that tell of an error, and the exit code; nothing is to be said when the reader of the output has gone. */
export function describeError(error: unknown, rules: ReportRules): { text: string; exitCode: number } {
  if (error instanceof PipeClosedError) return { text: "", exitCode: error.exitCode };
  const lines: string[] = [];
  let exitCode: number;
  if (isForUsers(error)) {
    lines.push(`dugout: ${escapeText(error.message, 4000)}`);
    if (typeof error.hint === "string" && error.hint !== "") {
      // advice may be several lines, such as the text of a profile
      for (const line of error.hint.split("\n")) lines.push(`  ${escapeText(line, 4000)}`);
    }
    exitCode = exitCodeOf(error, rules);
  } else {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    lines.push(`dugout: internal error: ${escapeText(message, 4000)}`);
    lines.push("  this is a bug in dugout; please report it with what '--debug' adds");
    exitCode = 125;
  }
  if (rules.debug) lines.push(...describeOrigin(error));
  return { text: lines.join("\n") + "\n", exitCode };
}

type UserError = Error & { code: string; hint?: unknown; exitCode?: unknown };

/** `ERR_…` are Node's codes for wrong use of its own functions: our bugs, but for those that the network brings. */
function isForUsers(error: unknown): error is UserError {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return false;
  return !error.code.startsWith("ERR_") || error.code.startsWith("ERR_TLS_");
}

function exitCodeOf(error: UserError, rules: ReportRules): number {
  // 125 is what errors carry by default: "the engine failed". docker says that with 1 where no container's code could be meant
  if (typeof error.exitCode !== "number" || (error.exitCode === 125 && !KEEPS_125.has(error.code))) {
    return rules.failureExitCode;
  }
  return error.exitCode;
}

/** Codes whose 125 holds in every command: docker's for wrong flags, ours for what is refused or not there yet. */
const KEEPS_125: ReadonlySet<string> = new Set(["USAGE", "NOT_YET", "REFUSED", "FLAG_REFUSED"]);

/** Stacks of the error and of what caused it, at most five deep. */
function describeOrigin(error: unknown): string[] {
  const lines: string[] = [];
  let at: unknown = error;
  for (let depth = 0; depth < 5 && at instanceof Error; depth++) {
    lines.push(depth === 0 ? "  at:" : "  caused by:");
    const stack = (at.stack ?? `${at.name}: ${at.message}`).split("\n");
    lines.push(...stack.slice(0, 30).map((line) => "    " + escapeText(line.trim())));
    at = at.cause;
  }
  return lines;
}
