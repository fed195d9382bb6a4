/**
 * Entering a user namespace with a given id map: the steps at the head of every tape that needs one, and what the
 * engine does outside meanwhile (newuidmap, newgidmap).
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { addressOf, allocate } from "#ffi/mod.ts";
import { HOST_ARCH } from "#linux/arch.ts";
import { expectResult, type Fd, type Pid, tryCall } from "#linux/call.ts";
import { close, makePipe, O_CLOEXEC, O_WRONLY, writeAll } from "#linux/file.ts";
import { type IdMap, isSingle, mapText } from "#linux/idmap.ts";
import { CLONE_NEWUSER } from "#linux/namespaces.ts";
import { spawn } from "#linux/spawn.ts";
import { DugoutError } from "#oci/error.ts";
import { encodeTape } from "#tape/encode.ts";
import {
  type EncodedTape,
  failureError,
  type Playing,
  readFailure,
  startEncodedTape,
  startTape,
  waitFor,
} from "#tape/play.ts";
import { operate, type Step, step, type Tape } from "#tape/step.ts";
import { findIdMapPrograms } from "./idmap_programs.ts";

/** The descriptors by which a tape tells that it has its user namespace, and is told that ids are mapped. */
export const READY_FD = 5;
export const GO_FD = 6;
/** The error pipe of our tapes. */
export const ERROR_FD = 4;

const EPERM_HINT =
  "this machine does not let plain users make user namespaces (sysctl kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns): `dugout check` says what to ask the administrator for; pull, save and inspect still work. Inside of a container it is that container's seccomp filter";
const HINTS = {
  EPERM: EPERM_HINT,
  EACCES: EPERM_HINT,
  ENOSPC: "the limit of user namespaces is reached (sysctl user.max_user_namespaces)",
  EUSERS: "the limit of nested user namespaces is reached",
};

/** Whether the map is written by the tape itself, or needs newuidmap (or root) outside. */
export function mapsItself(map: IdMap): boolean {
  return isSingle(map) && map.gid.length === 1 && map.gid[0]!.count === 1;
}

/**
 * Steps that make a user namespace and get its ids mapped. After them the process has all capabilities in it.
 * Needs {@linkcode READY_FD} and {@linkcode GO_FD} unless the tape maps itself.
 */
export function userNamespaceSteps(map: IdMap): Step[] {
  const steps: Step[] = [step("unshare", [CLONE_NEWUSER], "make", "user namespace", { hints: HINTS })];
  if (mapsItself(map)) {
    // "deny" first: else a group could be dropped to pass a "this group may not" (user_namespaces(7), CVE-2014-8989)
    steps.push(
      ...writeSteps("/proc/self/setgroups", "deny"),
      ...writeSteps("/proc/self/uid_map", mapText(map.uid)),
      ...writeSteps("/proc/self/gid_map", mapText(map.gid)),
    );
  } else {
    steps.push(
      step("write", [READY_FD, "r", 1], "tell", "user namespace is there"),
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

/** Pipes between a tape and whoever maps its ids; `fds` goes to {@linkcode startTape}. */
export interface MapPipes {
  readonly fds: { child: number; ours: Fd }[];
  /** Waits until the player has its user namespace. @returns Whether it has: a failure of the tape tells why not. */
  isReady(): boolean;
  /** To be called when the player runs: waits for it, maps its ids, lets it go on. */
  serve(pid: Pid, meanwhile?: () => void): void;
  close(): void;
}

/** Makes the pipes for a tape that does not map its ids itself. */
export function makeMapPipes(map: IdMap): MapPipes {
  const ready = makePipe();
  const go = makePipe();
  let open: Fd[] = [ready.read, ready.write, go.read, go.write];
  const drop = (fd: Fd) => {
    close(fd);
    open = open.filter((other) => other !== fd);
  };
  const isReady = () => {
    drop(ready.write);
    drop(go.read);
    const byte = allocate(1);
    let result: number;
    do result = tryCall("read", ready.read, addressOf(byte), 1); while (result === -4);
    return expectResult(result, "read", "ready pipe") > 0;
  };
  return {
    fds: [{ child: READY_FD, ours: ready.write }, { child: GO_FD, ours: go.read }],
    isReady,
    serve(pid, meanwhile) {
      // if not: the tape failed before, and its own failure says how
      if (!isReady()) return;
      const programs = startMapping(pid, map);
      try {
        meanwhile?.();
      } finally {
        programs.wait();
      }
      writeAll(go.write, allocate(1));
    },
    close() {
      open.forEach(close);
      open = [];
    },
  };
}

/** newuidmap and newgidmap at work, side by side. */
interface MapPrograms {
  /** Waits for both. @throws {DugoutError} With what they said. */
  wait(): void;
}

/** Maps the ids of a process that has just made its user namespace: root by itself, others by the two programs. */
function startMapping(pid: Pid, map: IdMap): MapPrograms {
  if (process.getuid!() !== 0) return startMapPrograms(pid, map);
  writeFileSync(`/proc/${pid}/uid_map`, mapText(map.uid));
  writeFileSync(`/proc/${pid}/gid_map`, mapText(map.gid));
  return { wait() {} };
}

function startMapPrograms(pid: Pid, map: IdMap): MapPrograms {
  const programs = findIdMapPrograms();
  if (programs === undefined) {
    throw new DugoutError(
      "IDMAP_PROGRAMS_MISSING",
      "Cannot map subordinate ids: newuidmap and newgidmap are not installed",
      {
        hint: "ask the administrator to install the package uidmap (shadow-utils)",
      },
    );
  }
  const errors = makePipe();
  const started = ([[programs.uid, map.uid], [programs.gid, map.gid]] as const).map(([program, ranges]) => ({
    program,
    pid: spawn({
      path: program,
      argv: [program, String(pid), ...ranges.flatMap((r) => [String(r.inside), String(r.outside), String(r.count)])],
      env: [],
      fds: [{ child: 2, ours: errors.write }],
    }),
  }));
  close(errors.write);
  return {
    wait() {
      const failed = started.filter((child) => waitFor(child.pid) !== 0);
      const said = failed.length === 0 ? "" : readText(errors.read);
      close(errors.read);
      if (failed.length === 0) return;
      throw new DugoutError("IDMAP_FAILED", `Cannot map subordinate ids: ${said || `${failed[0]!.program} failed`}`, {
        hint:
          "newuidmap and newgidmap have to be setuid root or have the capabilities cap_setuid and cap_setgid; /etc/subuid and /etc/subgid have to hold the range",
      });
    },
  };
}

function readText(fd: Fd): string {
  const text = allocate(4096);
  const length = Math.max(0, tryCall("read", fd, addressOf(text), text.length));
  return new TextDecoder().decode(text.subarray(0, length)).trim();
}

/** How a tape is started that begins with {@linkcode userNamespaceSteps}. */
export interface NamespaceStart {
  /** Its descriptors besides those of this file. */
  readonly fds: readonly { child: number; ours: Fd }[];
  readonly name?: string;
  readonly newSession?: boolean;
  /** What has to be done before the tape goes on behind its user namespace: ids are mapped meanwhile. */
  readonly meanwhile?: () => void;
}

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

/** The same for a tape that is encoded already. */
export function startEncodedInUserNamespace(tape: EncodedTape, map: IdMap, start: NamespaceStart): Playing {
  const { fds, meanwhile, ...options } = start;
  if (mapsItself(map)) {
    // such a tape waits for nothing
    meanwhile?.();
    return startEncodedTape(tape, { fds, ...options });
  }
  const pipes = makeMapPipes(map);
  try {
    const playing = startEncodedTape(tape, { fds: [...fds, ...pipes.fds], ...options });
    try {
      pipes.serve(playing.pid, meanwhile);
    } catch (error) {
      // the closed pipe ends it
      pipes.close();
      waitFor(playing.pid);
      close(playing.errors);
      throw error;
    }
    return playing;
  } finally {
    pipes.close();
  }
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

/** A user namespace that a process of ours holds until another one has joined it. */
export interface HeldUserNamespace {
  /** Starts newuidmap and newgidmap. */
  mapIds(): void;
  /** The file by which the namespace is joined. */
  readonly path: string;
  /** Waits until its ids are mapped. @throws {DugoutError} */
  ready(): void;
  /** Lets go of it. */
  [Symbol.dispose](): void;
}

/**
 * Makes a user namespace before it is needed, so that newuidmap and newgidmap, two programs that take longer than all
 * else of a start, run while the container is planned.
 */
export function holdUserNamespace(map: IdMap): HeldUserNamespace {
  const tape: Tape = {
    steps: [
      ...userNamespaceSteps(map),
      step("read", [GO_FD, { buffer: "go" }, 1], "hold the user namespace until", "it is joined", { retry: true }),
    ],
    buffers: new Map(USER_NAMESPACE_BUFFERS),
    errorFd: ERROR_FD,
  };
  const pipes = makeMapPipes(map);
  const playing = startTape(tape, { fds: pipes.fds, name: "dugout-namespace", newSession: true });
  let programs: MapPrograms | undefined;
  return {
    path: `/proc/${playing.pid}/ns/user`,
    mapIds() {
      if (!pipes.isReady()) {
        const failure = readFailure(playing.errors);
        if (failure !== undefined) throw failureError(tape, failure);
      }
      programs = startMapping(playing.pid, map);
    },
    ready() {
      programs?.wait();
      programs = undefined;
    },
    [Symbol.dispose]() {
      pipes.close();
      close(playing.errors);
      try {
        programs?.wait();
      } catch {
        // nobody needs the namespace any more
      }
      waitFor(playing.pid);
    },
  };
}
