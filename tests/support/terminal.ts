import { join } from "node:path";
import { type Result, runCommand } from "./command.ts";
import type { Sandbox } from "./sandbox.ts";

/** A terminal of 100 × 30, driven through tmux as a person would. */
export type Terminal = {
  /** Types text, and Enter unless told otherwise. */
  type(text: string, enter?: boolean): Promise<void>;
  /** Presses a key by tmux's name for it: "C-c", "C-p", "Up". */
  press(key: string): Promise<void>;
  resize(columns: number, rows: number): Promise<void>;
  /** What the screen shows, without blanks at the ends of lines. */
  screen(): Promise<string>;
  /** Waits until the screen matches, and gives what it showed. */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<string>;
};

/** Starts a shell in a terminal as the sandbox's user; it ends with `work`. */
export async function withTerminal(sandbox: Sandbox, work: (terminal: Terminal) => Promise<void>): Promise<void> {
  const socket = join(sandbox.runtimeDirectory, "tmux");
  const env = { ...sandbox.environment, TERM: "xterm" };
  const tmux = async (...args: string[]): Promise<Result> => {
    const argv = [...sandbox.prefix(), "/usr/bin/tmux", "-f", "/dev/null", "-S", socket, ...args];
    const result = await runCommand(argv, { env, cwd: sandbox.home, timeoutMs: 10_000 });
    if (result.code !== 0) throw new Error(`tmux ${args.join(" ")}: ${result.stderr}`);
    return result;
  };
  const screen = async () => (await tmux("capture-pane", "-p", "-t", "t")).stdout;
  const waitFor = async (pattern: RegExp, timeoutMs = 20_000) => {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const text = await screen();
      if (pattern.test(text)) return text;
      if (performance.now() > deadline) {
        throw new Error(`The terminal did not show ${pattern} in ${timeoutMs} ms:\n${text}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await tmux("new-session", "-d", "-s", "t", "-x", "100", "-y", "30", "env", "PS1=outer$ ", "/bin/sh");
  try {
    await waitFor(/outer\$/);
    await work({
      type: async (text, enter = true) => {
        await tmux("send-keys", "-t", "t", "-l", "--", text);
        if (enter) await tmux("send-keys", "-t", "t", "Enter");
      },
      press: async (key) => void await tmux("send-keys", "-t", "t", key),
      resize: async (columns, rows) =>
        void await tmux("resize-window", "-t", "t", "-x", String(columns), "-y", String(rows)),
      screen,
      waitFor,
    });
  } finally {
    await tmux("kill-server");
  }
}
