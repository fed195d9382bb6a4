/**
 * Small values of `run`: its name, streams, signal, directory, entry point.
 *
 * @module
 */
import { parseSignal } from "#linux/signals.ts";
import { flagError } from "./flag_error.ts";
import type { AttachStream, RootfsRequest, RunOptions, VolumesFrom } from "./run_request.ts";
import { checkNoControls, cleanPath, isContainerReference, isObjectName, splitOnce } from "./text_rules.ts";

/** Reads `--name`; a slash in front is Docker's own way to write names. */
export function parseContainerName(text: string): string {
  const name = text.startsWith("/") ? text.slice(1) : text;
  if (!isObjectName(name)) {
    throw flagError(
      "--name",
      text,
      "a name has two to 255 letters, digits, _, . and -, and begins with a letter or digit",
    );
  }
  return name;
}

/** Reads one `--attach`, in any case. */
export function parseAttach(text: string): AttachStream {
  const stream = text.toLowerCase();
  if (stream !== "stdin" && stream !== "stdout" && stream !== "stderr") {
    throw flagError("--attach", text, "it is stdin, stdout or stderr");
  }
  return stream;
}

/** Reads `--pull`. */
export function parsePullPolicy(text: string): RunOptions["pull"] {
  switch (text) {
    case "always":
    case "true":
      return "always";
    case "":
    case "missing":
      return "missing";
    case "never":
    case "false":
      return "never";
    default:
      throw flagError("--pull", text, "it is always, missing or never");
  }
}

/** Reads `--stop-signal`: a name or a number. */
export function parseStopSignal(text: string): number {
  const signal = parseSignal(text);
  if (signal === undefined) {
    throw flagError("--stop-signal", text, "there is no such signal", "For example SIGTERM, INT or 15");
  }
  return signal;
}

/** Reads `--workdir`: an absolute path, cleaned. */
export function parseWorkingDir(text: string): string {
  const path = cleanPath(text);
  if (path === undefined) throw flagError("--workdir", text, "it is not an absolute path");
  return path;
}

/** Reads `--user` as far as it is text: the image decides what it means (runtime/users.ts). */
export function parseUserText(text: string, flag: "--user" | "--group-add"): string {
  checkNoControls(flag, text);
  if (text.length > 600) throw flagError(flag, text, "it has more than 600 characters");
  if (flag === "--group-add" && (text === "" || text.includes(":"))) throw flagError(flag, text, "it is no group");
  return text;
}

/** Reads one `--volumes-from`: `CONTAINER[:ro|rw]`; a `z` or `Z` is accepted. */
export function parseVolumesFrom(text: string): VolumesFrom {
  const [container, options] = splitOnce(text, ":");
  if (!isContainerReference(container)) throw flagError("--volumes-from", text, "it is no container's name or id");
  let readOnly: boolean | undefined;
  for (const word of options?.split(",") ?? []) {
    if (word === "ro" || word === "rw") readOnly = word === "ro";
    else if (word !== "z" && word !== "Z") {
      throw flagError("--volumes-from", text, "behind the container stands ro or rw");
    }
  }
  return { container, readOnly };
}

/** Reads the root directory of `--rootfs`: `DIR` or `DIR:O`. */
export function parseRootfs(text: string, makeAbsolute: (path: string) => string): RootfsRequest {
  const overlay = text.endsWith(":O");
  const pathText = overlay ? text.slice(0, -2) : text;
  const path = pathText === "" ? undefined : cleanPath(pathText.startsWith("/") ? pathText : makeAbsolute(pathText));
  if (path === undefined) throw flagError("--rootfs", text, "it is no path of a directory");
  return { path, overlay };
}
