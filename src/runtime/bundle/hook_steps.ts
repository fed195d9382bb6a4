/**
 * Hooks that run in the container's namespaces (runtime-spec, config.md, "POSIX-platform Hooks"): children of its first
 * process, with the container's state on stdin.
 *
 * @module
 */
import { AT_FDCWD, O_RDWR } from "#linux/file.ts";
import { POLLIN } from "#linux/poll.ts";
import type { HookSpec } from "#oci/runtime_spec.ts";
import { packStruct } from "#tape/pack.ts";
import { mark, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";
import { unblockSignalsStep } from "../monitor_steps.ts";

const SIGCHLD = 17;
const SIGKILL = 9;
const ETIMEDOUT = 110;
const ECANCELED = 125;

/** The buffers of {@linkcode hookSteps}. */
export const HOOK_BUFFERS: readonly (readonly [string, TapeBuffer])[] = [
  ["hook", { sizeBytes: 8, bytes: packStruct("pollfd", { fd: -1, events: POLLIN }) }],
  ["hook status", { sizeBytes: 8 }],
];

/**
 * Runs hooks one after the other; the first that fails ends the container.
 * @param what They are for, in words.
 * @param stateFd A file with the container's state.
 * @param errorFd Where a failure is told; it closes on exec.
 */
export function hookSteps(what: string, hooks: readonly HookSpec[], stateFd: number, errorFd: number): Step[] {
  return hooks.flatMap((hook, index) => {
    const id = `hook to ${what} ${index}`;
    const limit = hook.timeout === undefined ? 0 : { struct: [hook.timeout, 0] } as const;
    const hints = { ECANCELED: "it ended with a failure", ETIMEDOUT: `it took longer than ${hook.timeout} s` };
    return [
      step("lseek", [stateFd, 0, 0], "go to the start of", "the state"),
      step("clone", [SIGCHLD, 0, 0, 0, 0], "fork for hook", hook.path, {
        id,
        jump: { when: "zero", to: `${id} child` },
      }),
      step("pidfd_open", [{ result: id }, 0], "refer to hook", hook.path, { id: `${id} pidfd` }),
      operate("store", [{ buffer: "hook" }, { result: `${id} pidfd` }, 4], "note it"),
      step("ppoll", [{ buffer: "hook" }, 1, limit, 0, 8], "wait for hook", hook.path, {
        retry: true,
        jump: { when: "nonzero", to: `${id} over` },
      }),
      step("kill", [{ result: id }, SIGKILL], "end hook", hook.path),
      operate("fail", [ETIMEDOUT], `run hook to ${what}`, { object: hook.path, hints }),
      mark(`${id} over`, "the hook is over"),
      step("wait4", [{ result: id }, { buffer: "hook status" }, 0, 0], "reap hook", hook.path, { retry: true }),
      step("close", [{ result: `${id} pidfd` }], "close hook", hook.path),
      operate("load", [{ buffer: "hook status" }, 0, 4], "how it ended", {
        id: `${id} status`,
        jump: { when: "zero", to: `${id} done` },
      }),
      operate("fail", [ECANCELED], `run hook to ${what}`, { object: hook.path, hints }),
      mark(`${id} child`, hook.path),
      step("dup3", [stateFd, 0, 0], "use as stdin", "the state"),
      // what it says is not the container's output
      step("openat", [AT_FDCWD, "/dev/null", O_RDWR, 0], "open", "/dev/null", {
        id: `${id} null`,
        jump: { when: "error", to: `${id} ready` },
      }),
      ...[1, 2].map((fd) => step("dup3", [{ result: `${id} null` }, fd, 0], "use /dev/null as", `descriptor ${fd}`)),
      mark(`${id} ready`, "ready"),
      step("close_range", [3, errorFd - 1, 0], "close", "other descriptors"),
      step("close_range", [errorFd + 1, 0xffffffff, 0], "close", "descriptors above"),
      unblockSignalsStep(),
      step(
        "execve",
        [hook.path, { strings: hook.args ?? [hook.path] }, { strings: hook.env ?? [] }],
        "execute hook",
        hook.path,
      ),
      mark(`${id} done`, "the hook went well"),
    ];
  });
}
