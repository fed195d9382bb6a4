/**
 * Starting a planned container. Nothing is decided here.
 *
 * @module
 */
import { HOST_ARCH } from "#linux/arch.ts";
import type { OsError } from "#linux/errno.ts";
import { DugoutError } from "#oci/error.ts";
import { encodeTape } from "#tape/encode.ts";
import { failureError } from "#tape/play.ts";
import type { Tape } from "#tape/step.ts";
import { joinedUserNamespace, monitorMap } from "./namespace_steps.ts";
import { launchContainer, type Running, type StartFds } from "./launch_container.ts";
import { EXEC } from "./process_steps.ts";
import type { ContainerSetup } from "./setup.ts";

/**
 * Starts a container; returns when its program runs.
 * @throws {OsError} When a step failed; what had been set up is gone with its processes.
 * @throws {DugoutError} With exit code 126 or 127 when it was the program that could not be executed.
 */
export function startContainer(setup: ContainerSetup, tape: Tape, fds: StartFds): Running {
  return launchContainer({
    tape: { bytes: encodeTape(tape, HOST_ARCH), errorFd: tape.errorFd },
    // a tape that joins one, or makes its own below the shared one, needs nobody outside
    map: joinedUserNamespace(setup) === undefined && setup.attachment === undefined ? monitorMap(setup) : undefined,
    describeFailure(failure) {
      const error = failureError(tape, failure);
      return tape.steps[failure.index]?.id === EXEC ? programError(error) : error;
    },
  }, fds);
}

/** A program that cannot be executed has Docker's exit codes: 127 not found, 126 not executable. */
export function programError(error: OsError): DugoutError {
  const notFound = error.code === "ENOENT" || error.code === "ENOTDIR";
  return new DugoutError(notFound ? "COMMAND_NOT_FOUND" : "COMMAND_NOT_EXECUTABLE", error.message, {
    exitCode: notFound ? 127 : 126,
    hint: error.hint,
    cause: error,
  });
}
