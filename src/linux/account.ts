/**
 * Accounts of this machine: /etc/passwd, and what the name service knows beyond it.
 *
 * @module
 */
import { readFileSync } from "node:fs";

/** An entry of passwd(5), as far as it is used. */
export interface Account {
  readonly name: string;
  readonly home: string;
}

function parseEntry(line: string, uid: number): Account | undefined {
  const fields = line.split(":");
  if (fields.length < 7 || fields[2] !== String(uid)) return undefined;
  return { name: fields[0]!, home: fields[5]! };
}

/**
 * The account of a uid: from /etc/passwd, else by getent(1), since sites keep their users in directories.
 * Environment variables are not asked: `su` and batch systems leave somebody else's in them.
 */
export function findAccount(uid: number): Account | undefined {
  try {
    for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
      const account = parseEntry(line, uid);
      if (account !== undefined) return account;
    }
  } catch {
    // no such file: the name service may still know
  }
  const asked = process.getBuiltinModule("node:child_process").spawnSync("/usr/bin/getent", ["passwd", String(uid)], {
    encoding: "utf8",
    timeout: 5000,
    env: {},
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 1 << 16,
  });
  return asked.status === 0 ? parseEntry(asked.stdout.trim(), uid) : undefined;
}
