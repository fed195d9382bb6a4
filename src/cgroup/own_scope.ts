import { parseProcessGroup } from "#linux/cgroup.ts";
import { readProcFile } from "#linux/proc.ts";
import { randomHex } from "#linux/random.ts";
import { BusError } from "./dbus/error.ts";
import { choosePlace, readGroupFacts } from "./place.ts";
import { startScope } from "./systemd.ts";

/**
 * Takes a process that serves all containers of the user, and outlives the command that has started it, out of a login session,
 * whose end may end it: into a scope of its own. Elsewhere, and where there is no manager, it stays where it is.
 * @param name What it is called: `keeper`.
 */
export function leaveSession(name: string, pid: number = process.pid): void {
  const own = parseProcessGroup(readProcFile(`/proc/${pid}/cgroup`) ?? "") ?? "";
  if (!/\/session-[^/]+\.scope$/.test(own)) return;
  const place = choosePlace(readGroupFacts());
  if (place.kind !== "systemd") return;
  const unit = `dugout-${name}-${randomHex(4)}.scope`;
  try {
    startScope({ name: unit, description: `dugout ${name}`, pid, slice: undefined }, process.geteuid!(), place.socket);
  } catch (error) {
    // it goes with the session then
    if (!(error instanceof BusError)) throw error;
  }
}
