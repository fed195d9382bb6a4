import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";

/** A user that tests run as: with a range of subordinate ids (`sub`), or without (`one`). */
export type TestUser = { kind: "sub" | "one"; name: string; uid: number; gid: number };

/** The users of tests/setup, as far as they are there, when the tests run as root; else the caller alone. */
export function listTestUsers(): TestUser[] {
  if (process.getuid?.() !== 0) return [findCaller()];
  const users: TestUser[] = [];
  for (const [kind, name] of [["sub", "dug-sub"], ["one", "dug-one"]] as const) {
    const ids = findIds(name);
    if (ids !== undefined) users.push({ kind, name, ...ids });
  }
  return users;
}

/** Root, for what only root may prepare. */
export const ROOT: TestUser = { kind: "sub", name: "root", uid: 0, gid: 0 };

/**
 * Removes what a test made for a user. Plain users have files in it that only root of their user namespace may remove:
 * those of subordinate ids, and the directories of overlay, which have mode 0.
 */
export function removeTestTree(path: string, { kind }: TestUser): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EACCES" || process.getuid?.() === 0) throw error;
    const ids = kind === "sub" ? ["--map-auto"] : [];
    execFileSync("/usr/bin/unshare", ["--map-root-user", ...ids, "/bin/rm", "-rf", path]);
  }
}

function findCaller(): TestUser {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  const name = process.env["USER"] ?? String(uid);
  const hasRange = ["/etc/subuid", "/etc/subgid"].every((file) =>
    existsSync(file) &&
    readFileSync(file, "utf8").split("\n").some((line) => [name, String(uid)].includes(line.split(":", 1)[0]!))
  );
  return { kind: hasRange && existsSync("/usr/bin/newuidmap") ? "sub" : "one", name, uid, gid };
}

function findIds(name: string): { uid: number; gid: number } | undefined {
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [user, , uid, gid] = line.split(":");
    if (user === name) return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}
