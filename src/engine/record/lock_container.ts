import { closeSync, mkdirSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { delay } from "#storage/delay.ts";
import { tryLock } from "#storage/flock.ts";
import { isSameFile } from "#storage/lease.ts";
import type { Engine } from "../engine.ts";

const POLL_MS = 5;

function lockPath({ runRoot }: Pick<Engine, "runRoot">, id: string): string {
  return join(runRoot, "locks", id);
}

/**
 * Does something to a container while no other process starts or removes it. The lock lies in the runtime directory, which
 * is of this machine, and ends with the process that holds it: nobody waits for one that was killed.
 */
export async function withContainerLock<T>(
  engine: Pick<Engine, "runRoot">,
  id: string,
  act: () => T | Promise<T>,
): Promise<T> {
  const path = lockPath(engine, id);
  mkdirSync(join(engine.runRoot, "locks"), { recursive: true, mode: 0o700 });
  for (;;) {
    const fd = openSync(path, "a", 0o600);
    try {
      while (tryLock(fd) === "busy") await delay(POLL_MS);
      // whoever removed the container has removed its lock
      if (isSameFile(fd, path)) return await act();
    } finally {
      closeSync(fd);
    }
  }
}

/** Removes the lock of a container that was removed, by whoever holds it. */
export function forgetLock(engine: Pick<Engine, "runRoot">, id: string): void {
  rmSync(lockPath(engine, id), { force: true });
}
