import { parseProcessGroup } from "#linux/cgroup.ts";
import { readProcFile } from "#linux/proc.ts";
import { randomHex } from "#linux/random.ts";
import { BusError } from "./dbus/error.ts";
import { choosePlace, readGroupFacts } from "./place.ts";
import { startScope } from "./systemd.ts";

/**
 * Takes processes that serve all containers of the user, and outlive the command that has started them, out of a login session,
 * whose end may end them: into a scope of their own. Elsewhere, and where there is no manager, they stay where they are.
 * @param name What they are called: `keeper`.
 */
export function leaveSession(name: string, pids: readonly number[] = [process.pid]): void {
  const own = parseProcessGroup(readProcFile(`/proc/${pids[0]}/cgroup`) ?? "") ?? "";
  if (!/\/session-[^/]+\.scope$/.test(own)) return;
  const place = choosePlace(readGroupFacts());
  if (place.kind !== "systemd") return;
  const unit = `dugout-${name}-${randomHex(4)}.scope`;
  try {
    startScope({ name: unit, description: `dugout ${name}`, pids, slice: undefined }, process.geteuid!(), place.socket);
  } catch (error) {
    // they go with the session then
    if (!(error instanceof BusError)) throw error;
  }
}
