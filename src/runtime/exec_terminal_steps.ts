/**
 * A pseudo-terminal for a process that enters a container, from the container's own devpts.
 *
 * @module
 */
import { AT_FDCWD, O_DIRECTORY, O_PATH, OPEN_HOW, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS } from "#linux/file.ts";
import { DEVPTS_SUPER_MAGIC, STATFS } from "#linux/statfs.ts";
import { ENOTTY } from "#linux/errno_values.ts";
import { compute, mark, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";
import { openHow } from "./target_steps.ts";

/** What {@linkcode containerDevptsSteps} needs. */
export const DEVPTS_BUFFERS: readonly (readonly [string, TapeBuffer])[] = [
  ["file system", { sizeBytes: STATFS.SIZE }],
];

/**
 * Opens the container's /dev/pts as the step `devpts`, and makes sure that it is a devpts: the container may have put
 * anything there.
 */
export function containerDevptsSteps(): Step[] {
  const path = "/dev/pts";
  const how = openHow(O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
  return [
    step("openat2", [AT_FDCWD, path, how, OPEN_HOW.SIZE], "open in the container", path, {
      id: "devpts",
      hints: {
        ENOENT: "without it there are no terminals: leave out -t",
        ELOOP: "there is a symbolic link in its place",
      },
    }),
    step("fstatfs", [{ result: "devpts" }, { buffer: "file system" }], "ask what is at", path),
    operate("load", [{ buffer: "file system", offset: STATFS.type }, 0, 8], "its type", { id: "file system type" }),
    compute("eq", { result: "file system type" }, DEVPTS_SUPER_MAGIC, "it must be devpts", {
      jump: { when: "nonzero", to: "is devpts" },
    }),
    operate("fail", [ENOTTY], "open a terminal of", {
      object: path,
      hints: { ENOTTY: "something else is mounted there" },
    }),
    mark("is devpts", "it is devpts"),
  ];
}
