import { type ExecFlags, readExec } from "#docker/exec_request.ts";
import { readFileSync } from "node:fs";
import { DugoutError } from "#oci/error.ts";
import type { Engine } from "../engine.ts";
import { execInContainer } from "../inside/exec.ts";
import { requireRunning } from "../inside/require_running.ts";
import { variables } from "./options.ts";
import { Program, type ProgramOptions, type ProgramStart } from "./program.ts";

/** How a program enters a container. */
export interface ExecOptions extends ProgramOptions {
  /** Besides the container's own; `undefined` values are left out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly workingDir?: string;
  /** `USER[:GROUP]`, by name or number, instead of the container's. */
  readonly user?: string;
  /** All capabilities of the container's user namespace. */
  readonly privileged?: boolean;
}

/** A program that has entered a container. */
export type ExecProcess = Program<ProgramStart>;

/** No terminal: nobody sees this. */
const SIZE = { rows: 24, columns: 80 };

/** Runs a program in a container that runs. @param id The container's. */
export function execIn(engine: Engine, id: string, command: readonly string[], options: ExecOptions): ExecProcess {
  if (command.length === 0) throw new DugoutError("OPTION_INVALID", "Cannot enter a container without a command");
  return new Program<ProgramStart>(options, async ({ streams, begin }) => {
    const { request, options: read } = readExec(toFlags(options), command, {
      lookUp: (name) => process.env[name],
      readFile: readFileSync,
    });
    const end = await execInContainer({
      places: engine,
      container: id,
      request,
      options: { ...read, interactive: streams.stdin !== undefined },
      streams,
      size: SIZE,
      signals: undefined,
      findSlowly: (text) => requireRunning(engine, text),
      started: ({ pid, pidfd }) => begin({ pid }, pidfd),
    });
    if (end.kind === "ended") return end.exitCode;
    throw new Error("A program without a terminal cannot be left");
  });
}

/** The flags of `dugout exec`, so that values are checked by one grammar. */
function toFlags({ env, workingDir, user, privileged }: ExecOptions): ExecFlags {
  const flags = new Map<string, boolean | string | readonly string[]>([["env", variables(env)]]);
  if (workingDir !== undefined) flags.set("workdir", workingDir);
  if (user !== undefined) flags.set("user", user);
  if (privileged !== undefined) flags.set("privileged", privileged);
  return flags;
}
