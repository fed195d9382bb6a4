/**
 * Removal of a container that left nothing of its own, by its tape: what `container_directory.ts` does in JavaScript. One that
 * wrote something is left to the command, whole.
 *
 * @module
 */
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  OPEN_HOW,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from "#linux/file.ts";
import { openHow } from "#runtime/target_steps.ts";
import { compute, mark, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";
import { type ContainerDirectory, FILES_MADE_FOR_MOUNTS } from "../record/container_directory.ts";
import type { Making } from "./make_steps.ts";
import { REMOVED_FLAG } from "./removed_flag.ts";

/** A removal in two parts: the end of the container is told between them. */
export interface RemovalSteps {
  /** Go on at `left` when the container has to be removed by others. */
  readonly first: readonly Step[];
  readonly rest: readonly Step[];
}

/** The buffer that these steps need. */
export const NAME_BUFFER: readonly [string, TapeBuffer] = ["name owner", { sizeBytes: 64 }];

const STRICT = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;

/** Steps that remove the container, and go on at `left` where it left something. What the image chose the names of is resolved beneath it. */
export function removeSteps({ directory, nameFile, files }: Making, left: string): RemovalSteps {
  const { id, path, state, upper }: ContainerDirectory = directory;
  const give = { jump: { when: "error", to: left } } as const;
  const unlink = (file: string, options = {}) =>
    step("unlinkat", [AT_FDCWD, file, 0], "remove", file, { ignore: true, ...options });
  const rmdir = (folder: string) =>
    step("unlinkat", [AT_FDCWD, folder, AT_REMOVEDIR], "remove", folder, { ignore: true });
  const etc = { result: "upper etc" };
  // made by overlayfs, with mode 0
  const work = `${directory.work}/work`;
  const closed = [work, `${work}/incompat`, `${work}/incompat/volatile`];
  return {
    first: [
      step("openat", [AT_FDCWD, upper, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0], "open", upper, {
        id: "upper",
        ...give,
      }),
      // where images have no such files, they were made for the mounts
      step(
        "openat2",
        [{ result: "upper" }, "etc", openHow(O_PATH | O_DIRECTORY, STRICT), OPEN_HOW.SIZE],
        "open",
        `${upper}/etc`,
        {
          id: "upper etc",
          jump: { when: "error", to: "no etc" },
        },
      ),
      ...FILES_MADE_FOR_MOUNTS.map((file) =>
        step("unlinkat", [etc, file, 0], "remove", `etc/${file}`, { ignore: true })
      ),
      step("close", [etc], "close", `${upper}/etc`),
      step("unlinkat", [{ result: "upper" }, "etc", AT_REMOVEDIR], "remove", `${upper}/etc`, { ignore: true }),
      mark("no etc", "nothing was made for mounts"),
      step("unlinkat", [AT_FDCWD, upper, AT_REMOVEDIR], "remove", upper, give),
      // it may have got another name meanwhile
      step("readlinkat", [AT_FDCWD, nameFile, { buffer: "name owner" }, 64], "read", nameFile, give),
      operate("same", [{ buffer: "name owner" }, id, id.length], "is it ours", { jump: { when: "zero", to: left } }),
      unlink(nameFile),
      // from here on it is known to nobody
      unlink(`${path}/config.json`),
    ],
    rest: [
      ...files.map((file) => unlink(file.path)),
      ...closed.map((folder) => step("fchmodat", [AT_FDCWD, folder, 0o700], "open", folder, { ignore: true })),
      unlink(`${work}/incompat/volatile/dirty`),
      ...closed.toReversed().map(rmdir),
      rmdir(directory.work),
      rmdir(directory.merged),
      rmdir(path),
      unlink(`${state}/store`),
      rmdir(state),
    ],
  };
}

/** Adds {@linkcode REMOVED_FLAG} to the wait status in the buffer `status`. */
export function tellRemovedSteps(): Step[] {
  return [
    operate("load", [{ buffer: "status" }, 0, 4], "the wait status", { id: "wait status" }),
    compute("or", { result: "wait status" }, REMOVED_FLAG, "and that it is removed", { id: "status and removed" }),
    operate("store", [{ buffer: "status" }, { result: "status and removed" }, 4], "note both"),
  ];
}
