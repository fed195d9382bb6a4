/** A C function of the process's own libc that takes and returns machine words. */
export type WordFunction = (
  a0?: number | bigint,
  a1?: number | bigint,
  a2?: number | bigint,
  a3?: number | bigint,
  a4?: number | bigint,
  a5?: number | bigint,
) => number;

/** The libc functions besides syscall(2) that dugout calls: their names, and how many words each takes. */
export const WORD_FUNCTIONS = {
  posix_spawn: 6,
  posix_spawn_file_actions_adddup2: 3,
} as const;

/** Name of one of {@linkcode WORD_FUNCTIONS}. */
export type WordFunctionName = keyof typeof WORD_FUNCTIONS;

/** Hash functions that digests are made by. */
export type HashAlgorithm = "sha256" | "sha512";

/** The end of a pipe that bytes come from, read by events. It owns the descriptor, and closes it at its end. */
export interface ByteSource {
  /** What has come, in pieces of any size; undefined at the end. One call at a time. */
  read(): Promise<Uint8Array | undefined>;
  /** Ends it, perhaps early: a read that waits gives undefined. */
  cancel(): Promise<void>;
}

/** The end of a pipe that bytes go to, written by events. It owns the descriptor, and `end` closes it. */
export interface ByteSink {
  /** Resolves when the kernel has taken all of it, with false when nobody reads any more. One call at a time. */
  write(bytes: Uint8Array): Promise<boolean>;
  /** Closes the descriptor. */
  end(): Promise<void>;
}

/**
 * What a JavaScript runtime must give so that dugout can reach the kernel. `bun.ts` and `deno.ts` are the two
 * implementations; nothing else in the project knows which runtime it is in.
 */
export interface Backend {
  readonly runtime: "bun" | "deno";
  /**
   * One system call through libc's syscall(2).
   * @returns The result, or minus errno. Numbers above 2^53 do not occur in the calls that we make.
   */
  syscall(
    nr: number,
    a0?: number | bigint,
    a1?: number | bigint,
    a2?: number | bigint,
    a3?: number | bigint,
    a4?: number | bigint,
    a5?: number | bigint,
  ): number;
  /** A libc function by name. It takes all of its words. */
  libc(name: WordFunctionName): WordFunction;
  /**
   * The address of the first byte. It holds while the array is alive: the caller keeps a reference over the call.
   * The array must not be one of V8's small on-heap arrays: make it with {@linkcode allocate}.
   */
  addressOf(bytes: Uint8Array): number;
  /** Memory that somebody else owns (an mmap), seen as bytes. */
  view(address: number, sizeBytes: number): Uint8Array;
  /** The digest of bytes or of text as UTF-8, in hexadecimal: small things, in one go. */
  hashHex(algorithm: HashAlgorithm, data: Uint8Array | string): string;
  /**
   * read(2) without holding up the event loop, on any descriptor of the process: Deno's node:fs knows only those that it
   * has opened itself.
   * @returns The count, or minus errno; minus EIO where the runtime does not tell which.
   */
  readLater(fd: number, bytes: Uint8Array): Promise<number>;
  /** write(2) without holding up the event loop; the result is as that of {@linkcode Backend.readLater}. */
  writeLater(fd: number, bytes: Uint8Array): Promise<number>;
  /**
   * Reads a pipe without a thread that waits: Bun has as many threads as there are processors, Deno has 32, and where all
   * of them wait for containers nothing else is read.
   */
  openSource(fd: number): ByteSource;
  /** Writes to a pipe in the same way; the descriptor is non-blocking from then on. */
  openSink(fd: number): ByteSink;
  /** Compiles code early, as is best for work that lasts; a compiled program starts with the opposite. */
  favourThroughput(): void;
  /**
   * Collects garbage now, for a loop that never returns to the runtime's own: Bun, which counts on its event loop for that,
   * lets some 600 bytes a connection pile up for hundreds of thousands.
   */
  collectGarbage(): void;
  /** Whether this is a compiled program: its executable started again is the program itself. */
  readonly compiled: boolean;
  /** What the executable is to be told, before a script's path, to run it with all rights. */
  readonly runArguments: readonly string[];
}
