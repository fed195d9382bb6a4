import type { IdMap } from "#linux/idmap.ts";
import { mapText } from "#linux/idmap.ts";
import type { NamespaceType } from "#oci/runtime_spec.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import type { RunRequest } from "#docker/run_request.ts";
import type { Engine } from "../engine.ts";
import { openProcess } from "../record/exec_target.ts";
import { readSpecFile } from "./spec_file.ts";
import { findRunning } from "../record/state.ts";

/**
 * Files of the namespaces of other containers that a request wants to join (`--pid container:NAME` and its kin). They
 * belong to that container's user namespace, which is joined first.
 * @throws {DugoutError} CONTAINER_NOT_RUNNING; JOIN_IMPOSSIBLE for two containers with user namespaces of their own.
 */
export function joinNamespaces(engine: Engine, request: RunRequest, map: IdMap): Map<NamespaceType, string> {
  const wanted: [NamespaceType, { kind: string; id?: string }][] = [
    ["pid", request.pid],
    ["ipc", request.ipc],
    ["uts", request.uts],
    ["network", request.network],
  ];
  const joined = new Map<NamespaceType, string>();
  let owner: string | undefined;
  for (const [type, mode] of wanted) {
    if (mode.kind !== "container" || mode.id === undefined) continue;
    const state = findRunning(engine, mode.id);
    if (owner !== undefined && owner !== state.id) {
      throw new DugoutError(
        "JOIN_IMPOSSIBLE",
        `Cannot join the ${type} namespace of ${
          quote(mode.id)
        }: namespaces of another container are joined already, and each container has a user namespace of its own`,
        { hint: "join namespaces of one container only" },
      );
    }
    if (state.map !== mapText(map.uid)) {
      throw new DugoutError(
        "JOIN_IMPOSSIBLE",
        `Cannot join the ${type} namespace of ${quote(mode.id)}: it maps other ids (--userns)`,
        {
          hint: "use the same --userns for both containers",
        },
      );
    }
    owner = state.id;
    const hasReaper = readSpecFile(engine.dataRoot, state.id)?.init ?? false;
    const pid = openProcess(state.pid, hasReaper) ?? state.pid;
    joined.set("user", `/proc/${pid}/ns/user`);
    joined.set(type, `/proc/${pid}/ns/${type === "network" ? "net" : type}`);
  }
  return joined;
}
