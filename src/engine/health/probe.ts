/**
 * One probe: a program in the container, with a limit of time and of what is kept of its output.
 *
 * @module
 */
import { type ByteSource, openSource } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { close, makePipe } from "#linux/file.ts";
import { SIGNALS } from "#linux/signals.ts";
import type { Engine } from "../engine.ts";
import { execInContainer } from "../inside/exec.ts";
import { notRunning } from "../record/exec_target.ts";
import type { HealthConfig } from "./health_config.ts";
import type { ProbeResult } from "./judge.ts";

/** Docker keeps so much of an output. */
const MOST_OUTPUT_BYTES = 4096;
/** What the program left behind may hold its output open: so long is listened to it. */
const DRAIN_MS = 200;

/**
 * Runs a probe.
 * @returns Its result, also where the program could not be run or took too long.
 */
export async function runProbe(
  places: Pick<Engine, "dataRoot" | "runRoot">,
  id: string,
  { command, timeoutMs }: HealthConfig,
): Promise<ProbeResult> {
  const startMs = Date.now();
  const pipe = makePipe();
  const source = openSource(pipe.read);
  const output = gather(source);
  let target: Fd | undefined;
  let isOver = false;
  const kill = () => {
    isOver = true;
    if (target !== undefined) tryCall("pidfd_send_signal", target, SIGNALS.KILL, 0, 0);
  };
  const timer = setTimeout(kill, timeoutMs);
  let exitCode: number;
  let text: string | undefined;
  try {
    const end = await execInContainer({
      places,
      container: id,
      request: { command, env: [], user: undefined, workingDir: undefined, privileged: false },
      options: { interactive: false, tty: false, detach: false, detachKeys: [] },
      streams: { stdin: undefined, stdout: pipe.write, stderr: pipe.write },
      size: { rows: 24, columns: 80 },
      signals: {
        passTo(pidfd) {
          target = pidfd;
          if (isOver) kill();
        },
        release: () => void (target = undefined),
      },
      findSlowly: () => {
        throw notRunning(id);
      },
    });
    exitCode = end.kind === "ended" ? end.exitCode : -1;
  } catch (error) {
    exitCode = -1;
    text = (error as Error).message;
  } finally {
    clearTimeout(timer);
    close(pipe.write);
  }
  text ??= await drain(source, output);
  const endMs = Date.now();
  if (!isOver) return { startMs, endMs, exitCode, output: text };
  const why = `Health check exceeded timeout (${timeoutMs}ms)`;
  return { startMs, endMs, exitCode: -1, output: text === "" ? why : `${why}: ${text}` };
}

/** What has come of an output, up to the limit; all is read, so that the program is not kept waiting. */
function gather(source: ByteSource): { readonly ended: Promise<void>; text(): string } {
  const pieces: Uint8Array[] = [];
  let length = 0;
  const read = async () => {
    for (let bytes = await source.read(); bytes !== undefined; bytes = await source.read()) {
      if (length < MOST_OUTPUT_BYTES) pieces.push(bytes.slice(0, MOST_OUTPUT_BYTES - length));
      length += bytes.length;
    }
  };
  return {
    ended: read(),
    text() {
      const text = new TextDecoder().decode(Buffer.concat(pieces));
      return length > MOST_OUTPUT_BYTES ? `${text}...` : text;
    },
  };
}

async function drain(source: ByteSource, output: ReturnType<typeof gather>): Promise<string> {
  const patience = setTimeout(() => void source.cancel(), DRAIN_MS);
  await output.ended;
  clearTimeout(patience);
  return output.text();
}
