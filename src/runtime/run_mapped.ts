/**
 * Running a program of the host with the ids of a container: in a user namespace of the caller's map, and nothing else of a container.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { close, F_SETFD, FD_CLOEXEC } from "#linux/file.ts";
import type { IdMap } from "#linux/idmap.ts";
import { MS_REC, MS_SLAVE } from "#linux/mount.ts";
import { CLONE_NEWNS } from "#linux/namespaces.ts";
import { PR_SET_PDEATHSIG } from "#linux/prctl.ts";
import { SIGNALS } from "#linux/signals.ts";
import { DugoutError } from "#oci/error.ts";
import { failureError } from "#tape/play.ts";
import { type Failure, readFailure, waitFor } from "#tape/play_encoded.ts";
import { step, type Tape, type TapeBuffer } from "#tape/step.ts";
import { EXEC, execErrnoBytes, executeSteps } from "./process_steps.ts";
import { exitCodeOf } from "./launch_container.ts";
import { ERROR_FD } from "./map_ids.ts";
import { startInUserNamespace, USER_NAMESPACE_BUFFERS, userNamespaceSteps } from "./user_namespace.ts";

/** What is run. */
export interface MappedProgram {
  /** The program, searched for in PATH, and its arguments. */
  readonly args: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
}

/** The tape: a user namespace, a mount namespace of which nothing comes out, root's ids, the program. */
export function mappedTape(map: IdMap, { args, env }: MappedProgram): Tape {
  return {
    steps: [
      ...userNamespaceSteps(map),
      step("setresgid", [0, 0, 0], "become group", "0"),
      step("setresuid", [0, 0, 0], "become user", "0"),
      step("prctl", [PR_SET_PDEATHSIG, SIGNALS.TERM, 0, 0, 0], "die with", "the command"),
      step("unshare", [CLONE_NEWNS], "make", "mount namespace"),
      step("mount", [0, "/", 0, MS_REC | MS_SLAVE, 0], "keep mounts from", "the host"),
      step("close_range", [ERROR_FD + 1, 0xffffffff, 0], "close", "other descriptors"),
      step("fcntl", [ERROR_FD, F_SETFD, FD_CLOEXEC], "close on exec", "the error pipe"),
      ...executeSteps(args, env),
    ],
    buffers: new Map<string, TapeBuffer>([
      ...USER_NAMESPACE_BUFFERS,
      ["exec errno", { sizeBytes: 8, bytes: execErrnoBytes() }],
    ]),
    errorFd: ERROR_FD,
  };
}

/**
 * Runs a program with the caller's terminal and streams to its end.
 * @returns Its exit code, 128 and the signal where one ended it.
 * @throws {DugoutError} With exit code 126 or 127 when it could not be executed; {OsError} when the namespace could not be made.
 */
export function runMapped(map: IdMap, program: MappedProgram): number {
  const tape = mappedTape(map, program);
  const playing = startInUserNamespace(tape, map, [0, 1, 2].map((fd) => ({ child: fd, ours: fd as Fd })));
  const failure = readFailure(playing.errors);
  close(playing.errors);
  const status = waitFor(playing.pid);
  if (failure !== undefined) throw startError(tape, failure);
  return exitCodeOf(status);
}

/** A program that cannot be executed has a shell's exit codes: 127 not found, 126 not executable. */
function startError(tape: Tape, failure: Failure): Error {
  const error = failureError(tape, failure);
  if (tape.steps[failure.index]?.id !== EXEC) return error;
  const isMissing = error.code === "ENOENT" || error.code === "ENOTDIR";
  return new DugoutError(isMissing ? "COMMAND_NOT_FOUND" : "COMMAND_NOT_EXECUTABLE", error.message, {
    exitCode: isMissing ? 127 : 126,
    cause: error,
  });
}
