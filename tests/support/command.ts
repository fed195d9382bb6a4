import { spawn } from "node:child_process";

/** What a command left: its exit code (128+n where a signal ended it), and what it wrote. */
export type Result = { code: number; stdout: string; stderr: string; stdoutBytes: Uint8Array; ms: number };

export type CommandOptions = {
  /** Bytes for its standard input, which ends after them; none is an empty one. */
  input?: string | Uint8Array;
  env?: Record<string, string>;
  cwd?: string;
  /** It is killed, with what it started in its session, when it takes longer: 60 s unless told. */
  timeoutMs?: number;
};

const SIGNALS: Record<string, number> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

/** At most this much of each stream is kept; a test that wants more writes to a file. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** How long streams may stay open when the program that had them has ended. */
const PATIENCE_MS = 3_000;

/** Runs a program to its end and collects what it wrote. Never throws for an exit code. */
export function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<Result> {
  const { input = "", env = {}, cwd = "/", timeoutMs = 60_000 } = options;
  const [program, ...args] = argv;
  if (program === undefined) throw new Error("A command needs a program");
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(program, args, { env, cwd, stdio: "pipe", detached: true });
    const streams = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
    const stdoutBytes = () => Buffer.concat(streams.stdout);
    const stderr = () => Buffer.concat(streams.stderr).toString();
    const timer = setTimeout(() => {
      if (child.pid !== undefined) killGroup(child.pid);
      const wrote = `stdout: ${stdoutBytes()}\nstderr: ${stderr()}`;
      reject(new Error(`"${argv.join(" ")}" did not end in ${timeoutMs} ms\n${wrote}`));
    }, timeoutMs);
    for (const name of ["stdout", "stderr"] as const) {
      let length = 0;
      child[name].on("data", (chunk: Uint8Array) => {
        length += chunk.length;
        if (length <= MAX_OUTPUT_BYTES) streams[name].push(chunk);
      });
    }
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    const finish = (code: number | null, signal: string | null) => {
      clearTimeout(timer);
      const number = signal === null ? code ?? -1 : 128 + (SIGNALS[signal] ?? 0);
      const bytes = stdoutBytes();
      const ms = performance.now() - started;
      resolve({ code: number, stdout: bytes.toString(), stderr: stderr(), stdoutBytes: bytes, ms });
    };
    child.on("close", finish);
    child.on("exit", (code, signal) => {
      // something that it left may hold the streams open: what that is, the check of the control group tells
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        finish(code, signal);
      }, PATIENCE_MS).unref();
    });
    // a program that does not read its input is no fault
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // it has just ended
  }
}
