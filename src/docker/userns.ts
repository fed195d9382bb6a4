/**
 * `--userns`: which ids the container has. Docker knows `host`; the others are spelled as Podman spells them.
 *
 * @module
 */
import { flagError } from "./flag_error.ts";
import { parseContainerMode } from "./namespaces.ts";
import type { UsernsMode } from "./run_request.ts";
import { parseInteger, splitOnce } from "./text_rules.ts";

const FLAG = "--userns";
const MAX_ID = 4294967294;

/** Reads `--userns`. */
export function parseUserns(text: string): UsernsMode {
  const [kind, options] = splitOnce(text, ":");
  if (kind === "keep-id") return readKeepId(text, options);
  if (options === undefined) {
    switch (kind) {
      case "":
      case "private":
        return { kind: "default" };
      case "host":
      case "nomap":
        return { kind };
      default:
    }
  }
  if (kind === "auto") {
    throw flagError(
      FLAG,
      text,
      "ranges of one's own for each container are not supported",
      "The default maps the whole subordinate range",
    );
  }
  const container = parseContainerMode(FLAG, text);
  if (container !== undefined) return container;
  throw flagError(FLAG, text, "it is host, keep-id, keep-id:uid=N,gid=N, nomap or container:ID");
}

function readKeepId(text: string, options: string | undefined): UsernsMode {
  const ids: { uid: number | undefined; gid: number | undefined } = { uid: undefined, gid: undefined };
  for (const option of options?.split(",") ?? []) {
    const [key, value = ""] = splitOnce(option, "=");
    if (key !== "uid" && key !== "gid") throw flagError(FLAG, text, "keep-id takes uid=N and gid=N");
    if (ids[key] !== undefined) throw flagError(FLAG, text, `${key} is given twice`);
    const id = parseInteger(value, 0, MAX_ID);
    if (id === undefined) throw flagError(FLAG, text, `${key} is a number from 0 to ${MAX_ID}`);
    ids[key] = id;
  }
  return { kind: "keep-id", ...ids };
}
