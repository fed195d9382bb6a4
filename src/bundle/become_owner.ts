/**
 * Root that is asked for a user's containers becomes that user before it reads anything: this program is executed
 * again, with the user's ids and no others, and whatever it then believes, signals or removes is with the user's rights.
 *
 * @module
 */
import { constants, openSync } from "node:fs";
import type { Fd } from "#linux/call.ts";
import { AT_EMPTY_PATH, close } from "#linux/file.ts";
import { ownCommand } from "#runtime/own_command.ts";
import { exitCodeOf } from "#runtime/launch_container.ts";
import { failureError, startTape } from "#tape/play.ts";
import { readFailure, waitFor } from "#tape/play_encoded.ts";
import { packList } from "#tape/pack.ts";
import { step, type Tape } from "#tape/step.ts";

const PROGRAM_FD = 10;
const ERROR_FD = 4;

/**
 * Runs the same command line as the owner of a directory of states.
 * @param words What stands before it: nothing, where the program's name says that it is a runtime.
 * @returns Its exit code.
 */
export function runAsOwner(
  { uid, gid }: { readonly uid: number; readonly gid: number },
  words: readonly string[],
  argv: readonly string[],
): number {
  const [path, ...own] = ownCommand();
  // by a descriptor: the owner need not reach the place where root's program lies
  const program = openSync(path, constants.O_RDONLY) as Fd;
  const env = process.env["PATH"] === undefined ? [] : [`PATH=${process.env["PATH"]}`];
  const tape: Tape = {
    steps: [
      step("setgroups", [1, packList("id", [gid])], "set groups", String(gid)),
      step("setresgid", [gid, gid, gid], "become group", String(gid)),
      step("setresuid", [uid, uid, uid], "become user", String(uid)),
      step("fcntl", [ERROR_FD, 2, 1], "close on exec", "the error pipe"),
      step("close_range", [5, PROGRAM_FD - 1, 0], "close", "other descriptors"),
      step("close_range", [PROGRAM_FD + 1, 0xffffffff, 0], "close", "descriptors above"),
      step(
        "execveat",
        [PROGRAM_FD, "", { strings: [path, ...own, ...words, ...argv] }, { strings: env }, AT_EMPTY_PATH],
        "execute as the owner",
        path,
      ),
    ],
    buffers: new Map(),
    errorFd: ERROR_FD,
  };
  const playing = startTape(tape, {
    fds: [
      ...[0, 1, 2].map((fd) => ({ child: fd, ours: fd as Fd })),
      { child: PROGRAM_FD, ours: program },
    ],
  });
  close(program);
  const failure = readFailure(playing.errors);
  close(playing.errors);
  const status = waitFor(playing.pid);
  if (failure !== undefined) throw failureError(tape, failure);
  return exitCodeOf(status);
}
