import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, close } from "#linux/file.ts";
import { addOwn, type IdMap } from "#linux/idmap.ts";
import { failureError } from "#tape/play.ts";
import { readFailure, waitFor } from "#tape/play_encoded.ts";
import { step, type Tape } from "#tape/step.ts";
import { ERROR_FD } from "./map_ids.ts";
import { startInUserNamespace, USER_NAMESPACE_BUFFERS, userNamespaceSteps } from "./user_namespace.ts";

/**
 * Gives files of the caller's to the root of a map in which the caller has no id, so that the container's own processes
 * could not: in a user namespace of the same ids and the caller's.
 * @throws {OsError | DugoutError} When one of them cannot be given away.
 */
export function giveToRoot(map: IdMap, paths: readonly string[]): void {
  const ids = { uid: addOwn(map.uid, process.getuid!()), gid: addOwn(map.gid, process.getgid!()) };
  const tape: Tape = {
    steps: [
      ...userNamespaceSteps(ids),
      ...paths.map((path) =>
        step("fchownat", [AT_FDCWD, path, 0, 0, AT_SYMLINK_NOFOLLOW], "give to the container's root", path)
      ),
    ],
    buffers: new Map(USER_NAMESPACE_BUFFERS),
    errorFd: ERROR_FD,
  };
  const playing = startInUserNamespace(tape, ids, []);
  const failure = readFailure(playing.errors);
  close(playing.errors);
  waitFor(playing.pid);
  if (failure !== undefined) throw failureError(tape, failure);
}
