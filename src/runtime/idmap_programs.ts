import { AT_FDCWD } from "#linux/file.ts";
import { statName } from "#linux/stat.ts";

const PLACES = ["/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin", "/run/current-system/sw/bin"];

/** Where newuidmap may be: what decides whether subordinate ids can be mapped. */
export const NEWUIDMAP_PATHS: readonly string[] = PLACES.map((place) => `${place}/newuidmap`);

/** Where newuidmap and newgidmap are: absolute paths, never the caller's PATH, since they run with rights. */
export function findIdMapPrograms(): { uid: string; gid: string } | undefined {
  for (const place of PLACES) {
    const programs = { uid: `${place}/newuidmap`, gid: `${place}/newgidmap` };
    if (exists(programs.uid) && exists(programs.gid)) return programs;
  }
  return undefined;
}

/** A link counts too: executing it says what is wrong with it. */
function exists(path: string): boolean {
  return typeof statName(AT_FDCWD, path) !== "number";
}
