/**
 * The user namespace in which that of a container is made: the holder's, or one that a process of ours holds until the
 * container is there. It is wanted before the container is planned, so that newuidmap and newgidmap, two programs that take
 * longer than all else of a start, run meanwhile, where there is no holder.
 *
 * @module
 */
import { close } from "#linux/file.ts";
import type { IdMap } from "#linux/idmap.ts";
import { failureError, startTape } from "#tape/play.ts";
import { readFailure, waitFor } from "#tape/play_encoded.ts";
import type { Tape } from "#tape/step.ts";
import { ERROR_FD, makeMapPipes, type MapPrograms, startMapping } from "../map_ids.ts";
import { USER_NAMESPACE_BUFFERS, userNamespaceSteps } from "../user_namespace.ts";
import { claimHolder } from "./claim_holder.ts";
import { closeHolder, holderIds, holderName, openHeld, openHolder } from "./holder_record.ts";
import { holdBuffers, holdSteps } from "./holder_steps.ts";
import { RECORD_FD } from "./record_fd.ts";

/** A user namespace that is there, or is being made. */
export interface ParentNamespace {
  /** Starts newuidmap and newgidmap, if they are needed. */
  mapIds(): void;
  /** The file by which the namespace is joined. */
  readonly path: string;
  /** Waits until its ids are mapped. @throws {DugoutError} */
  ready(): void;
  /** Lets go of it. */
  [Symbol.dispose](): void;
}

/** Opens the one with that map: the holder's, or a new one, whose process becomes the holder. */
export function openParentNamespace(runRoot: string, map: IdMap): ParentNamespace {
  const name = holderName(holderIds(map));
  return joinHolder(runRoot, name) ?? makeNamespace(runRoot, name, map);
}

function joinHolder(runRoot: string, name: string): ParentNamespace | undefined {
  const found = openHolder(runRoot, name);
  if (found === undefined) return undefined;
  const user = openHeld(found, "user");
  closeHolder(found);
  if (user === undefined) return undefined;
  return {
    // of this process: the holder may end before the container's has joined it
    path: `/proc/${process.pid}/fd/${user}`,
    mapIds() {},
    ready() {},
    [Symbol.dispose]: () => close(user),
  };
}

function makeNamespace(runRoot: string, name: string, map: IdMap): ParentNamespace {
  const tape: Tape = {
    steps: [...userNamespaceSteps(map), ...holdSteps()],
    buffers: new Map([...USER_NAMESPACE_BUFFERS, ...holdBuffers()]),
    errorFd: ERROR_FD,
  };
  const claim = claimHolder(runRoot, name);
  const pipes = makeMapPipes(map);
  const record = claim === undefined ? [] : [{ child: RECORD_FD, ours: claim.record }];
  const playing = startTape(tape, { fds: [...pipes.fds, ...record], name: "dugout-namespace", newSession: true });
  let programs: MapPrograms | undefined;
  let isMapped = false;
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
      isMapped = true;
    },
    [Symbol.dispose]() {
      const stays = isMapped && claim?.publish(playing.pid) === true;
      if (stays) {
        // first that ids are mapped, then that it is the holder
        pipes.letGo();
        pipes.letGo();
      }
      pipes.close();
      close(playing.errors);
      claim?.[Symbol.dispose]();
      try {
        programs?.wait();
      } catch {
        // nobody needs the namespace any more
      }
      if (!stays) waitFor(playing.pid);
    },
  };
}
