/**
 * The user namespace in which a remembered run makes its own: the holder's, or, where there is none, one that a process of its
 * own makes before the plan is even read: newuidmap and newgidmap, which take as long as the container, run meanwhile. That
 * process becomes the holder then.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { AT_FDCWD, close, makePipe, O_RDONLY, openAt } from "#linux/file.ts";
import { claimHolder } from "#runtime/holder/claim_holder.ts";
import { closeHolder, holderName, openHeld, openHolder } from "#runtime/holder/holder_record.ts";
import { RECORD_FD } from "#runtime/holder/record_fd.ts";
import { ERROR_FD, GO_FD, READY_FD } from "#runtime/map_ids.ts";
import { startEncodedTape } from "#tape/play_encoded.ts";
import type { NamespacePlan } from "./plan_file.ts";

/** A user namespace whose ids are mapped, or are being mapped. */
export interface RunNamespace {
  /** Opens it. Undefined where it could not be made. */
  open(): Fd | undefined;
  /** Gives a byte when ids are mapped, and its end where they cannot be. */
  readonly mapped: Fd;
  /** Called when the container has joined it: others may join it as well. */
  share(): void;
  /** Lets go of it; whoever has joined it keeps it. */
  release(): void;
}

/** Finds one, or begins to make one. */
export function obtainNamespace(runRoot: string, { tape, ids }: NamespacePlan): RunNamespace {
  const name = holderName(ids);
  return joinHolder(runRoot, name) ?? startNamespace(runRoot, name, tape);
}

function joinHolder(runRoot: string, name: string): RunNamespace | undefined {
  const found = openHolder(runRoot, name);
  if (found === undefined) return undefined;
  const namespace = openHeld(found, "user");
  if (namespace === undefined) {
    closeHolder(found);
    return undefined;
  }
  return {
    // that there is a record says so
    mapped: found.record,
    open: () => namespace,
    share() {},
    release() {
      close(namespace);
      closeHolder(found);
    },
  };
}

function startNamespace(runRoot: string, name: string, tape: Uint8Array): RunNamespace {
  const claim = claimHolder(runRoot, name);
  const [ready, go] = [makePipe(), makePipe()];
  const fds = [
    { child: READY_FD, ours: ready.write },
    { child: GO_FD, ours: go.read },
    ...(claim === undefined ? [] : [{ child: RECORD_FD, ours: claim.record }]),
  ];
  let playing;
  try {
    playing = startEncodedTape({ bytes: tape, errorFd: ERROR_FD }, { fds, name: "dugout-namespace", newSession: true });
  } catch (error) {
    [ready.read, go.write].forEach(close);
    claim?.[Symbol.dispose]();
    throw error;
  } finally {
    [ready.write, go.read].forEach(close);
  }
  const { pid, errors } = playing;
  // why it failed is found out by the whole way
  close(errors);
  let namespace: Fd | undefined;
  return {
    mapped: ready.read,
    open() {
      if (!readByte(ready.read)) return undefined;
      namespace = openAt(AT_FDCWD, `/proc/${pid}/ns/user`, O_RDONLY);
      return namespace;
    },
    share() {
      if (claim?.publish(pid)) writeByte(go.write);
    },
    release() {
      if (namespace !== undefined) close(namespace);
      [ready.read, go.write].forEach(close);
      claim?.[Symbol.dispose]();
    },
  };
}

function writeByte(fd: Fd): void {
  const byte = allocate(1);
  tryCall("write", fd, addressOf(byte), 1);
}

function readByte(fd: Fd): boolean {
  const byte = allocate(1);
  let result: number;
  do result = tryCall("read", fd, addressOf(byte), 1); while (result === -4);
  return result === 1;
}
