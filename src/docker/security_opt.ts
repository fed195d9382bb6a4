/**
 * `--security-opt`: `KEY`, `KEY=VALUE`, or the old `KEY:VALUE`.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { flagError } from "./flag_error.ts";
import type { SecurityRequest } from "./run_request.ts";
import { parseBoolean } from "./boolean.ts";
import { cleanPath } from "./text_rules.ts";

const FLAG = "--security-opt";

/** The largest seccomp profile that is read. */
export const MAX_PROFILE_BYTES: number = 1024 * 1024;

/**
 * Reads one option into what was said before.
 * @param readFile Reads a seccomp profile.
 * @throws {DugoutError} FLAG_INVALID; FLAG_REFUSED for what a user cannot have.
 */
export function applySecurityOption(
  security: SecurityRequest,
  text: string,
  readFile: (path: string) => Uint8Array,
): void {
  const at = text.search(/[=:]/);
  const key = at === -1 ? text : text.slice(0, at);
  const value = at === -1 ? undefined : text.slice(at + 1);
  switch (key) {
    case "no-new-privileges":
      security.noNewPrivileges = readSwitch(text, value);
      return;
    case "writable-cgroups":
      security.writableCgroups = readSwitch(text, value);
      return;
    case "seccomp":
      security.seccomp = readSeccomp(text, value, readFile);
      return;
    case "apparmor":
      if (value !== "unconfined") {
        throw refused(text, "a user cannot load or enter AppArmor profiles; only apparmor=unconfined");
      }
      security.apparmor = "unconfined";
      return;
    case "label":
      if (value !== "disable") throw refused(text, "SELinux labels cannot be chosen; only label=disable");
      security.label = "disable";
      return;
    case "systempaths":
      if (value !== "unconfined") throw flagError(FLAG, text, "systempaths takes unconfined");
      security.systemPaths = "unconfined";
      return;
    case "mask":
      security.mask.push(...readPaths(text, value));
      return;
    case "unmask":
      if (value?.toUpperCase() === "ALL") security.unmask = "all";
      else if (security.unmask !== "all") security.unmask.push(...readPaths(text, value));
      return;
    default:
      throw flagError(
        FLAG,
        text,
        `there is no option "${key.slice(0, 100)}"`,
        "Options are no-new-privileges, seccomp=unconfined|FILE, systempaths=unconfined, mask=PATH, unmask=ALL|PATH, " +
          "writable-cgroups, apparmor=unconfined and label=disable",
      );
  }
}

function refused(text: string, why: string): DugoutError {
  return new DugoutError("FLAG_REFUSED", `Cannot give ${FLAG} ${quote(text)}: ${why}`);
}

function readSwitch(text: string, value: string | undefined): boolean {
  const on = value === undefined ? true : parseBoolean(value);
  if (on === undefined) throw flagError(FLAG, text, "it is true or false");
  return on;
}

function readSeccomp(
  text: string,
  value: string | undefined,
  readFile: (path: string) => Uint8Array,
): SecurityRequest["seccomp"] {
  if (value === undefined || value === "") {
    throw flagError(FLAG, text, "seccomp takes unconfined, builtin, or a profile's path");
  }
  if (value === "unconfined") return "unconfined";
  if (value === "builtin" || value === "default") return "default";
  // over the API the profile itself stands here
  if (value.startsWith("{")) return { text: value };
  const bytes = readFile(value);
  if (bytes.length > MAX_PROFILE_BYTES) {
    throw flagError(FLAG, text, `the profile has more than ${MAX_PROFILE_BYTES} bytes`);
  }
  return { text: new TextDecoder().decode(bytes) };
}

/** Absolute paths with colons between them. */
function readPaths(text: string, value: string | undefined): string[] {
  return (value ?? "").split(":").map((path) => {
    const cleaned = cleanPath(path);
    if (cleaned === undefined || cleaned === "/") {
      throw flagError(FLAG, text, "it takes absolute paths with : between them");
    }
    return cleaned;
  });
}
