/**
 * `dugout runtime`: the command line of an OCI runtime, as runc's. It knows nothing of images: what it is given is bundles.
 *
 * @module
 */
import { isSecureExecution } from "#linux/auxv.ts";
import { DugoutError } from "#oci/error.ts";
import { findStateRoot, type StateRoot } from "#bundle/state_root.ts";
import type { Invocation } from "../invocation.ts";
import { PipeClosedError, printOut } from "../output.ts";
import { usageError } from "../usage_error.ts";
import { VERSION } from "../version.ts";
import { GLOBAL_FLAGS, RUNTIME_COMMANDS, type RuntimeCommand } from "./commands.ts";
import { type Flags, readFlags } from "./flags.ts";
import { describeCommand, describeRuntime } from "./help.ts";
import { openLog, type RuntimeLog } from "./log.ts";

/** One command, read. */
export interface RuntimeInvocation {
  readonly global: Flags;
  readonly flags: Flags;
  readonly args: readonly string[];
  readonly root: StateRoot;
  readonly log: RuntimeLog;
}

/** Runs a command to its end. @returns The exit code. */
export type RuntimeFunction = (invocation: RuntimeInvocation) => Promise<number> | number;

const LOADERS: ReadonlyMap<string, () => Promise<RuntimeFunction>> = new Map<string, () => Promise<RuntimeFunction>>([
  ["create", async () => (await import("./make.ts")).runCreate],
  ["run", async () => (await import("./make.ts")).runRun],
  ["start", async () => (await import("./life.ts")).runStart],
  ["kill", async () => (await import("./life.ts")).runKill],
  ["delete", async () => (await import("./life.ts")).runDelete],
  ["pause", async () => (await import("./life.ts")).runPause],
  ["resume", async () => (await import("./life.ts")).runResume],
  ["update", async () => (await import("./update.ts")).runUpdate],
  ["state", async () => (await import("./show.ts")).runState],
  ["list", async () => (await import("./show.ts")).runList],
  ["ps", async () => (await import("./show.ts")).runPs],
  ["features", async () => (await import("./features.ts")).runFeatures],
  ["spec", async () => (await import("./spec.ts")).runSpec],
  ["exec", async () => (await import("./exec.ts")).runExec],
]);

/** Exit codes of failures that are not 1: those of `exec` could be the program's, runc's is 255. */
const FAILURE_CODES: ReadonlyMap<string, number> = new Map([["exec", 255]]);

/** How runc begins the messages of some commands. */
const PREFIXES: ReadonlyMap<string, string> = new Map([["create", "create failed"], ["run", "run failed"], [
  "exec",
  "exec failed",
]]);

/**
 * Runs one command line.
 * @param program What the program is called, for help.
 * @param argv What stands behind that.
 * @returns The exit code; errors have been reported.
 */
export async function runRuntime(program: string, argv: readonly string[]): Promise<number> {
  let log = openLog({ path: undefined, format: "text", debug: false });
  let name = "";
  try {
    if (isSecureExecution()) {
      throw new DugoutError("SECURE_EXECUTION", "refusing to run with rights that the caller does not have", {
        hint: "take the set-user-id bit and file capabilities off the program",
      });
    }
    const { flags: global, args: words } = readFlags(GLOBAL_FLAGS, argv, true);
    if (global.has("version")) {
      printOut(`${program} version ${VERSION}\nspec: 1.2.0\n`);
      return 0;
    }
    log = openLog({
      path: global.text("log"),
      format: global.text("log-format") ?? "text",
      debug: global.has("debug"),
    });
    name = words[0] ?? "help";
    if (global.has("help") || name === "help" || name === "h") {
      const topic = RUNTIME_COMMANDS.find((command) => command.name === words[name === "help" || name === "h" ? 1 : 0]);
      printOut(topic === undefined ? describeRuntime(program) : describeCommand(program, topic));
      return 0;
    }
    const command = RUNTIME_COMMANDS.find((known) => known.name === name);
    if (command === undefined) throw usageError(`No help topic for '${name}'`, 3, "");
    return await runCommand(program, command, { global, words: words.slice(1), log, argv });
  } catch (error) {
    return report(error, name, log);
  }
}

/** The same behind global options of `dugout`, which are not for it. */
export async function runDeclaredRuntime({ words }: Invocation): Promise<number> {
  return await runRuntime("dugout runtime", words);
}

async function runCommand(
  program: string,
  command: RuntimeCommand,
  { global, words, log, argv }: { global: Flags; words: readonly string[]; log: RuntimeLog; argv: readonly string[] },
): Promise<number> {
  const helpFlag = { names: ["help", "h"], kind: "switch", summary: "" } as const;
  const { flags, args } = readFlags([...command.flags, helpFlag], words, command.stopsAtFirst ?? false);
  if (flags.has("help")) {
    printOut(describeCommand(program, command));
    return 0;
  }
  if (args.length < command.least || args.length > command.most) {
    const exactly = command.least === command.most
      ? "exactly"
      : args.length < command.least
      ? "a minimum of"
      : "a maximum of";
    const count = args.length < command.least ? command.least : command.most;
    throw usageError(`${program}: "${command.name}" requires ${exactly} ${count} argument(s)`, 1, "");
  }
  const rootless = global.text("rootless") ?? "auto";
  if (!["auto", "true", "false"].includes(rootless)) {
    throw usageError(`invalid value for --rootless: ${rootless}`, 1, "");
  }
  const root = findStateRoot({ root: global.text("root"), env: process.env, uid: process.geteuid!() });
  if (root.kind === "foreign") {
    // before a byte of what a user wrote is read (A-094)
    const { runAsOwner } = await import("#bundle/become_owner.ts");
    return runAsOwner(root, program.split(" ").slice(1), argv);
  }
  const load = LOADERS.get(command.name);
  if (load === undefined) throw new Error(`Command ${command.name} has no function`);
  return await (await load())({ global, flags, args, root, log });
}

function report(error: unknown, name: string, log: RuntimeLog): number {
  if (error instanceof PipeClosedError) return error.exitCode;
  if (!(error instanceof Error)) throw error;
  const prefix = PREFIXES.get(name);
  const hint = "hint" in error && typeof error.hint === "string" && error.hint !== "" ? ` (${error.hint})` : "";
  const isUsage = error instanceof DugoutError && error.code === "USAGE";
  log.error(`${prefix === undefined || isUsage ? "" : `${prefix}: `}${error.message}${hint}`);
  log.debug(error.stack ?? "");
  if (isUsage) return error.exitCode;
  return FAILURE_CODES.get(name) ?? 1;
}
