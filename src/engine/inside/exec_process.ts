/**
 * What a process is that enters a container: the container's own process, but for what was asked for. Pure.
 *
 * @module
 */
import { ALL_CAPABILITIES, capabilitiesUpTo, capabilityNames } from "#linux/capabilities.ts";
import { isSingle, outsideId } from "#linux/idmap.ts";
import { DugoutError } from "#oci/error.ts";
import type { ProcessSpec } from "#oci/runtime_spec.ts";
import type { ExecRequest } from "#docker/exec_request.ts";
import { type ResolvedUser, resolveUser } from "#runtime/users.ts";
import type { SpecFile } from "../prepare/spec_file.ts";

/** Docker's exit code where a process cannot be started as it was asked for. */
const NOT_EXECUTABLE = 126;

/** What the container and the machine say. */
export interface ExecProcessInput {
  readonly spec: SpecFile;
  readonly request: ExecRequest;
  /** Reads a file of accounts of the container. */
  readonly readAccounts: (path: string) => Uint8Array | undefined;
  readonly hasTerminal: boolean;
  /** The last capability that the kernel knows. */
  readonly lastCapability: number;
}

/**
 * Makes the process.
 * @throws {DugoutError} With exit code 126 for a user that the container does not have.
 */
export function makeExecProcess(input: ExecProcessInput): { process: ProcessSpec; keepGroups: boolean } {
  const { spec: { process, groupAdd }, request } = input;
  const user = request.user === undefined ? undefined : findUser(input, request.user);
  const { uid, gid, additionalGids } = user ?? process.user;
  const bounding = request.privileged
    ? capabilityNames(capabilitiesUpTo(input.lastCapability) & ALL_CAPABILITIES)
    : process.capabilities?.bounding ?? [];
  // a user who is not root has none until a program with capabilities of its own gives them
  const effective = uid === 0 ? bounding : [];
  return {
    process: {
      ...process,
      terminal: input.hasTerminal,
      args: [...request.command],
      cwd: request.workingDir ?? process.cwd,
      env: environmentOf(input, user),
      user: { uid, gid, umask: process.user.umask ?? 0o022, additionalGids: additionalGids ?? [] },
      capabilities: { bounding, permitted: effective, effective },
    },
    keepGroups: groupAdd.includes("keep-groups") || (uid === 0 && groupAdd.length === 0),
  };
}

function findUser({ spec: { map, groupAdd }, readAccounts }: ExecProcessInput, text: string): ResolvedUser {
  let user: ResolvedUser;
  try {
    user = resolveUser({
      user: text,
      groupAdd,
      passwd: readAccounts("/etc/passwd"),
      group: readAccounts("/etc/group"),
    });
  } catch (error) {
    if (!(error instanceof DugoutError)) throw error;
    throw new DugoutError(error.code, error.message, { exitCode: NOT_EXECUTABLE, hint: error.hint, cause: error });
  }
  const ids = [[map.uid, [user.uid]], [map.gid, isSingle(map) ? [] : [user.gid, ...user.additionalGids]]] as const;
  for (const [ranges, wanted] of ids) {
    const missing = wanted.find((id) => outsideId(ranges, id) === undefined);
    if (missing === undefined) continue;
    throw new DugoutError(
      "ID_NOT_MAPPED",
      `Cannot enter the container with the id ${missing}: it does not have that id`,
      {
        exitCode: NOT_EXECUTABLE,
        hint: isSingle(map)
          ? `it has one id alone, ${map.uid[0]!.inside}, since you have no subordinate ids`
          : "choose one of the range that the container was started with",
      },
    );
  }
  return isSingle(map) ? { ...user, gid: map.gid[0]!.inside, additionalGids: [] } : user;
}

/** The container's variables, those of a terminal and of another user, and what was asked for. */
function environmentOf({ spec, request, hasTerminal }: ExecProcessInput, user: ResolvedUser | undefined): string[] {
  const env = new Map<string, string>();
  for (const entry of spec.process.env ?? []) {
    const equals = entry.indexOf("=");
    env.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  if (spec.implied.includes("TERM") && !hasTerminal) env.delete("TERM");
  if (hasTerminal && !env.has("TERM")) env.set("TERM", "xterm");
  if (user !== undefined && (spec.implied.includes("HOME") || !env.has("HOME"))) env.set("HOME", user.home);
  for (const [name, value] of request.env) env.set(name, value);
  return Array.from(env, ([name, value]) => `${name}=${value}`);
}
