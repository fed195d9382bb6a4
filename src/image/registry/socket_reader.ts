import type { Socket } from "node:net";

/** The slowest stream that is still waited for: fewer bytes than this in a window of waiting and the connection is cut. */
export interface TricklePolicy {
  minBytes: number;
  windowMs: number;
}

/** 8 KB a minute: no link that a layer could come over is slower. */
export const DEFAULT_TRICKLE: TricklePolicy = { minBytes: 8 * 1024, windowMs: 60_000 };

/** Bytes that may wait in memory before the socket is told to stop. */
const QUEUE_BYTES_MAX = 1024 * 1024;

/**
 * Bytes of a socket, pulled: the socket pauses when nobody reads, so memory stays bounded whatever the sender does. Only the time that the
 * reader waits counts against the sender.
 */
export class SocketReader {
  readonly #socket: Socket;
  readonly #trickle: TricklePolicy;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #isEnded = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  #windowBytes = 0;
  #windowWaitedMs = 0;
  #windowMs = 0;
  /** Whether any byte came at all; tells a kept connection that was closed meanwhile from an answer that was cut. */
  hasReceived = false;

  constructor(socket: Socket, trickle: TricklePolicy) {
    this.#socket = socket;
    this.#trickle = trickle;
    this.#windowMs = trickle.windowMs;
    socket.on("data", (chunk: Uint8Array) => {
      this.hasReceived = true;
      this.#queue.push(chunk);
      this.#queuedBytes += chunk.length;
      this.#windowBytes += chunk.length;
      if (this.#queuedBytes >= QUEUE_BYTES_MAX) socket.pause();
      this.#wake?.();
    });
    const end = (error?: Error) => {
      this.#isEnded = true;
      this.#error ??= error;
      this.#wake?.();
    };
    socket.on("end", () => end());
    socket.on("close", () => end());
    socket.on("error", (error: Error) => end(error));
  }

  /** Whether the other side closed, or something lies here that nobody asked for: such a connection is not used again. */
  get isStale(): boolean {
    return this.#isEnded || this.#queuedBytes > 0;
  }

  /**
   * Starts a new window.
   * @param windows How many windows long: more for the first byte of an answer, since caches fetch what they lack before they answer.
   */
  beginWindow(windows = 1): void {
    this.#windowBytes = 0;
    this.#windowWaitedMs = 0;
    this.#windowMs = this.#trickle.windowMs * windows;
  }

  /** Puts bytes back, to be read next. */
  unread(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#queue.unshift(chunk);
    this.#queuedBytes += chunk.length;
  }

  /**
   * The next bytes, or undefined at the end of the stream.
   * @throws {Error} With the code TRICKLE when too little comes for too long, or the socket's own.
   */
  async read(): Promise<Uint8Array | undefined> {
    while (this.#queue.length === 0 && !this.#isEnded) await this.#wait();
    const chunk = this.#queue.shift();
    if (chunk === undefined) {
      if (this.#error !== undefined) throw this.#error;
      return undefined;
    }
    this.#queuedBytes -= chunk.length;
    if (this.#queuedBytes < QUEUE_BYTES_MAX / 2 && this.#socket.isPaused()) this.#socket.resume();
    return chunk;
  }

  async #wait(): Promise<void> {
    const started = performance.now();
    const windowMs = this.#windowMs;
    const { minBytes } = this.#trickle;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, Math.max(windowMs - this.#windowWaitedMs, 0) + 1);
    });
    clearTimeout(timer);
    this.#wake = undefined;
    this.#windowWaitedMs += performance.now() - started;
    if (this.#windowWaitedMs < windowMs) return;
    const cameBytes = this.#windowBytes;
    if (cameBytes < minBytes && !this.#isEnded) {
      const words = `the other side sent ${cameBytes} bytes in ${Math.round(windowMs / 1000)} s`;
      this.#socket.destroy();
      throw Object.assign(new Error(words), { code: "TRICKLE" });
    }
    this.beginWindow();
  }
}
