import { addressOf, allocate } from "#ffi/mod.ts";
import { call, expectResult, type Fd, tryCall } from "#linux/call.ts";
import { AT_FDCWD, close, makePipe, O_RDWR, openAt, tryMakeMemfd, writeAll } from "#linux/file.ts";
import { spawn } from "#linux/spawn.ts";
import { FAILURE, TAPE_FD } from "#tape/layout.ts";

/** What became of a tape that was played as bytes. */
export interface RawResult {
  /** Its exit code, or undefined where a signal ended it. */
  readonly exitCode: number | undefined;
  readonly signal: number | undefined;
  readonly failure: { readonly index: number; readonly errno: number } | undefined;
  /** What it wrote to descriptor 5, up to a pipe's size. */
  readonly output: string;
}

function makeMemoryFile(bytes: Uint8Array): Fd {
  const fd = expectResult(tryMakeMemfd("tape", false), "memfd_create", "tape") as Fd;
  writeAll(fd, bytes);
  return fd;
}

/**
 * Plays the bytes of a tape, whatever they are. Descriptor 4 is the error pipe, 5 a pipe that is collected; 0 to 2 are
 * /dev/null, so that nothing can be written to the terminal or the report of the tests.
 * @param program The player, or an emulator and the player.
 */
export function playBytes(tape: Uint8Array, program: readonly [path: string, ...args: string[]]): RawResult {
  const none = openAt(AT_FDCWD, "/dev/null", O_RDWR);
  const memory = makeMemoryFile(tape);
  const errors = makePipe();
  const output = makePipe();
  const pid = spawn({
    path: program[0],
    argv: program,
    env: [],
    fds: [
      ...[0, 1, 2].map((child) => ({ child, ours: none })),
      { child: TAPE_FD, ours: memory },
      { child: 4, ours: errors.write },
      { child: 5, ours: output.write },
    ],
  });
  for (const fd of [none, memory, errors.write, output.write]) close(fd);
  const status = allocate(8);
  call("wait4", `process ${pid}`, pid, addressOf(status), 0, 0);
  const word = new DataView(status.buffer).getInt32(0, true);
  const failure = readSome(errors.read);
  const view = new DataView(failure.buffer, failure.byteOffset, failure.length);
  const text = new TextDecoder().decode(readSome(output.read));
  close(errors.read);
  close(output.read);
  return {
    exitCode: (word & 0x7f) === 0 ? word >> 8 & 0xff : undefined,
    signal: (word & 0x7f) === 0 ? undefined : word & 0x7f,
    failure: failure.length < FAILURE.SIZE
      ? undefined
      : { index: view.getUint32(FAILURE.index, true), errno: view.getUint32(FAILURE.errno, true) },
    output: text,
  };
}

/** What is in a pipe whose writers are gone. */
function readSome(fd: Fd): Uint8Array {
  const bytes = allocate(65536);
  return bytes.slice(0, expectResult(tryCall("read", fd, addressOf(bytes), bytes.length), "read", "pipe"));
}
