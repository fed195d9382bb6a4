import type { Socket } from "node:net";
import type { Backend, ByteSink, ByteSource, WordFunction, WordFunctionName } from "./backend.ts";
import { WORD_FUNCTIONS } from "./backend.ts";

declare const pointerBrand: unique symbol;
type Pointer = { readonly [pointerBrand]: true };

/** The part of the global `Deno` that is used, so that Bun and tsc can read this file too. */
interface DenoFfi {
  dlopen(
    path: string,
    symbols: Record<string, { parameters: string[]; result: string }>,
  ): { symbols: Record<string, (...args: (number | bigint)[]) => number | bigint | Pointer> };
  dlopen(
    path: string,
    symbols: Record<string, { parameters: string[]; result: string; nonblocking: true }>,
  ): { symbols: Record<string, (fd: number, bytes: Uint8Array, sizeBytes: number) => Promise<number | bigint>> };
  UnsafePointer: {
    of(bytes: Uint8Array): Pointer;
    value(pointer: Pointer): number | bigint;
    create(address: bigint): Pointer;
  };
  UnsafePointerView: {
    new (pointer: Pointer): { getInt32(): number };
    getArrayBuffer(pointer: Pointer, sizeBytes: number): ArrayBuffer;
  };
  build: { standalone: boolean };
}

const LIBC = "libc.so.6";
const EIO = 5;

/** A pipe as a socket of node:net, which Deno waits for by events and closes at its end. */
function openSocket(fd: number, direction: { readable: boolean; writable: boolean }): Socket {
  const { Socket } = process.getBuiltinModule("node:net");
  const socket = new Socket({ fd, ...direction });
  // told by read and write; without a listener it would end the program
  socket.on("error", () => {});
  return socket;
}

function openSource(fd: number): ByteSource {
  const socket = openSocket(fd, { readable: true, writable: false });
  const chunks = socket[Symbol.asyncIterator]();
  return {
    async read() {
      try {
        const { value, done } = await chunks.next();
        return done === true ? undefined : value;
      } catch (error) {
        if (socket.destroyed) return undefined;
        throw error;
      }
    },
    cancel() {
      socket.destroy();
      return Promise.resolve();
    },
  };
}

function openSink(fd: number): ByteSink {
  const socket = openSocket(fd, { readable: false, writable: true });
  return {
    write: (bytes) =>
      new Promise((resolve, reject) =>
        socket.write(bytes, (error) => {
          if (error === null || error === undefined) resolve(true);
          else if (socket.destroyed || (error as NodeJS.ErrnoException).code === "EPIPE") resolve(false);
          else reject(error);
        })
      ),
    end: () =>
      new Promise((resolve) => {
        if (socket.closed) return resolve();
        socket.once("close", () => resolve());
        socket.end();
      }),
  };
}

/** Makes the backend over Deno's FFI (needs `--allow-ffi`). */
export function makeDenoBackend(): Backend {
  const deno = (globalThis as unknown as { Deno: DenoFfi }).Deno;
  const { symbols } = deno.dlopen(LIBC, {
    syscall: { parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"], result: "i64" },
    __errno_location: { parameters: [], result: "pointer" },
  });
  const rawSyscall = symbols["syscall"]!;
  // the main thread's errno: one address for the life of the thread
  const errno = new deno.UnsafePointerView(symbols["__errno_location"]!() as Pointer);
  const bound = new Map<WordFunctionName, WordFunction>();

  // on a thread of its own each, whose errno nobody can read
  const openLater = (name: "read" | "write") => {
    const parameters = ["i32", "buffer", "usize"];
    return deno.dlopen(LIBC, { [name]: { parameters, result: "isize", nonblocking: true } }).symbols[name]!;
  };
  let later: { read: ReturnType<typeof openLater>; write: ReturnType<typeof openLater> } | undefined;
  const callLater = async (name: "read" | "write", fd: number, bytes: Uint8Array): Promise<number> => {
    later ??= { read: openLater("read"), write: openLater("write") };
    const result = Number(await later[name](fd, bytes, bytes.length));
    return result === -1 ? -EIO : result;
  };

  return {
    runtime: "deno",
    syscall(nr, a0 = 0, a1 = 0, a2 = 0, a3 = 0, a4 = 0, a5 = 0) {
      const result = Number(rawSyscall(nr, a0, a1, a2, a3, a4, a5));
      return result === -1 ? -errno.getInt32() : result;
    },
    libc(name) {
      let found = bound.get(name);
      if (found === undefined) {
        const parameters = new Array<string>(WORD_FUNCTIONS[name]).fill("i64");
        const opened = deno.dlopen(LIBC, { [name]: { parameters, result: "i32" } }).symbols[name]!;
        found = (...words) => Number(opened(...words.map((word) => word ?? 0)));
        bound.set(name, found);
      }
      return found;
    },
    addressOf: (bytes) => Number(deno.UnsafePointer.value(deno.UnsafePointer.of(bytes))),
    view(address, sizeBytes) {
      const pointer = deno.UnsafePointer.create(BigInt(address));
      return new Uint8Array(deno.UnsafePointerView.getArrayBuffer(pointer, sizeBytes));
    },
    // V8 decides by itself
    favourThroughput: () => {},
    collectGarbage: () => {},
    hashHex: (algorithm, data) =>
      process.getBuiltinModule("node:crypto").createHash(algorithm).update(data).digest("hex"),
    readLater: (fd, bytes) => callLater("read", fd, bytes),
    writeLater: (fd, bytes) => callLater("write", fd, bytes),
    openSource,
    openSink,
    compiled: deno.build.standalone,
    runArguments: ["run", "--quiet", "--no-lock", "-A"],
  };
}
