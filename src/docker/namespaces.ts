/**
 * `--pid`, `--ipc`, `--uts`, `--cgroupns`: whose namespaces a container lives in.
 *
 * @module
 */
import { flagError } from "./flag_error.ts";
import type { IpcMode, PidMode, RunRequest, UtsMode } from "./run_request.ts";
import { isContainerReference } from "./text_rules.ts";

/** `container:ID`, or `undefined` when it is something else. */
export function parseContainerMode(flag: string, text: string): { kind: "container"; id: string } | undefined {
  if (!text.startsWith("container:")) return undefined;
  const id = text.slice("container:".length);
  if (!isContainerReference(id)) throw flagError(flag, text, "behind container: stands a container's name or id");
  return { kind: "container", id };
}

/** Reads `--pid`. */
export function parsePidMode(text: string): PidMode {
  if (text === "" || text === "private") return { kind: "private" };
  if (text === "host") return { kind: "host" };
  const container = parseContainerMode("--pid", text);
  if (container === undefined) throw flagError("--pid", text, "it is host, private or container:ID");
  return container;
}

/** Reads `--uts`. */
export function parseUtsMode(text: string): UtsMode {
  if (text === "" || text === "private") return { kind: "private" };
  if (text === "host") return { kind: "host" };
  const container = parseContainerMode("--uts", text);
  if (container === undefined) throw flagError("--uts", text, "it is host, private or container:ID");
  return container;
}

/** Reads `--ipc`. */
export function parseIpcMode(text: string): IpcMode {
  switch (text) {
    case "":
      return { kind: "default" };
    case "private":
    case "shareable":
    case "none":
    case "host":
      return { kind: text };
    default: {
      const container = parseContainerMode("--ipc", text);
      if (container === undefined) {
        throw flagError("--ipc", text, "it is private, shareable, none, host or container:ID");
      }
      return container;
    }
  }
}

/** Reads `--cgroupns`. */
export function parseCgroupnsMode(text: string): RunRequest["cgroupns"] {
  if (text === "" || text === "private") return "private";
  if (text === "host") return "host";
  throw flagError("--cgroupns", text, "it is private or host");
}
