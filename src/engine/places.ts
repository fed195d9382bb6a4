/**
 * Where dugout keeps its things for a user: the data directory, which lasts, and the runtime directory, which ends with the
 * machine's uptime.
 *
 * @module
 */
import { statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";

/** What the choice depends on; read from the system by {@linkcode readPlaceHost}. */
export interface PlaceHost {
  uid: number;
  home: string | undefined;
  environment: Readonly<Record<string, string | undefined>>;
  /** Whether there is such a directory and it belongs to us. */
  isOwnDirectory: (path: string) => boolean;
}

export interface Places {
  /** Images, layers, containers, volumes. */
  dataRoot: string;
  /** Sockets, locks, the state of what runs. */
  runtimeDir: string;
  /** What the user should know about the choice; usually nothing. */
  warnings: readonly string[];
}

export function readPlaceHost(): PlaceHost {
  const uid = process.getuid?.() ?? 0;
  return {
    uid,
    home: homedir() || undefined,
    environment: process.env,
    isOwnDirectory: (path) => {
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat !== undefined && stat.isDirectory() && stat.uid === uid;
    },
  };
}

/**
 * Chooses the two directories. `/run/user/UID` is taken when it is ours, whatever the environment says, so that two commands of
 * one user, one with XDG_RUNTIME_DIR and one without, find the same containers (C-057); the variable of somebody else, as after
 * `su`, is left aside with a warning (C-056).
 * @param chosen `--root` and `--run`.
 * @throws {DugoutError} NO_HOME when there is no home directory and no `--root`.
 */
export function choosePlaces(chosen: { root?: string; run?: string }, host: PlaceHost): Places {
  const warnings: string[] = [];
  return {
    dataRoot: chosen.root ?? chooseDataRoot(host),
    runtimeDir: chosen.run ?? chooseRuntimeDir(host, warnings),
    warnings,
  };
}

function chooseDataRoot({ environment, home }: PlaceHost): string {
  const data = environment["XDG_DATA_HOME"];
  // XDG Base Directory Specification: a path that is not absolute is to be ignored
  if (data !== undefined && data.startsWith("/")) return join(data, "dugout");
  if (home === undefined || !home.startsWith("/")) {
    throw new DugoutError("NO_HOME", "Cannot tell where to keep images: there is no home directory", {
      hint: "Set HOME or XDG_DATA_HOME, or say it with '--root DIRECTORY'",
    });
  }
  return join(home, ".local/share/dugout");
}

function chooseRuntimeDir({ environment, uid, isOwnDirectory }: PlaceHost, warnings: string[]): string {
  const session = `/run/user/${uid}`;
  if (isOwnDirectory(session)) return join(session, "dugout");
  const runtime = environment["XDG_RUNTIME_DIR"];
  if (runtime !== undefined && runtime.startsWith("/")) {
    if (isOwnDirectory(runtime)) return join(runtime, "dugout");
    warnings.push(`XDG_RUNTIME_DIR ${quote(runtime)} is not a directory of ours and is left aside`);
  }
  return `/tmp/dugout-${uid}`;
}
