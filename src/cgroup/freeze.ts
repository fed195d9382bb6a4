import { addressOf, allocate, cString } from "#ffi/mod.ts";
import { expectResult, type Fd, tryCall } from "#linux/call.ts";
import { parseFlatKeyed, writeGroupFile } from "#linux/cgroup.ts";
import { AT_FDCWD, close, O_CLOEXEC, O_RDONLY } from "#linux/file.ts";
import { waitForDescriptor } from "#linux/wait_descriptor.ts";
import { POLLPRI } from "#linux/poll.ts";
import { DugoutError } from "#oci/error.ts";

/** What sleeps in the kernel for longer than this will not freeze soon. */
const LIMIT_MS = 10_000;

/**
 * Freezes a group, or lets it go on, and waits until it has happened: the kernel tells of it by an event of `cgroup.events`
 * (cgroup-v2.rst; Linux 5.2).
 * @throws {OsError} When the kernel refuses.
 * @throws {DugoutError} FREEZE_STUCK, when a process does not stop; nothing is frozen then.
 */
export function freezeGroup(group: string, frozen: boolean): void {
  const name = `${group}/cgroup.events`;
  const path = cString(name);
  const opened = tryCall("openat", AT_FDCWD, addressOf(path), O_RDONLY | O_CLOEXEC, 0);
  const events = expectResult(opened, "open", name) as Fd;
  try {
    writeGroupFile(group, "cgroup.freeze", frozen ? "1" : "0");
    const stopMs = performance.now() + LIMIT_MS;
    // an event is what has changed since the last read, so nothing happens unseen between the two
    while (readFrozen(events) !== frozen) {
      if (waitForDescriptor(events, POLLPRI, stopMs - performance.now())) continue;
      writeGroupFile(group, "cgroup.freeze", "0");
      throw new DugoutError("FREEZE_STUCK", `Cannot freeze ${group}: a process does not stop`, {
        exitCode: 1,
        hint: "it waits for a device or a file server; try again later",
      });
    }
  } finally {
    close(events);
  }
}

function readFrozen(events: Fd): boolean {
  const bytes = allocate(4096);
  const count = expectResult(tryCall("pread64", events, addressOf(bytes), bytes.length, 0), "read", "cgroup.events");
  return parseFlatKeyed(new TextDecoder().decode(bytes.subarray(0, count))).get("frozen") === 1;
}
