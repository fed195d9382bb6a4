import { FOREGROUND_HINT, requireOutsideJob } from "#engine/require_outside_job.ts";
import { readExec } from "#docker/exec_request.ts";
import { execInContainer } from "#engine/inside/exec.ts";
import { holdSignals } from "#engine/streams/foreground.ts";
import { openPlaces } from "#engine/store/places.ts";
import type { ContainerState } from "#engine/record/container_state.ts";
import type { Fd } from "#linux/call.ts";
import { isTerminal, readTerminalSize } from "#linux/terminal.ts";
import { readSmallFile } from "../small_file.ts";
import type { GlobalOptions, Invocation } from "../invocation.ts";
import { printError } from "../output.ts";
import type { Options } from "../scan.ts";
import { usageError } from "../usage_error.ts";

const [STDIN, STDOUT, STDERR] = [0 as Fd, 1 as Fd, 2 as Fd];
/** As a program that SIGPIPE ends. */
const EXIT_UNREAD = 141;
const USUAL_SIZE = { rows: 24, columns: 80 };

/** `dugout exec` @returns The exit code of the command in the container. */
export async function runExec({ options: flags, args, global }: Invocation): Promise<number> {
  const [container = "", ...command] = flags.get("latest") === true ? await findLatest(global, flags, args) : args;
  const { request, options } = readExec(flags, command, {
    lookUp: (name) => process.env[name],
    readFile: readSmallFile,
  });
  const { interactive, tty, detach } = options;
  if (detach) requireOutsideJob("run a program in the background", FOREGROUND_HINT);
  if (tty && interactive && !detach && !isTerminal(STDIN)) {
    throw usageError("the input device is not a TTY", 1, "leave out -t, which is for people at a terminal");
  }
  const end = await execInContainer({
    places: openPlaces(global, (message) => void warnLater(global, message)),
    container,
    request,
    options,
    streams: {
      stdin: interactive && !detach ? STDIN : undefined,
      stdout: detach ? undefined : STDOUT,
      stderr: detach ? undefined : STDERR,
    },
    size: readTerminalSize(STDIN) ?? readTerminalSize(STDOUT) ?? USUAL_SIZE,
    signals: detach ? undefined : holdSignals(),
    findSlowly: (text) => findSlowly(global, text),
  });
  if (end.kind === "ended") return end.exitCode;
  if (end.kind === "unread") return EXIT_UNREAD;
  if (!end.byKeys) return 0;
  // docker's words and code
  printError("read escape sequence\n");
  return 1;
}

async function warnLater(global: GlobalOptions, message: string): Promise<void> {
  (await import("../context.ts")).warn(global, message);
}

async function findLatest(
  global: GlobalOptions,
  options: Options,
  args: readonly string[],
): Promise<readonly string[]> {
  const [{ openContainerContext }, { withLatest }] = await Promise.all([
    import("../context.ts"),
    import("./latest.ts"),
  ]);
  return withLatest(await openContainerContext(global), { options, args });
}

/** Looks at all records. @throws {DugoutError} When there is none, or it does not run. */
async function findSlowly(global: GlobalOptions, text: string): Promise<ContainerState> {
  const [{ openContainerContext }, { requireRunning }] = await Promise.all([
    import("../context.ts"),
    import("#engine/inside/require_running.ts"),
  ]);
  return requireRunning(await openContainerContext(global), text);
}
