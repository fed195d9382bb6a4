import { readFileSync } from "node:fs";

/**
 * A kind of user that tests run as: one with a range of subordinate ids, one without, or (where the tests are not run by
 * root, so that nobody else can be had) the caller.
 */
export type TestUser = { kind: "sub" | "one" | "caller"; name: string; uid: number; gid: number };

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
export const ROOT: TestUser = { kind: "caller", name: "root", uid: 0, gid: 0 };

function findCaller(): TestUser {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  return { kind: "caller", name: process.env["USER"] ?? String(uid), uid, gid };
}

function findIds(name: string): { uid: number; gid: number } | undefined {
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [user, , uid, gid] = line.split(":");
    if (user === name) return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}
