/**
 * Entering a user namespace with a given id map: the steps at the head of every tape that needs one. What the engine
 * does outside meanwhile is in `map_ids.ts`.
 *
 * @module
 */
import { HOST_ARCH } from "#linux/arch.ts";
import type { Fd } from "#linux/call.ts";
import { close, O_CLOEXEC, O_WRONLY } from "#linux/file.ts";
import { type IdMap, mapText } from "#linux/idmap.ts";
import { CLONE_NEWUSER } from "#linux/namespaces.ts";
import { encodeTape } from "#tape/encode.ts";
import { failureError } from "#tape/play.ts";
import { type Playing, readFailure, waitFor } from "#tape/play_encoded.ts";
import { operate, type Step, step, type Tape } from "#tape/step.ts";
import { ERROR_FD, GO_FD, mapsItself, READY_FD, startEncodedInUserNamespace } from "./map_ids.ts";

const EPERM_HINT =
  "this machine does not let plain users make user namespaces (sysctl kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns): `dugout check` says what to ask the administrator for; pull, save and inspect still work. Inside of a container it is that container's seccomp filter; inside of a chroot the kernel makes none";
const HINTS = {
  EPERM: EPERM_HINT,
  EACCES: EPERM_HINT,
  ENOSPC: "the limit of user namespaces is reached (sysctl user.max_user_namespaces)",
  EUSERS: "the limit of nested user namespaces is reached",
};

/**
 * Steps that make a user namespace and get its ids mapped. After them the process has all capabilities in it.
 * Needs {@linkcode READY_FD} and {@linkcode GO_FD} unless the tape maps itself.
 * @param meanwhile Done while ids are mapped.
 */
export function userNamespaceSteps(map: IdMap, meanwhile: readonly Step[] = []): Step[] {
  const steps: Step[] = [step("unshare", [CLONE_NEWUSER], "make", "user namespace", { hints: HINTS })];
  if (mapsItself(map)) {
    steps.push(...meanwhile);
    // "deny" first: else a group could be dropped to pass a "this group may not" (user_namespaces(7), CVE-2014-8989)
    steps.push(
      ...writeSteps("/proc/self/setgroups", "deny"),
      ...writeSteps("/proc/self/uid_map", mapText(map.uid)),
      ...writeSteps("/proc/self/gid_map", mapText(map.gid)),
    );
  } else {
    steps.push(
      step("write", [READY_FD, "r", 1], "tell", "user namespace is there"),
      ...meanwhile,
      step("read", [GO_FD, { buffer: "go" }, 1], "wait for", "id maps", {
        retry: true,
        jump: { when: "nonzero", to: "mapped" },
      }),
      // end of file: whoever wanted this is gone
      step("exit_group", [125], "leave", ""),
      operate("nop", [], "ids are mapped", { id: "mapped" }),
    );
  }
  return steps;
}

function writeSteps(path: string, text: string): Step[] {
  const hints = { EPERM: EPERM_HINT };
  return [
    step("openat", [-100, path, O_WRONLY | O_CLOEXEC, 0], "open", path, { id: path, hints }),
    step("write", [{ result: path }, text, text.length], "write", path, { hints }),
    step("close", [{ result: path }], "close", path),
  ];
}

/** The buffers that {@linkcode userNamespaceSteps} needs. */
export const USER_NAMESPACE_BUFFERS = [["go", { sizeBytes: 8 }]] as const;

/**
 * Starts a tape that begins with {@linkcode userNamespaceSteps}, and maps its ids.
 * @throws {DugoutError | OsError} When that fails; the tape's process is gone then.
 */
export function startInUserNamespace(
  tape: Tape,
  map: IdMap,
  fds: readonly { child: number; ours: Fd }[],
  options: { name?: string; newSession?: boolean } = {},
): Playing {
  const encoded = { bytes: encodeTape(tape, HOST_ARCH), errorFd: tape.errorFd };
  return startEncodedInUserNamespace(encoded, map, { fds, ...options });
}

/** Makes a user namespace with that map, and ends: a trial. */
export function playUserNamespace(map: IdMap): void {
  const tape: Tape = {
    steps: userNamespaceSteps(map),
    buffers: new Map(USER_NAMESPACE_BUFFERS),
    errorFd: ERROR_FD,
  };
  const playing = startInUserNamespace(tape, map, []);
  const failure = readFailure(playing.errors);
  close(playing.errors);
  waitFor(playing.pid);
  if (failure !== undefined) throw failureError(tape, failure);
}
