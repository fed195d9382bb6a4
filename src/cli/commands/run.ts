import { resolve } from "node:path";
import { readRun, type RunContext, type RunRead } from "#docker/read_run.ts";
import { isBatch } from "../batch_options.ts";
import { openEngine } from "#engine/engine.ts";
import { FOREGROUND_HINT, requireOutsideJob } from "#engine/require_outside_job.ts";
import { notifyReady, parseNotifyMode, passNotifySocket } from "#engine/life/notify_systemd.ts";
import { keepsOutput } from "#engine/record/keeps_output.ts";
import type { StayEnd } from "#engine/life/stay_with_container.ts";
import { explainRun, runContainer, type RunInput } from "#engine/life/run.ts";
import type { Fd } from "#linux/call.ts";
import { warn } from "../context.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, textOption } from "../options.ts";
import { printError, printOut } from "../output.ts";
import { readSmallFile } from "../small_file.ts";
import { usageError } from "../usage_error.ts";

/** As a program that SIGPIPE ends. */
const EXIT_UNREAD = 141;

/** `dugout run` @returns The container's exit code. */
export async function runRun(invocation: Invocation): Promise<number> {
  const { options, args, global } = invocation;
  if (isBatch(options)) return await (await import("./batch.ts")).runBatch(invocation);
  const context = createRunContext();
  const read = readRun(options, args, context);
  const explains = hasSwitch(options, "explain");
  const format = textOption(options, "format");
  if (format !== undefined && !explains) {
    throw usageError("--format is for --explain", 125, "leave it out, or add --explain");
  }
  if (format !== undefined && format !== "json") {
    throw usageError(`"${format}" is not a valid --format`, 125, "it is json");
  }
  const notify = parseNotifyMode(textOption(options, "sdnotify") ?? "ignore");
  const replaces = hasSwitch(options, "replace");
  if (replaces && read.options.name === undefined) throw usageError("--replace needs --name", 125, "add --name");
  const engine = openEngine({ ...global, warn: (message) => warn(global, message) });
  const input: RunInput = {
    engine,
    request: read.request,
    options: read.options,
    streams: chooseStreams(read),
    fetchImage: (name) => fetchImage(invocation, read, name),
    typed: context.isUsed() ? undefined : invocation.words,
    words: context.isUsed() || replaces || notify !== "ignore" ? undefined : invocation.words,
    started: ({ running }) => {
      const mainPid = read.options.detach ? running.monitor : process.pid;
      if (notify === "conmon") notifyReady(process.env["NOTIFY_SOCKET"], mainPid);
    },
  };
  if (notify === "container") passNotifySocket(read.request, process.env["NOTIFY_SOCKET"]);
  if (explains) return await explain(input, format === "json");
  if (read.options.tty && read.options.interactive && !read.options.detach && !await isTerminal(0)) {
    throw usageError("the input device is not a TTY", 1, "leave out -t, which is for people at a terminal");
  }
  if (read.options.preservedFds.length > 0 && keepsOutput(read.request, read.options)) {
    throw usageError(
      "descriptors can be passed on to a container only that has the caller's streams",
      125,
      "add --rm, and leave out -t, -d and --restart",
    );
  }
  if (read.request.restart.kind !== "no") {
    requireOutsideJob("keep a restart policy", "the batch system restarts jobs: --requeue");
  }
  if (read.options.detach) requireOutsideJob("start a container in the background", FOREGROUND_HINT);
  if (replaces) await (await import("#engine/life/replace_container.ts")).replaceContainer(engine, read.options.name!);
  if (!keepsOutput(read.request, read.options)) return (await runContainer(input)).exitCode;
  const { id, end } = await (await import("#engine/life/run_kept.ts")).runKept(input);
  if (end.kind !== "left") return reportStay(end);
  printOut(`${id}\n`);
  return 0;
}

/** What the user is told when a stay with a container is over. @returns The exit code. */
export function reportStay(end: StayEnd): number {
  switch (end.kind) {
    case "ended":
      return end.exitCode;
    case "detached":
      // docker's words
      printError("read escape sequence\n");
      return 0;
    case "unread":
      return EXIT_UNREAD;
    default:
      throw new Error(`Unknown end ${end satisfies never}`);
  }
}

/** What flags refer to, and whether one did: without, the words alone say what is asked for. */
export function createRunContext(): RunContext & { isUsed: () => boolean } {
  let used = false;
  const noting = <Args extends unknown[], Value>(look: (...args: Args) => Value) => (...args: Args): Value => {
    used = true;
    return look(...args);
  };
  return {
    isUsed: () => used,
    makeAbsolute(path) {
      const whole = resolve(path);
      used ||= whole !== path;
      return whole;
    },
    lookUp: noting((name: string) => process.env[name]),
    environment: noting(() =>
      Object.entries(process.env).flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const])
    ),
    readFile: noting(readSmallFile),
  };
}

/** The caller's own descriptors: what `-a` names, and standard input with `-i`. */
function chooseStreams({ options: { attach, interactive } }: RunRead): RunInput["streams"] {
  const isWanted = (stream: "stdin" | "stdout" | "stderr"): boolean => attach === undefined || attach.includes(stream);
  return {
    stdin: interactive && isWanted("stdin") ? 0 as Fd : undefined,
    stdout: isWanted("stdout") ? 1 as Fd : undefined,
    stderr: isWanted("stderr") ? 2 as Fd : undefined,
  };
}

/** Pulls what is missing; its progress goes to standard error, since standard output is the container's. */
export async function fetchImage(
  { global }: Invocation,
  { options }: Pick<RunRead, "options">,
  name: string,
): Promise<void> {
  const { pullWithProgress } = await import("../pull_with_progress.ts");
  await pullWithProgress({
    global,
    name,
    platform: options.platform,
    tlsVerify: options.tlsVerify,
    isQuiet: options.quiet,
    isForRun: true,
    fd: 2,
  });
}

async function isTerminal(fd: number): Promise<boolean> {
  return (await import("#linux/terminal.ts")).isTerminal(fd as Fd);
}

async function explain(input: RunInput, asJson: boolean): Promise<number> {
  const [{ tape }, { describeTape, printTape }, { writeJson }] = await Promise.all([
    explainRun(input),
    import("#tape/print.ts"),
    import("../template/json.ts"),
  ]);
  printOut(asJson ? writeJson(describeTape(tape), { indent: 2 }) + "\n" : printTape(tape).join("\n") + "\n");
  return 0;
}
