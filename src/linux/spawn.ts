/**
 * Starting a program without fork: posix_spawn(3), since a fork of a JavaScript runtime must not run JavaScript.
 *
 * @module
 */
import { addressOf, allocate, cString, libcCall } from "#ffi/mod.ts";
import type { Fd, Pid } from "./call.ts";
import { errnoName, OsError } from "./errno.ts";
import { close, duplicate } from "./file.ts";

/** What to start, and with which descriptors. */
export interface SpawnPlan {
  path: string;
  argv: readonly string[];
  /** `NAME=value`; the child gets these and no others. */
  env: readonly string[];
  /** The child's descriptor number, and which of ours it is. Those not named are closed if they are close-on-exec. */
  fds: readonly { child: number; ours: Fd }[];
  /** Whether the child leads a session of its own, without a controlling terminal. */
  newSession?: boolean;
}

/**
 * `posix_spawnattr_t` of glibc on 64-bit Linux, which is a part of its ABI: flags (i16), process group (i32), signals that
 * get their default, signals that are blocked (none: zeros). It is filled here, and file actions begin as zeros too, since
 * each function of libc that is not bound saves a start some 30 µs.
 */
const ATTRIBUTES = { flags: 0, defaultSignals: 8, mask: 136, SIZE: 336 } as const;
const FILE_ACTIONS_SIZE = 80;
const SIGSET_SIZE = 128;
const SETSIGDEF = 0x04;
const SETSIGMASK = 0x08;
const SETSID = 0x80;

/**
 * Starts a program. Signals are unblocked and back at their defaults in it.
 * @returns Its pid; the caller has to wait for it.
 * @throws {OsError} When it cannot be started, with the code of execve(2).
 */
export function spawn(plan: SpawnPlan): Pid {
  const path = cString(plan.path);
  const [argv, argvKeep] = pointerArray(plan.argv);
  const [env, envKeep] = pointerArray(plan.env);
  const actions = allocate(FILE_ACTIONS_SIZE);
  const attributes = allocate(ATTRIBUTES.SIZE);
  const pid = allocate(8);

  const attributesView = new DataView(attributes.buffer);
  attributesView.setInt16(ATTRIBUTES.flags, SETSIGDEF | SETSIGMASK | (plan.newSession ? SETSID : 0), true);
  attributes.fill(0xff, ATTRIBUTES.defaultSignals, ATTRIBUTES.defaultSignals + SIGSET_SIZE);

  const copies: Fd[] = [];
  try {
    // our copies lie above every number that the child asks for, so that no dup2 overwrites a source of a later one
    const least = plan.fds.reduce((most, { child }) => Math.max(most, child + 1), 3);
    for (const { child, ours } of plan.fds) {
      const copy = duplicate(ours, least);
      copies.push(copy);
      libcCall("posix_spawn_file_actions_adddup2", addressOf(actions), copy, child);
    }
    const errno = libcCall(
      "posix_spawn",
      addressOf(pid),
      addressOf(path),
      addressOf(actions),
      addressOf(attributes),
      addressOf(argv),
      addressOf(env),
    );
    if (errno !== 0) throw new OsError({ call: "posix_spawn", object: plan.path, code: errnoName(errno) });
    return new DataView(pid.buffer).getInt32(0, true) as Pid;
  } finally {
    copies.forEach(close);
    // the strings must live until here: the arrays hold addresses only
    argvKeep.length = 0;
    envKeep.length = 0;
  }
}

function pointerArray(texts: readonly string[]): [Uint8Array, Uint8Array[]] {
  const array = allocate((texts.length + 1) * 8);
  const view = new DataView(array.buffer);
  const strings = texts.map(cString);
  strings.forEach((string, index) => view.setBigUint64(index * 8, BigInt(addressOf(string)), true));
  return [array, strings];
}
