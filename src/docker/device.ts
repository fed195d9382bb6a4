/**
 * `--device`: `HOST[:CONTAINER][:rwm]`.
 *
 * @module
 */
import { flagError } from "./flag_error.ts";
import type { DeviceRequest } from "./run_request.ts";
import { cleanPath } from "./text_rules.ts";

const FLAG = "--device";

/** Reads one device of the host. */
export function parseDevice(text: string): DeviceRequest {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*\/[A-Za-z0-9][A-Za-z0-9._-]*=[^:]+$/.test(text)) {
    throw flagError(FLAG, text, "names of the Container Device Interface are not supported yet");
  }
  const [host = "", second, third, more] = text.split(":", 4);
  const hostPath = cleanPath(host);
  if (hostPath === undefined || hostPath === "/") throw flagError(FLAG, text, "the device is no absolute path");
  if (more !== undefined) throw flagError(FLAG, text, "more than HOST:CONTAINER:rwm");
  // two parts: the second is the rights if it could be nothing else
  const rightsOnly = third === undefined && second !== undefined && parseAccess(second) !== undefined;
  const containerText = rightsOnly || second === undefined ? hostPath : second;
  const containerPath = cleanPath(containerText);
  if (containerPath === undefined || containerPath === "/") {
    throw flagError(FLAG, text, "the place in the container is no absolute path");
  }
  const access = parseAccess((rightsOnly ? second : third) ?? "rwm");
  if (access === undefined) throw flagError(FLAG, text, "the rights are one or more of r, w and m");
  return { hostPath, containerPath, access };
}

function parseAccess(text: string): DeviceRequest["access"] | undefined {
  if (!/^[rwm]{1,3}$/.test(text) || new Set(text).size !== text.length) return undefined;
  return { read: text.includes("r"), write: text.includes("w"), mknod: text.includes("m") };
}
