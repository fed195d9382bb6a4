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
import { operate, type Step, step } from "#tape/step.ts";

/** The id of the step that opened the container's root. */
export const ROOT = "root";

const LINK_HINTS = {
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
  /** The step to go on at when nothing is there. Only with `make` undefined. */
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

/**
 * Steps that open a place of the container as an O_PATH descriptor, resolved beneath its root by the kernel
 * (openat2, RESOLVE_IN_ROOT), made on the way where it is missing.
 * @param path Absolute in the container; links in it should be followed already (`resolve.ts`), since a dangling one
 * cannot be made.
 * @param id The id of the step that holds the descriptor.
 */
export function targetSteps(path: string, id: string, options: TargetOptions): Step[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (options.noLinks ? RESOLVE_NO_SYMLINKS : 0);
  const root = options.from ?? ROOT;
  const open = (name: string, flags: number, more: Partial<Step> = {}): Step =>
    step("openat2", [{ result: root }, name, openHow(flags, resolve), OPEN_HOW.SIZE], "open in the container", path, {
      hints: LINK_HINTS,
      ...more,
    });
  const whole = parts.join("/") || ".";
  if (options.make === undefined) {
    const jump = options.elseTo === undefined ? {} : { jump: { when: "error", to: options.elseTo } as const };
    return [open(whole, O_PATH, { id, ...jump })];
  }

  const steps: Step[] = [open(whole, O_PATH, { id: `${id} try`, jump: { when: "error", to: `${id} make` } })];
  steps.push(operate("nop", [], "is there", { jump: { when: "always", to: `${id} there` } }));
  steps.push(operate("nop", [], "is not there", { id: `${id} make` }));
  let parent = root;
  parts.forEach((part, index) => {
    const last = index === parts.length - 1;
    const so = parts.slice(0, index + 1).join("/");
    if (last && options.make === "file") {
      steps.push(
        step("mknodat", [{ result: parent }, part, S_IFREG | 0o644, 0], "make file", `/${so}`, {
          ignore: true,
          hints: LINK_HINTS,
        }),
      );
      return;
    }
    steps.push(
      step("mkdirat", [{ result: parent }, part, 0o755], "make directory", `/${so}`, {
        ignore: true,
        hints: LINK_HINTS,
      }),
    );
    if (!last) {
      steps.push(open(so, O_PATH | O_DIRECTORY, { id: `${id} part ${index}`, object: `/${so}` }));
      parent = `${id} part ${index}`;
    }
  });
  // once more, since a step's result is what its last run gave
  steps.push(operate("nop", [], "is there now", { id: `${id} there` }));
  steps.push(open(whole, O_PATH, { id }));
  return steps;
}
