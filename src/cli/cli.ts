import { DAEMON_OPTIONS, GLOBAL_OPTIONS, LOG_LEVELS } from "./declare/global.ts";
import type { CommandDeclaration } from "./declare/types.ts";
import type { GlobalOptions, Invocation } from "./invocation.ts";
import { hasSwitch, textOption } from "./options.ts";
import { printOut } from "./output.ts";
import { type Scanned, scanOptions } from "./scan.ts";
import { VERSION } from "./version.ts";

/**
 * Runs one command line to its end. `--version`, `run` and `exec` go straight to what they need; help, and what is no command,
 * goes by commander.
 * @param argv Without the program's name.
 * @returns The exit code; errors have been reported.
 */
export async function runCli(argv: readonly string[]): Promise<number> {
  // filled in as soon as it is known, for the report of an error
  const rules = { failureExitCode: 125, debug: false };
  try {
    if (argv[0] === "__complete") return (await import("./completion/complete.ts")).runComplete(argv.slice(1));
    if (argv[0] === "__worker") return await (await import("./worker.ts")).runWorker();
    if (argv[0] === "__keeper") return await (await import("./keeper.ts")).runKeeper(argv.slice(1));
    if (argv[0] === "__last-work") return await (await import("./last_work.ts")).runLastWork();
    if (argv[0] === "__netstack") return await (await import("./netstack.ts")).runStack(argv.slice(1));
    const scanned = scanOptions(GLOBAL_OPTIONS, argv, { stopsAtFirstOperand: true, program: "dugout" });
    if (hasSwitch(scanned.options, "version")) {
      printOut(`dugout version ${VERSION}\n`);
      return 0;
    }
    const global = await readGlobalOptions(scanned);
    rules.debug = global.debug;
    const [word, ...rest] = scanned.operands;
    // without options before it, it was asked for by main.ts
    if (word === "run" && argv[0] !== "run" && !scanned.wantsHelp) {
      const exitCode = await (await import("./known_run.ts")).runKnown(rest, global);
      if (exitCode !== undefined) return exitCode;
    }
    const declaration = scanned.wantsHelp ? undefined : SHORT_WAYS.get(word ?? "");
    const invocation = declaration === undefined
      ? await findDirectly(scanned, global) ?? await (await import("./commander.ts")).dispatch(scanned, global)
      : await scanAlone(await declaration(), rest, global);
    if (invocation === undefined) return 0; // it was help
    rules.failureExitCode = invocation.command.failureExitCode;
    const { findCommand } = await import("./handlers.ts");
    return await (await findCommand(invocation.command))(invocation);
  } catch (error) {
    return (await import("./report.ts")).reportError(error, rules);
  }
}

/** Commands whose start counts: they are read without the declarations of all others. */
const SHORT_WAYS: ReadonlyMap<string, () => Promise<CommandDeclaration>> = new Map([
  ["exec", async () => (await import("./declare/exec.ts")).EXEC],
  ["run", async () => (await import("./declare/run.ts")).RUN],
]);

/** Such a command: its declaration, and the scanner that all commands share. */
async function scanAlone(
  command: CommandDeclaration,
  argv: readonly string[],
  global: GlobalOptions,
): Promise<Invocation | undefined> {
  const name = command.names[0] ?? "";
  const invocation = (await import("./read_invocation.ts")).readInvocation(command, name, argv, global);
  if (invocation === "help") await (await import("./commander.ts")).printHelp(command, name);
  return invocation === "help" ? undefined : invocation;
}

/** Any other command, if its name stands there as it is: loading commander takes longer than most of them. */
async function findDirectly(scanned: Scanned, global: GlobalOptions): Promise<Invocation | undefined> {
  if (scanned.wantsHelp || scanned.operands.length === 0) return undefined;
  return (await import("./find_invocation.ts")).findInvocation(scanned.operands, global);
}

async function readGlobalOptions(scanned: Scanned): Promise<GlobalOptions> {
  const { options } = scanned;
  const logLevel = textOption(options, "log-level") ?? "info";
  const daemonOption = DAEMON_OPTIONS.find((name) => options.has(name));
  if (daemonOption !== undefined || !LOG_LEVELS.includes(logLevel)) {
    const { usageError } = await import("./usage_error.ts");
    throw daemonOption === undefined
      ? usageError(`unable to parse logging level: ${logLevel}`, 1, `one of ${LOG_LEVELS.join(", ")}`)
      : usageError(
        `--${daemonOption} cannot be used: there is no daemon to talk to`,
        125,
        "every command of dugout works on its own files; '--root' and '--run' say which",
      );
  }
  const global: GlobalOptions = { logLevel, debug: hasSwitch(options, "debug") || logLevel === "debug" };
  const root = textOption(options, "root");
  const run = textOption(options, "run");
  const storageDriver = textOption(options, "storage-driver");
  const config = textOption(options, "config");
  if (root !== undefined) global.root = root;
  if (run !== undefined) global.run = run;
  if (storageDriver !== undefined) {
    global.storageDriver = (await import("#storage/driver.ts")).parseDriverName(storageDriver);
  }
  if (config !== undefined) global.config = config;
  return global;
}
