/**
 * Namespaces that a container shares with others: `--network container:NAME` and its kin.
 *
 * @module
 */
import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { type IdMap, mapText, parseMap } from "#linux/idmap.ts";
import type { NamespaceType } from "#oci/runtime_spec.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import type { RunRequest } from "#docker/run_request.ts";
import type { Engine } from "../engine.ts";
import { openProcess } from "../record/exec_target.ts";
import { readRecord } from "../record/container_record.ts";
import { findContainer, readStatus } from "../record/containers.ts";
import type { ContainerState } from "../record/container_state.ts";
import { whereabouts } from "../record/whereabouts.ts";
import { readSpecFile } from "./spec_file.ts";

/** What a container has of others. */
export interface Sharing {
  /** What was asked for; what another container has of the host's itself is the host's here, too. */
  readonly request: RunRequest;
  /** Files of the namespaces that are joined. They belong to that container's user namespace, which is joined first. */
  readonly joined: ReadonlyMap<NamespaceType, string>;
  /** The file of the mount namespace whose /dev/shm it has as well. */
  readonly shmNamespace: string | undefined;
  /** The directory of the container whose network it has: its names and servers are there. */
  readonly etcDirectory: string | undefined;
}

/** Flags that name another container, and the namespaces they mean. */
const FLAGS = ["pid", "ipc", "uts", "network", "userns"] as const;
type SharingFlag = (typeof FLAGS)[number];

/** Names of the files below /proc/PID/ns. */
const FILES: Readonly<Record<SharingFlag, string>> = {
  pid: "pid",
  ipc: "ipc",
  uts: "uts",
  network: "net",
  userns: "user",
};

/** What a mode is where the other container has the host's. */
const HOST = { kind: "host" } as const;

/**
 * Looks at the containers whose namespaces a request wants to share.
 * @throws {DugoutError} CONTAINER_NOT_RUNNING; JOIN_IMPOSSIBLE for two containers with user namespaces of their own, and for
 * System V memory that is private.
 */
export function shareNamespaces(engine: Engine, request: RunRequest, map: IdMap): Sharing {
  const joined = new Map<NamespaceType, string>();
  let [shared, owner, shmNamespace, etcDirectory]: [RunRequest, string?, string?, string?] = [request];
  for (const flag of FLAGS) {
    const mode = request[flag];
    if (mode.kind !== "container") continue;
    const state = findShared(engine, flag, mode.id);
    if (flag === "ipc") checkIpc(engine, state, mode.id);
    if (flag === "network") etcDirectory = join(engine.dataRoot, "containers", state.id);
    const pid = processOf(engine, state);
    const file = `/proc/${pid}/ns/${FILES[flag]}`;
    if (flag !== "userns" && isOwn(file, FILES[flag])) {
      shared = { ...shared, [flag]: HOST };
      continue;
    }
    checkOwner(flag, mode.id, owner, `/proc/${pid}/ns/user`);
    owner = `/proc/${pid}/ns/user`;
    if (state.map !== mapText(map.uid)) {
      throw joinError(flag, mode.id, "it maps other ids", `add --userns container:${mode.id}`);
    }
    joined.set("user", owner);
    if (flag !== "userns") joined.set(flag, file);
    if (flag === "ipc") shmNamespace = `/proc/${pid}/ns/mnt`;
  }
  return { request: shared, joined, shmNamespace, etcDirectory };
}

/**
 * The id map of a container that runs.
 * @throws {DugoutError} CONTAINER_NOT_RUNNING.
 */
export function mapOf(engine: Engine, text: string): IdMap {
  const { pid } = findShared(engine, "userns", text);
  const read = (file: string) => parseMap(readFileSync(`/proc/${pid}/${file}`, "latin1"));
  return { uid: read("uid_map"), gid: read("gid_map") };
}

const ONE_OWNER = "join namespaces of one container only";

/** A container of this store that runs. @throws {DugoutError} CONTAINER_UNKNOWN, CONTAINER_NOT_RUNNING. */
function findShared(engine: Engine, flag: SharingFlag, text: string): ContainerState {
  const { record } = findContainer(engine, text);
  const status = record === undefined ? undefined : readStatus(engine, record, whereabouts());
  if (status?.kind === "running") return status.state;
  throw new DugoutError(
    "CONTAINER_NOT_RUNNING",
    `Cannot join the ${typeOf(flag)} namespace of ${quote(text)}: it does not run`,
    {
      hint: `start it first: dugout start ${text}`,
    },
  );
}

function typeOf(flag: SharingFlag): string {
  return flag === "userns" ? "user" : flag;
}

/** The process of a container whose files below /proc are open to us. */
function processOf(engine: Engine, state: ContainerState): number {
  const hasReaper = readSpecFile(engine.dataRoot, state.id)?.init ?? false;
  return openProcess(state.pid, hasReaper) ?? state.pid;
}

/** Whether a namespace is the caller's, which nobody has to join, and a plain user may not. */
function isOwn(path: string, file: string): boolean {
  return readlinkSync(path) === readlinkSync(`/proc/self/ns/${file}`);
}

function checkOwner(flag: SharingFlag, id: string, before: string | undefined, user: string): void {
  if (before === undefined || readlinkSync(before) === readlinkSync(user)) return;
  throw joinError(
    flag,
    id,
    "namespaces of another container are joined already, and each container has a user namespace of its own",
    ONE_OWNER,
  );
}

/** Docker's rule: what was made private is not shared. Without a word of the user's it is, as with podman. */
function checkIpc(engine: Engine, { id }: ContainerState, text: string): void {
  const mode = readRecord(engine.dataRoot, id)?.facts["ipc"];
  if (mode !== "private" && mode !== "none") return;
  throw joinError("ipc", text, `it was made with --ipc ${mode}`, "make that one with --ipc shareable");
}

function joinError(flag: SharingFlag, id: string, why: string, hint: string): DugoutError {
  return new DugoutError("JOIN_IMPOSSIBLE", `Cannot join the ${typeOf(flag)} namespace of ${quote(id)}: ${why}`, {
    hint,
  });
}
