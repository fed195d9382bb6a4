/**
 * `--log-driver`, `--log-opt`.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { flagConflict, flagError } from "./flag_error.ts";
import type { LogRequest } from "./run_request.ts";
import { parseSize } from "./size.ts";
import { parseBoolean } from "./boolean.ts";
import { parseInteger, splitOnce } from "./text_rules.ts";

/** Drivers of Docker's that send logs elsewhere. */
const REMOTE: ReadonlySet<string> = new Set([
  "awslogs",
  "fluentd",
  "gcplogs",
  "gelf",
  "splunk",
  "etwlogs",
  "logentries",
]);
const LATER: ReadonlySet<string> = new Set(["journald", "syslog"]);

/** Reads `--log-driver`. */
export function parseLogDriver(text: string): LogRequest["driver"] {
  switch (text) {
    case "":
    case "json-file":
    // Podman's names
    case "k8s-file":
      return "json-file";
    case "local":
    case "none":
      return text;
    default: {
      if (REMOTE.has(text)) throw refused(text, "drivers that send logs over the network are not supported");
      if (LATER.has(text)) throw refused(text, "this driver is not in this version yet");
      throw flagError("--log-driver", text, "it is json-file, local or none");
    }
  }
}

function refused(text: string, why: string): DugoutError {
  return new DugoutError("FLAG_REFUSED", `Cannot give --log-driver ${quote(text)}: ${why}`, {
    hint: "json-file, local and none are there",
  });
}

/** Each one is a step of the tape that writes the log. */
const MOST_FILES = 1000;

/** What each option takes. */
const CHECKS: ReadonlyMap<string, (value: string) => boolean> = new Map([
  ["max-size", (value: string) => value === "-1" || (parseSize(value) ?? 0) > 0],
  ["max-file", (value: string) => parseInteger(value, 1, MOST_FILES) !== undefined],
  ["compress", (value: string) => parseBoolean(value) !== undefined],
  ["labels", () => true],
  ["labels-regex", () => false],
  ["env", () => true],
  ["env-regex", () => false],
  ["tag", () => true],
  ["mode", (value: string) => value === "blocking" || value === "non-blocking"],
  ["max-buffer-size", (value: string) => parseSize(value) !== undefined],
]);

/** Reads one `--log-opt`. */
export function parseLogOption(text: string): readonly [name: string, value: string] {
  const [name, value] = splitOnce(text, "=");
  const check = CHECKS.get(name);
  if (check === undefined || value === undefined) {
    throw flagError(
      "--log-opt",
      text,
      "there is no such option",
      `Options are ${[...CHECKS.keys()].join(", ")}, each with =VALUE`,
    );
  }
  if (!check(value)) throw flagError("--log-opt", text, `"${name}" cannot be that`);
  return [name, value];
}

/** What must agree between the driver and its options. */
export function checkLogRequest({ driver, options }: LogRequest): void {
  if (parseBoolean(options.get("compress") ?? "false") === true) {
    throw new DugoutError(
      "FLAG_REFUSED",
      "Cannot use --log-opt compress=true: logs that are put aside stay as they are",
      {
        hint: "max-size and max-file limit what they take",
      },
    );
  }
  if (driver === "none" && options.size > 0) throw flagConflict("--log-opt cannot be given with --log-driver none");
  if (options.get("max-size") === "-1" && options.has("max-file")) {
    throw flagConflict('--log-opt "max-file" needs a "max-size": without one the log is one file');
  }
}
