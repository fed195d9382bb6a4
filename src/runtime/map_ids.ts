/**
 * Mapping the ids of a user namespace from outside, while a tape waits for it: newuidmap and newgidmap.
 *
 * @module
 */
import { addressOf, allocate, cString } from "#ffi/mod.ts";
import { expectResult, type Fd, type Pid, tryCall } from "#linux/call.ts";
import { AT_FDCWD, close, makePipe, O_WRONLY, openAt, writeAll } from "#linux/file.ts";
import { type IdMap, isSingle, mapText } from "#linux/idmap.ts";
import { spawn } from "#linux/spawn.ts";
import { DugoutError } from "#oci/error.ts";
import { type EncodedTape, type Playing, startEncodedTape, waitFor } from "#tape/play_encoded.ts";
import { findIdMapPrograms } from "./idmap_programs.ts";

/** The error pipe of our tapes. */
export const ERROR_FD = 4;
/** The descriptors by which a tape tells that it has its user namespace, and is told that ids are mapped. */
export const READY_FD = 5;
export const GO_FD = 6;
/** Whether the map is written by the tape itself, or needs newuidmap (or root) outside. */
export function mapsItself(map: IdMap): boolean {
  return isSingle(map) && map.gid.length === 1 && map.gid[0]!.count === 1;
}

/** Pipes between a tape and whoever maps its ids; `fds` goes to {@linkcode startTape}. */
export interface MapPipes {
  readonly fds: { child: number; ours: Fd }[];
  /** Waits until the player has its user namespace. @returns Whether it has: a failure of the tape tells why not. */
  isReady(): boolean;
  /** To be called when the player runs: waits for it, maps its ids, lets it go on. */
  serve(pid: Pid): void;
  /** Tells the tape to go on. */
  letGo(): void;
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
  const letGo = () => {
    const byte = allocate(1);
    // where nobody reads it, the tape has failed meanwhile, and its own failure says how
    tryCall("write", go.write, addressOf(byte), 1);
  };
  return {
    fds: [{ child: READY_FD, ours: ready.write }, { child: GO_FD, ours: go.read }],
    isReady,
    serve(pid) {
      // if not: the tape failed before, and its own failure says how
      if (!isReady()) return;
      startMapping(pid, map).wait();
      letGo();
    },
    letGo,
    close() {
      open.forEach(close);
      open = [];
    },
  };
}

/** newuidmap and newgidmap at work, side by side. */
export interface MapPrograms {
  /** Waits for both. @throws {DugoutError} With what they said. */
  wait(): void;
}

/** Maps the ids of a process that has just made its user namespace: root by itself, others by the two programs. */
export function startMapping(pid: Pid, map: IdMap): MapPrograms {
  if (process.getuid!() !== 0) return startMapPrograms(pid, map);
  writeMap(`/proc/${pid}/uid_map`, mapText(map.uid));
  writeMap(`/proc/${pid}/gid_map`, mapText(map.gid));
  return { wait() {} };
}

function writeMap(path: string, text: string): void {
  const fd = openAt(AT_FDCWD, path, O_WRONLY);
  try {
    writeAll(fd, cString(text).subarray(0, -1));
  } finally {
    close(fd);
  }
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
}

/** The same for a tape that is encoded already. */
export function startEncodedInUserNamespace(tape: EncodedTape, map: IdMap, start: NamespaceStart): Playing {
  // such a tape waits for nothing
  if (mapsItself(map)) return startEncodedTape(tape, start);
  const { fds, ...options } = start;
  const pipes = makeMapPipes(map);
  try {
    const playing = startEncodedTape(tape, { fds: [...fds, ...pipes.fds], ...options });
    try {
      pipes.serve(playing.pid);
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
