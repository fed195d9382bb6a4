import { flagError } from "./flag_error.ts";
import type { BindRequest } from "./run_request.ts";

const PART = /^[A-Za-z0-9_+-]{1,50}$/;

/** Reads `--tz`: `local`, or a zone such as `Europe/Paris`: the machine's file of it becomes the container's /etc/localtime. */
export function parseTimeZone(text: string): BindRequest {
  if (text !== "local" && !text.split("/").every((part) => PART.test(part))) {
    throw flagError("--tz", text, "it is local, or the name of a zone, such as Europe/Paris");
  }
  return {
    kind: "bind",
    source: text === "local" ? "/etc/localtime" : `/usr/share/zoneinfo/${text}`,
    target: "/etc/localtime",
    readOnly: true,
    readOnlyDepth: "if-possible",
    recursive: false,
    propagation: "rprivate",
    createSource: false,
    relabel: undefined,
  };
}
