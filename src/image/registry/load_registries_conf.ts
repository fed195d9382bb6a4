import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { hasCode } from "./error.ts";
import type { Environment } from "./proxy.ts";
import {
  EMPTY_REGISTRIES_CONF,
  mergeRegistriesConf,
  parseRegistriesConf,
  type RegistriesConf,
} from "./registries_conf.ts";

/** Where the files are looked for. */
export interface RegistriesConfPlaces {
  /** The system's directory; `/etc/containers` when absent. */
  systemDir?: string;
  /** `$HOME`. */
  home: string;
  env: Environment;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function dropIns(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => name.endsWith(".conf")).sort().map((name) => join(directory, name))
      .filter(isFile);
  } catch {
    return [];
  }
}

/** The user's configuration directory of the containers tools. */
export function userContainersDir(places: Pick<RegistriesConfPlaces, "home" | "env">): string {
  const base = places.env["XDG_CONFIG_HOME"] || join(places.home, ".config");
  return join(base, "containers");
}

/**
 * Lists the files in the order in which they count (containers-registries.conf.d(5)): the user's file stands in place of the system's, and then
 * only the user's drop-ins count; else the system's drop-ins come before the user's. Recorded short names come last.
 */
export function listRegistriesConf(places: RegistriesConfPlaces): string[] {
  const { env, home } = places;
  const system = places.systemDir ?? "/etc/containers";
  const user = userContainersDir(places);
  const forced = env["CONTAINERS_REGISTRIES_CONF"];
  const files: string[] = [];
  if (forced !== undefined && forced !== "") files.push(forced);
  else if (isFile(join(user, "registries.conf"))) {
    files.push(join(user, "registries.conf"), ...dropIns(join(user, "registries.conf.d")));
  } else {
    if (isFile(join(system, "registries.conf"))) files.push(join(system, "registries.conf"));
    files.push(...dropIns(join(system, "registries.conf.d")), ...dropIns(join(user, "registries.conf.d")));
  }
  const recorded = join(env["XDG_CACHE_HOME"] || join(home, ".cache"), "containers", "short-name-aliases.conf");
  if (isFile(recorded)) files.push(recorded);
  return files;
}

/**
 * Reads what this user's and the system's registries.conf say.
 * @throws {DugoutError} REGISTRIES_CONF_INVALID, REGISTRIES_CONF_UNREADABLE.
 */
export async function loadRegistriesConf(places: RegistriesConfPlaces): Promise<RegistriesConf> {
  const files: { file: string; parsed: Awaited<ReturnType<typeof parseRegistriesConf>> }[] = [];
  for (const file of listRegistriesConf(places)) {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      if (hasCode(error, "ENOENT") && places.env["CONTAINERS_REGISTRIES_CONF"] !== file) continue;
      throw new DugoutError(
        "REGISTRIES_CONF_UNREADABLE",
        `Cannot read ${quote(file)}: ${error instanceof Error ? error.message : String(error)}`,
        { cause: error },
      );
    }
    files.push({ file, parsed: await parseRegistriesConf(text, file) });
  }
  return files.length === 0 ? EMPTY_REGISTRIES_CONF : mergeRegistriesConf(files);
}
