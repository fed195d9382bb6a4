import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_HOW,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  S_IFREG,
} from "#linux/file.ts";
import { EEXIST, ENOENT } from "#linux/errno_values.ts";
import { operate, type Step, step } from "#tape/step.ts";

/** The id of the step that opened the container's root. */
export const ROOT = "root";

const LINK_HINTS = {
  ENOENT: "it is not there and could not be made",
  EACCES: "a directory on the way belongs to somebody else, and is closed",
  EOVERFLOW: "the directory it lies in belongs to an id that this user namespace does not map",
  ELOOP: "the image has a symbolic link in this place; mounting through it is refused",
  EXDEV: "the path leads out of the container's root",
  ENOTDIR: "a part of the path is a file in the image",
  EROFS: "the place does not exist and the file system is read-only",
};

/** How a target is found. */
export interface TargetOptions {
  /** What is made where nothing is there; undefined makes nothing and fails. */
  readonly make: "directory" | "file" | undefined;
  /** Whether a symbolic link anywhere in the path is refused: for /proc, /dev and /sys (C-027). */
  readonly noLinks?: boolean;
  /** The step to go on at when nothing is there; any other failure ends the start. Only with `make` undefined. */
  readonly elseTo?: string;
  /** The step of the directory that the path is relative to. */
  readonly from?: string;
}

/** The bytes of a `struct open_how`. */
export function openHow(flags: number, resolve: number, mode = 0): Uint8Array {
  const bytes = new Uint8Array(OPEN_HOW.SIZE);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(OPEN_HOW.flags, BigInt(flags | O_CLOEXEC), true);
  view.setBigUint64(OPEN_HOW.mode, BigInt(mode), true);
  view.setBigUint64(OPEN_HOW.resolve, BigInt(resolve), true);
  return bytes;
}

/** Where a path that is not there leads to. */
function unlessThere(to: string): NonNullable<Step["jump"]> {
  return { when: "error", only: ENOENT, to };
}

/** How a place is opened, and a directory on the way to it; made once, so that a tape holds each once. */
function hows(resolve: number): { anything: Uint8Array; directory: Uint8Array } {
  return { anything: openHow(O_PATH, resolve), directory: openHow(O_PATH | O_DIRECTORY, resolve) };
}

const WITH_LINKS = hows(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
const WITHOUT_LINKS = hows(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);

/**
 * Steps that open a place of the container as an O_PATH descriptor, resolved beneath its root by the kernel
 * (openat2, RESOLVE_IN_ROOT), made on the way where it is missing.
 * @param path Absolute in the container; links in it should be followed already (`resolve.ts`), since a dangling one
 * cannot be made.
 * @param id The id of the step that holds the descriptor.
 */
export function targetSteps(path: string, id: string, options: TargetOptions): Step[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  const root = options.from ?? ROOT;
  const { anything, directory } = options.noLinks ? WITHOUT_LINKS : WITH_LINKS;
  const open = (name: string, how: Uint8Array, more: Partial<Step> = {}): Step =>
    step("openat2", [{ result: root }, name, how, OPEN_HOW.SIZE], "open in the container", path, {
      hints: LINK_HINTS,
      ...more,
    });
  const whole = parts.join("/") || ".";
  if (options.make === undefined) {
    const jump = options.elseTo === undefined ? {} : { jump: unlessThere(options.elseTo) };
    return [open(whole, anything, { id, ...jump })];
  }

  const steps: Step[] = [open(whole, anything, { id: `${id} try`, jump: unlessThere(`${id} make`) })];
  steps.push(operate("nop", [], "is there", { jump: { when: "always", to: `${id} there` } }));
  steps.push(operate("nop", [], "is not there", { id: `${id} make` }));
  let parent = root;
  parts.forEach((part, index) => {
    const last = index === parts.length - 1;
    const so = parts.slice(0, index + 1).join("/");
    const isFile = last && options.make === "file";
    const made = last ? `${id} there` : `${id} part ${index}`;
    const more = { jump: { when: "error", only: EEXIST, to: made } as const, hints: LINK_HINTS };
    steps.push(
      isFile
        ? step("mknodat", [{ result: parent }, part, S_IFREG | 0o644, 0], "make file", `/${so}`, more)
        : step("mkdirat", [{ result: parent }, part, 0o755], "make directory", `/${so}`, more),
    );
    if (!last) {
      steps.push(open(so, directory, { id: `${id} part ${index}`, object: `/${so}` }));
      parent = `${id} part ${index}`;
    }
  });
  // once more, since a step's result is what its last run gave
  steps.push(operate("nop", [], "is there now", { id: `${id} there` }));
  steps.push(open(whole, anything, { id }));
  return steps;
}
