import * as fs from "node:fs";
import { NEWUIDMAP_PATHS } from "./idmap_programs.ts";

/** What decides the caller's identity and boot, as text; when none of it has changed, what was remembered holds. */
export function identityKey(): string {
  const stamp = (path: string) => {
    const stat = fs.statSync(path, { throwIfNoEntry: false });
    return stat === undefined ? "-" : `${stat.mtimeMs}:${stat.size}:${stat.ino}`;
  };
  return JSON.stringify([
    3,
    process.getuid!(),
    process.getgid!(),
    process.getgroups!(),
    stamp("/etc/subuid"),
    stamp("/etc/subgid"),
    stamp("/etc/nsswitch.conf"),
    NEWUIDMAP_PATHS.map(stamp),
    fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
  ]);
}
