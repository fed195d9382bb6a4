import { readFileSync } from "node:fs";
import { addressOf, allocate } from "#ffi/mod.ts";
import { tryCall } from "#linux/call.ts";
import { LANDLOCK_CREATE_RULESET_VERSION } from "#linux/landlock.ts";
import type { HostFeatures } from "./setup.ts";

const ENOSYS = -38;

/** What this machine's kernel can do, found by asking it. */
export function probeHost(): HostFeatures {
  return {
    // a bad descriptor is EBADF where the call exists
    mountSetattr: tryCall("mount_setattr", -1, addressOf(allocate(8)), 0, 0, 0) !== ENOSYS,
    landlockAbi: Math.max(0, tryCall("landlock_create_ruleset", 0, 0, LANDLOCK_CREATE_RULESET_VERSION)),
    lastCapability: Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8")),
  };
}
