import type { Backend, ByteSink, ByteSource, WordFunction } from "./backend.ts";
import { WORD_FUNCTIONS } from "./backend.ts";

/** The part of the module `bun:ffi`, and of what it is made of, that is used; so Deno can read this file too. */
interface BunFfi {
  dlopen(
    path: string,
    symbols: Record<string, { args: string[]; returns: string }>,
  ): { symbols: Record<string, (...args: (number | bigint)[]) => number | bigint> };
  ptr(bytes: Uint8Array): number;
  toArrayBuffer(address: number, offset: number, length: number): ArrayBuffer;
  read: { i32(address: number, offset: number): number };
}

/** The global `Bun`, as far as it is used. */
interface BunGlobal {
  FFI?: BunFfi;
  file(fd: number): {
    stream(): ReadableStream<Uint8Array>;
    writer(options: { highWaterMark: number }): {
      write(bytes: Uint8Array): number | Promise<number>;
      flush(): number | Promise<number>;
      end(): number | Promise<number>;
    };
  };
  CryptoHasher: { hash(algorithm: string, data: Uint8Array | string, encoding: "hex"): string };
  gc(isSynchronous: boolean): void;
  unsafe: { setJITPolicy(scale: number): void };
}

const LIBC = "libc.so.6";

/** Minus errno of an error of node:fs; minus EIO where it has none. */
function errnoOf(error: NodeJS.ErrnoException): number {
  return -Math.abs(error.errno ?? 5);
}

function closeOnce(fd: number): () => void {
  let isOpen = true;
  return () => {
    if (isOpen) process.getBuiltinModule("node:fs").closeSync(fd);
    isOpen = false;
  };
}

function openSource(bun: BunGlobal, fd: number): ByteSource {
  const reader = bun.file(fd).stream().getReader();
  const close = closeOnce(fd);
  return {
    async read() {
      const { value } = await reader.read();
      if (value === undefined) close();
      return value;
    },
    async cancel() {
      await reader.cancel();
      close();
    },
  };
}

function openSink(bun: BunGlobal, fd: number): ByteSink {
  const writer = bun.file(fd).writer({ highWaterMark: 1 });
  const close = closeOnce(fd);
  return {
    async write(bytes) {
      try {
        await Promise.all([writer.write(bytes), writer.flush()]);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EPIPE") return false;
        throw error;
      }
    },
    async end() {
      try {
        await writer.end();
      } catch {
        // what could not be written has been told by write
      }
      close();
    },
  };
}

/**
 * What the module `bun:ffi` is made of: it wraps each function into one that is compiled from text, to turn values of all kinds
 * into words. Ours are words already, and it all takes half a millisecond. Where Bun keeps it to itself, the module does the same.
 */
function openFfi(bun: BunGlobal): BunFfi {
  // getBuiltinModule instead of an import: Deno must be able to load this file.
  return bun.FFI ?? process.getBuiltinModule("bun:ffi") as unknown as BunFfi;
}

/** Makes the backend over Bun's FFI. */
export function makeBunBackend(): Backend {
  const bun = (globalThis as unknown as { Bun: BunGlobal }).Bun;
  const ffi = openFfi(bun);
  const words = (count: number) => new Array<string>(count).fill("i64");
  // all at once: each opening of a library costs more than a function of it
  const { symbols } = ffi.dlopen(LIBC, {
    syscall: { args: words(7), returns: "i64_fast" },
    __errno_location: { args: [], returns: "ptr" },
    ...Object.fromEntries(
      Object.entries(WORD_FUNCTIONS).map(([name, count]) => [name, { args: words(count), returns: "i32" }]),
    ),
  });
  const rawSyscall = symbols["syscall"]!;
  // the main thread's errno: one address for the life of the thread
  const errnoAddress = Number(symbols["__errno_location"]!());

  return {
    runtime: "bun",
    syscall(nr, a0 = 0, a1 = 0, a2 = 0, a3 = 0, a4 = 0, a5 = 0) {
      const result = rawSyscall(nr, a0, a1, a2, a3, a4, a5);
      return result === -1 ? -ffi.read.i32(errnoAddress, 0) : Number(result);
    },
    libc: (name) => symbols[name] as WordFunction,
    addressOf: (bytes) => ffi.ptr(bytes),
    view: (address, sizeBytes) => new Uint8Array(ffi.toArrayBuffer(address, 0, sizeBytes)),
    favourThroughput: () => bun.unsafe.setJITPolicy(1),
    collectGarbage: () => bun.gc(true),
    // node:crypto does the same, but takes 1.5 to 5 ms to load
    hashHex: (algorithm, data) => bun.CryptoHasher.hash(algorithm, data, "hex"),
    readLater: (fd, bytes) =>
      new Promise((resolve) => {
        const { read } = process.getBuiltinModule("node:fs");
        read(fd, bytes, 0, bytes.length, null, (error, count) => resolve(error === null ? count : errnoOf(error)));
      }),
    writeLater: (fd, bytes) =>
      new Promise((resolve) => {
        const { write } = process.getBuiltinModule("node:fs");
        write(fd, bytes, 0, bytes.length, null, (error, count) => resolve(error === null ? count : errnoOf(error)));
      }),
    openSource: (fd) => openSource(bun, fd),
    openSink: (fd) => openSink(bun, fd),
    // a compiled binary's script lives in Bun's virtual file system
    compiled: (process.argv[1] ?? "").startsWith("/$bunfs/"),
    runArguments: [],
  };
}
