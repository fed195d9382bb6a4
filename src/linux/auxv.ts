import { readFileSync } from "node:fs";

const AT_SECURE = 23n;

/**
 * Whether the program was executed with more rights than its caller has: set-user-id, set-group-id or file capabilities
 * (getauxval(3), AT_SECURE). What such a program reads is its caller's, and what it does is not.
 */
export function isSecureExecution(): boolean {
  const bytes = readFileSync("/proc/self/auxv");
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    if (bytes.readBigUInt64LE(at) === AT_SECURE) return bytes.readBigUInt64LE(at + 8) !== 0n;
  }
  return false;
}
