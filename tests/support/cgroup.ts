import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * A control group around all that a test starts. A process may leave its parent and its session, but not its group
 * without rights over another: so the group says whether a test left anything running. It limits nothing.
 */
export type TestGroup = { path: string };

const MOUNTS = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/** @returns Undefined where no cgroup v2 hierarchy can be written to. */
export function makeTestGroup(name: string): TestGroup | undefined {
  const mount = MOUNTS.find((path) => existsSync(join(path, "cgroup.procs")));
  if (mount === undefined || process.getuid?.() !== 0) return undefined;
  const path = join(mount, name);
  try {
    mkdirSync(path);
  } catch {
    return undefined;
  }
  return { path };
}

/** The processes in the group, in groups below it not counted. */
export function listGroupPids(group: TestGroup): number[] {
  const text = readFileSync(join(group.path, "cgroup.procs"), "utf8");
  return text.split("\n").filter((line) => line !== "").map(Number);
}

/** A process that stays by itself for some minutes, for whatever is started next. */
const HOLDER = "dugout-holder";

/** Ends those that may stay. */
function endHolders(group: TestGroup): void {
  for (const pid of listGroupPids(group)) {
    try {
      if (readFileSync(`/proc/${pid}/comm`, "utf8").trim() === HOLDER) process.kill(pid, "SIGKILL");
    } catch {
      // it has just ended
    }
  }
}

/**
 * Waits a little for the group to be empty but for holders of namespaces, kills what is there then, and removes it.
 * @returns The command lines of what had to be killed.
 */
export async function closeTestGroup(group: TestGroup, graceMs = 2_000): Promise<string[]> {
  const deadline = performance.now() + graceMs;
  for (const pid of listGroupPids(group).filter(servesNetworks)) moveOut(group, pid);
  for (;;) {
    endHolders(group);
    if (listGroupPids(group).length === 0 || performance.now() >= deadline) break;
    await delay(20);
  }
  const left = listGroupPids(group).map(describeProcess);
  for (let tries = 0; tries < 100 && listGroupPids(group).length > 0; tries++) {
    for (const pid of listGroupPids(group)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // it has just ended
      }
    }
    await delay(20);
  }
  await removeGroup(group);
  return left;
}

/** What a user's networks stand on serves other tests of the user too, and ends by itself when it has been idle for a while. */
function servesNetworks(pid: number): boolean {
  return /^\d+ (?:dugout-network$|.*__netstack)/.test(describeProcess(pid));
}

function moveOut(group: TestGroup, pid: number): void {
  try {
    writeFileSync(join(group.path, "..", "cgroup.procs"), String(pid));
  } catch {
    // it has just ended
  }
}

/** A process that has just ended may hold the group for a moment. */
async function removeGroup({ path }: TestGroup): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      return rmdirSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EBUSY" || tries === 100) throw error;
      await delay(20);
    }
  }
}

function describeProcess(pid: number): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ").trim();
    return `${pid} ${words === "" ? readFileSync(`/proc/${pid}/comm`, "utf8").trim() : words}`;
  } catch {
    return `${pid} (ended)`;
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
