/**
 * `exec`: another process in a container.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { type Fd, tryCall } from "#linux/call.ts";
import { close } from "#linux/file.ts";
import { connectStream, makeSocketPair, receiveFd } from "#linux/socket.ts";
import { parseProcess } from "#oci/runtime_config.ts";
import { readContainer } from "#bundle/container_state.ts";
import { execInContainer, type ExecProgram } from "#bundle/exec.ts";
import { holdSignals } from "#engine/streams/foreground.ts";
import { showTerminal, typeInto } from "#engine/streams/relay_terminal.ts";
import { exitCodeOf, lostMonitorError } from "#runtime/launch_container.ts";
import { usageError } from "../usage_error.ts";
import type { Flags } from "./flags.ts";
import type { RuntimeInvocation } from "./main.ts";
import { preservedFds } from "./make.ts";

/** `exec`. @returns The program's exit code; of a detached one 0. */
export async function runExec({ root, args, flags }: RuntimeInvocation): Promise<number> {
  const container = readContainer(root.path, args[0]!);
  const program = readProgram(flags, args.slice(1));
  const hasTerminal = "process" in program ? program.process.terminal ?? false : program.overrides.terminal;
  const detaches = flags.has("detach");
  const socket = flags.text("console-socket");
  if (hasTerminal && detaches && socket === undefined) {
    throw usageError("cannot allocate tty if the runtime will detach without setting console socket", 1, "");
  }
  const { preserved } = preservedFds(flags);
  const pair = hasTerminal && socket === undefined ? makeSocketPair() : undefined;
  const console = !hasTerminal ? undefined : socket === undefined ? pair![1] : connectStream(socket);
  const signals = detaches ? undefined : holdSignals();
  const entered = execInContainer(container, {
    program,
    console,
    detaches,
    pidFile: flags.text("pid-file"),
    preserved,
  });
  if (console !== undefined) close(console);
  if (detaches) return 0;
  const pidfd = tryCall("pidfd_open", entered.pid, 0);
  if (pidfd >= 0) signals?.passTo(pidfd as Fd);
  const master = pair === undefined ? undefined : receiveFd(pair[0]);
  const typing = master === undefined ? undefined : typeInto(master, { interactive: true, detachKeys: [] });
  const shown = master === undefined ? undefined : showTerminal(master);
  try {
    const status = await entered.wait();
    await shown;
    if (status === undefined) throw lostMonitorError("while the program ran");
    return exitCodeOf(status);
  } finally {
    typing?.stop();
    signals?.release();
  }
}

function readProgram(flags: Flags, args: readonly string[]): ExecProgram {
  const file = flags.text("process");
  if (file !== undefined) return { process: parseProcess(readFileSync(file), file) };
  if (args.length === 0) throw usageError("process args cannot be empty", 1, "");
  return {
    overrides: {
      args,
      cwd: flags.text("cwd"),
      env: flags.list("env"),
      user: readUser(flags.text("user")),
      additionalGids: flags.list("additional-gids").map((text) => readId(text, "additional-gids")),
      capabilities: flags.list("cap"),
      noNewPrivileges: flags.has("no-new-privs"),
      terminal: flags.has("tty"),
    },
  };
}

function readUser(text: string | undefined): { uid: number; gid: number | undefined } | undefined {
  if (text === undefined) return undefined;
  const [uid = "", gid, ...rest] = text.split(":");
  if (rest.length > 0) throw usageError(`invalid value ${JSON.stringify(text)} for flag -user`, 1, "");
  return { uid: readId(uid, "user"), gid: gid === undefined ? undefined : readId(gid, "user") };
}

/** Numbers alone, never names. */
function readId(text: string, flag: string): number {
  const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : NaN;
  if (id <= 2 ** 32 - 2) return id;
  throw usageError(`invalid value ${JSON.stringify(text)} for flag -${flag}: an id is a number`, 1, "");
}
