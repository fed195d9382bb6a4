/**
 * A container's directories and files, made by its tape: what `container_directory.ts` does in JavaScript.
 *
 * @module
 */
import { AT_FDCWD, O_APPEND, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY } from "#linux/file.ts";
import { LOG_FILE } from "#runtime/log_frame.ts";
import { CONTAINER_FD, LOG_FD } from "#runtime/monitor_fds.ts";
import { STATE_FD } from "#runtime/setup.ts";
import { type Step, step } from "#tape/step.ts";
import type { ContainerDirectory } from "../record/container_directory.ts";

/** A file of a container's directory. */
export interface MadeFile {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

/** What is made. */
export interface Making {
  readonly directory: ContainerDirectory;
  /** The link that reserves the name, and what it says. */
  readonly nameFile: string;
  readonly nameText: string;
  /** Mode of the image's root directory. */
  readonly rootMode: number;
  /** Seen by the container, or by those who enter it. */
  readonly files: readonly MadeFile[];
  /** The container's record: from it on others know of the container. */
  readonly record: string;
  /** Whether its monitor keeps its output, and wants its directory and its log. */
  readonly keepsOutput: boolean;
}

/** Steps that take the name and make the directories and files, in the order in which other commands expect them. */
export function makeSteps({ directory, nameFile, nameText, rootMode, files, record, keepsOutput }: Making): Step[] {
  const { path, state, upper, work, merged } = directory;
  const recordFile = `${path}/config.json`;
  return [
    // the caller's umask has no say in the modes (C-061)
    step("umask", [0], "clear", "umask"),
    step("symlinkat", [nameText, AT_FDCWD, nameFile], "take name", nameFile),
    step("mkdirat", [AT_FDCWD, path, 0o700], "make directory", path),
    step("mkdirat", [AT_FDCWD, state, 0o700], "make directory", state),
    step("symlinkat", [path, AT_FDCWD, `${state}/store`], "make link", `${state}/store`),
    ...keepSteps(state, O_RDONLY | O_DIRECTORY, STATE_FD),
    ...[[upper, rootMode], [work, 0o700], [merged, 0o700]].map(([place, mode]) =>
      step("mkdirat", [AT_FDCWD, place!, mode!], "make directory", String(place))
    ),
    ...files.flatMap((file) => writeSteps(file, file.path)),
    ...(keepsOutput
      ? [
        ...keepSteps(path, O_RDONLY | O_DIRECTORY, CONTAINER_FD),
        ...keepSteps(`${path}/${LOG_FILE}`, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, LOG_FD),
      ]
      : []),
    ...writeSteps({ path: `${recordFile}.new`, text: record, mode: 0o600 }, "record"),
    step("renameat2", [AT_FDCWD, `${recordFile}.new`, AT_FDCWD, recordFile, 0], "put in place", recordFile),
  ];
}

/** Opens it as the descriptor by which the monitor knows it. */
function keepSteps(path: string, flags: number, fd: number): Step[] {
  const id = `kept ${fd}`;
  return [
    step("openat", [AT_FDCWD, path, flags | O_CLOEXEC, 0o600], "open", path, { id }),
    // a monitor that keeps output becomes another program
    step("dup3", [{ result: id }, fd, 0], "keep", path),
    step("close", [{ result: id }], "close", path),
  ];
}

function writeSteps({ path, text, mode }: MadeFile, id: string): Step[] {
  const bytes = new TextEncoder().encode(text);
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
  return [
    step("openat", [AT_FDCWD, path, flags, mode], "make file", path, { id: `made ${id}` }),
    step("write", [{ result: `made ${id}` }, bytes, bytes.length], "write", path),
    step("close", [{ result: `made ${id}` }], "close", path),
  ];
}
