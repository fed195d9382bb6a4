/**
 * A program in a container as a script sees it: that of a new one, or one that enters it.
 *
 * @module
 */
import { openSink, openSource } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { close, duplicate, makePipe } from "#linux/file.ts";
import { parseSignal, SIGNALS } from "#linux/signals.ts";
import { DugoutError } from "#oci/error.ts";
import type { StreamSources } from "../streams/stdio.ts";
import { Input, type InputChunk, type InputSource } from "./input.ts";
import { Output } from "./output.ts";

/** How a program's streams are connected, and what ends it. */
export interface ProgramOptions {
  /** Text or bytes for it to read. */
  readonly input?: string | Uint8Array;
  /**
   * What it reads: nothing (`ignore`, unless it is said otherwise), this program's own (`inherit`), what is written to
   * its `stdin` (`pipe`), or all of a stream or iterable.
   */
  readonly stdin?: "ignore" | "inherit" | "pipe" | InputSource;
  /** Where it writes to: its `stdout` and the result (`pipe`, unless it is said otherwise), this program's own, nowhere. */
  readonly stdout?: OutputMode;
  readonly stderr?: OutputMode;
  /** The most that is kept of each output that nobody reads as a stream, in bytes. 64 MiB, unless it is said otherwise. */
  readonly maxOutputBytes?: number;
  /** Ends it, and what comes before it; the promise rejects with the signal's reason when it is gone. */
  readonly signal?: AbortSignal;
}

/** Where an output goes. */
export type OutputMode = "pipe" | "inherit" | "ignore";

const DEFAULT_OUTPUT_BYTES: number = 64 * 1024 * 1024;

/** A program that runs. */
export interface ProgramStart {
  /** As this machine sees it. */
  readonly pid: number;
}

/** How a program ended. One that fails is no error: look at its exit code. */
export interface ProgramResult {
  /** As a shell has it: its own, or 128 and the signal. */
  readonly exitCode: number;
  /** What it wrote, as UTF-8; empty where it was read as a stream, or went elsewhere. */
  readonly stdout: string;
  readonly stderr: string;
  /** From its start to its end. */
  readonly durationMs: number;
}

/** What plays a program to its end. */
export interface PlayInput<Start extends ProgramStart> {
  readonly streams: StreamSources;
  /** Ends what comes before the program runs. */
  readonly cancel: AbortSignal;
  /** To be called once, when it runs. @param pidfd Refers to it, and stays the caller's. */
  begin(start: Start, pidfd: Fd | undefined): void;
}

/** Plays a program. @returns Its exit code. */
export type Play<Start extends ProgramStart> = (input: PlayInput<Start>) => Promise<number>;

/** What is known of a program from its start to its end. */
export type Told<Start extends ProgramStart> = ProgramResult & Omit<Start, "pid">;

/**
 * A program in a container: a promise of how it ended, and its streams meanwhile. `await using` kills it at the end of the
 * block.
 */
export class Program<Start extends ProgramStart> implements PromiseLike<Told<Start>>, AsyncDisposable {
  /** Resolves when it runs; rejects as the program itself where it never does. */
  readonly started: Promise<Start>;
  readonly #result: Promise<Told<Start>>;
  readonly #stdin: Input;
  readonly #stdout: Output;
  readonly #stderr: Output;
  readonly #options: ProgramOptions;
  readonly #play: Play<Start>;
  readonly #starting = Promise.withResolvers<Start>();
  /** Ends what comes before the program does. */
  readonly #cancel = new AbortController();
  #pidfd: Fd | undefined;
  #failure: { readonly error: unknown } | undefined;
  #hasEnded = false;

  constructor(options: ProgramOptions, play: Play<Start>) {
    const mostBytes = options.maxOutputBytes ?? DEFAULT_OUTPUT_BYTES;
    this.#options = options;
    this.#play = play;
    this.#stdin = new Input();
    this.#stdout = new Output("stdout", mostBytes);
    this.#stderr = new Output("stderr", mostBytes);
    this.started = this.#starting.promise;
    this.#result = this.#run();
    // whoever waits hears of it; a script that only reads hears of it by its streams
    this.started.catch(() => {});
    this.#result.catch(() => {});
  }

  /** What it reads, with `stdin: "pipe"`. Closing it is the end that the container sees. */
  get stdin(): WritableStream<InputChunk> {
    if (this.#options.stdin !== "pipe") throw noStream("stdin");
    return this.#stdin.stream();
  }

  /** What it writes, as it comes. What is read here is not in the result. */
  get stdout(): ReadableStream<Uint8Array> {
    if ((this.#options.stdout ?? "pipe") !== "pipe") throw noStream("stdout");
    return this.#stdout.stream();
  }

  get stderr(): ReadableStream<Uint8Array> {
    if ((this.#options.stderr ?? "pipe") !== "pipe") throw noStream("stderr");
    return this.#stderr.stream();
  }

  /**
   * Sends it a signal: `SIGTERM`, `TERM`, 15. One that does not run yet never will.
   * @returns Whether there was one to send it to.
   */
  kill(signal: string | number = "SIGTERM"): boolean {
    const number = parseSignal(String(signal));
    if (number === undefined) {
      throw new DugoutError("OPTION_INVALID", `Cannot send ${JSON.stringify(signal)}: no signal`);
    }
    if (this.#hasEnded) return false;
    if (this.#pidfd !== undefined) return tryCall("pidfd_send_signal", this.#pidfd, number, 0, 0) === 0;
    this.#stop(new DugoutError("KILLED", "It was killed before it ran", { exitCode: 128 + number }));
    return true;
  }

  then<A = Told<Start>, B = never>(
    onEnd?: ((result: Told<Start>) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#result.then(onEnd, onError);
  }

  catch<B = never>(onError?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<Told<Start> | B> {
    return this.#result.catch(onError);
  }

  finally(onSettled?: (() => void) | null): Promise<Told<Start>> {
    return this.#result.finally(onSettled);
  }

  /** Kills it, and waits until nothing of it is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.#result.catch(() => {});
  }

  /** The first reason counts; the container is killed, and the promise rejects when it is gone. */
  #stop(error: unknown): void {
    if (this.#hasEnded) return;
    this.#failure ??= { error };
    this.#cancel.abort(error);
    if (this.#pidfd !== undefined) tryCall("pidfd_send_signal", this.#pidfd, SIGNALS.KILL, 0, 0);
  }

  async #run(): Promise<Told<Start>> {
    const { signal } = this.#options;
    const abort = () => this.#stop(signal?.reason);
    signal?.addEventListener("abort", abort);
    try {
      // whoever made this gets its streams first
      await Promise.resolve();
      signal?.throwIfAborted();
      return await this.#runToEnd();
    } catch (caught) {
      const { error } = this.#failure ?? { error: caught };
      this.#starting.reject(error);
      for (const stream of [this.#stdin, this.#stdout, this.#stderr]) stream.fail(error);
      throw error;
    } finally {
      this.#hasEnded = true;
      if (this.#pidfd !== undefined) close(this.#pidfd);
      signal?.removeEventListener("abort", abort);
    }
  }

  async #runToEnd(): Promise<Told<Start>> {
    let program: { start: Start; atMs: number } | undefined;
    const pipes = this.#openPipes();
    let exitCode: number;
    try {
      exitCode = await this.#play({
        streams: pipes.streams,
        cancel: this.#cancel.signal,
        begin: (start, pidfd) => {
          pipes.connect();
          program = { start, atMs: performance.now() };
          this.#begin(start, pidfd);
        },
      });
    } finally {
      pipes.close();
    }
    const durationMs = performance.now() - program!.atMs;
    // so that a kill that comes now is not taken for one that ended it
    this.#hasEnded = this.#failure === undefined;
    await this.#stdin.end();
    await Promise.all([this.#stdout.kept, this.#stderr.kept]);
    if (this.#failure !== undefined) throw this.#failure.error;
    const { pid: _, ...told } = program!.start;
    return { ...told, exitCode, stdout: this.#stdout.text(), stderr: this.#stderr.text(), durationMs };
  }

  #begin(start: Start, pidfd: Fd | undefined): void {
    // a copy: the engine closes its own when it has ended
    if (pidfd !== undefined) this.#pidfd = duplicate(pidfd);
    if (this.#failure !== undefined) this.#stop(this.#failure.error);
    this.#starting.resolve(start);
  }

  /** The pipes to the program: its ends, and what connects ours to the streams. */
  #openPipes(): { streams: StreamSources; connect(): void; close(): void } {
    const { input, stdin = input === undefined ? "ignore" : [input], stdout = "pipe", stderr = "pipe" } = this.#options;
    const theirs: Fd[] = [];
    const ours: Fd[] = [];
    const connections: (() => void)[] = [];
    const keep = (their: Fd, our: Fd): Fd => {
      theirs.push(their);
      ours.push(our);
      return their;
    };
    const openInput = (): Fd | undefined => {
      if (stdin === "ignore" || stdin === "inherit") {
        connections.push(() => this.#stdin.open(NO_SINK));
        return stdin === "inherit" ? 0 as Fd : undefined;
      }
      const pipe = makePipe();
      connections.push(() => {
        this.#stdin.open(openSink(pipe.write));
        if (stdin !== "pipe") this.#stdin.feed(stdin as InputSource).catch((error) => this.#stop(error));
      });
      return keep(pipe.read, pipe.write);
    };
    const openOutput = (mode: string, output: Output, own: number): Fd | undefined => {
      if (mode === "pipe") {
        const pipe = makePipe();
        connections.push(() => {
          output.open(openSource(pipe.read));
          output.kept.catch((error) => this.#stop(error));
        });
        return keep(pipe.write, pipe.read);
      }
      connections.push(() => output.open(NO_SOURCE));
      return mode === "inherit" ? own as Fd : undefined;
    };
    const streams = {
      stdin: openInput(),
      stdout: openOutput(stdout, this.#stdout, 1),
      stderr: openOutput(stderr, this.#stderr, 2),
    };
    return {
      streams,
      connect() {
        theirs.splice(0).forEach(close);
        ours.length = 0;
        connections.splice(0).forEach((connect) => connect());
      },
      close() {
        [...theirs.splice(0), ...ours.splice(0)].forEach(close);
      },
    };
  }
}

/** In the place of a stream that is not there. */
const NO_SOURCE = { read: () => Promise.resolve(undefined), cancel: () => Promise.resolve() };
const NO_SINK = { write: () => Promise.resolve(false), end: () => Promise.resolve() };

function noStream(name: "stdin" | "stdout" | "stderr"): DugoutError {
  return new DugoutError("OPTION_INVALID", `Cannot use its ${name} as a stream: it is not a pipe`, {
    hint: `run it with ${name}: "pipe"`,
  });
}
