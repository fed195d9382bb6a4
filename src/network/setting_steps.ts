import { ENOENT } from "#linux/errno_values.ts";
import { AT_FDCWD, O_CLOEXEC, O_WRONLY } from "#linux/file.ts";
import { mark, type Step, step } from "#tape/step.ts";

/** Writes a setting of the network namespace below the host's /proc; one that this kernel does not have is passed over. */
export function settingSteps(path: string, value: string): Step[] {
  const id = `setting ${path}`;
  return [
    step("openat", [AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0], "open", path, {
      id,
      jump: { when: "error", to: `${id} done`, only: ENOENT },
    }),
    step("write", [{ result: id }, value, value.length], "write", `${value} to ${path}`),
    step("close", [{ result: id }], "close", path),
    mark(`${id} done`, "done"),
  ];
}
