import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { type AuthFile, entryCredentials, findAuthEntry, findHelper, hostKey, parseAuthFile } from "./auth_file.ts";
import { getFromHelper } from "./credential_helper.ts";
import type { Credentials, CredentialsFinder } from "./credentials.ts";
import { hasCode } from "./error.ts";
import type { Environment } from "./proxy.ts";

/** Where credentials are looked for. */
export interface CredentialPlaces {
  env: Environment;
  home: string;
  /** `--config DIR`. */
  configDir?: string | undefined;
  /** Helpers that registries.conf names for all registries. */
  helpers?: readonly string[];
}

/** Credentials and the one registry that they are for. */
export interface GivenCredentials {
  host: string;
  credentials: Credentials;
}

/** The directory of Docker's client configuration: `--config`, DOCKER_CONFIG, or `~/.docker`. */
export function dockerConfigDir(places: CredentialPlaces): string {
  return places.configDir ?? (places.env["DOCKER_CONFIG"] || join(places.home, ".docker"));
}

/**
 * The files with credentials, in the order in which they count: the one that REGISTRY_AUTH_FILE names, Docker's, podman's of this session,
 * podman's of the user.
 */
export function listAuthFiles(places: CredentialPlaces): string[] {
  const { env, home } = places;
  const files: string[] = [];
  const named = env["REGISTRY_AUTH_FILE"];
  if (named !== undefined && named !== "") files.push(named);
  files.push(join(dockerConfigDir(places), "config.json"));
  const runtimeDir = env["XDG_RUNTIME_DIR"];
  if (runtimeDir !== undefined && runtimeDir.startsWith("/")) files.push(join(runtimeDir, "containers", "auth.json"));
  files.push(join(env["XDG_CONFIG_HOME"] || join(home, ".config"), "containers", "auth.json"));
  return files;
}

/** Reads a file with credentials; undefined when it isn't there, or not for us to read. */
export function readAuthFile(path: string): AuthFile | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR", "EACCES")) return undefined;
    throw new DugoutError(
      "AUTH_FILE_INVALID",
      `Cannot read ${quote(path)}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  return parseAuthFile(bytes, `the credentials in ${quote(path)}`);
}

/** Looks into one file: its helper for the registry, then what is written in it (C-043). */
async function findInFile(
  file: AuthFile,
  host: string,
  repository: string,
  env: Environment,
): Promise<Credentials | undefined> {
  const helper = findHelper(file, host);
  const found = helper === undefined ? undefined : await getFromHelper(helper, hostKey(host), { env });
  if (found !== undefined) return found;
  const entry = findAuthEntry(file, host, repository);
  return entry === undefined ? undefined : entryCredentials(entry);
}

/**
 * Makes the function that finds credentials. Files are read, and helpers run, only when a registry asks; an answer is remembered for as long
 * as the function lives.
 * @param given Credentials that a request brings for one registry, as X-Registry-Auth of the API; no other host gets them.
 */
export function createCredentialsFinder(places: CredentialPlaces, given?: GivenCredentials): CredentialsFinder {
  const known = new Map<string, Promise<Credentials | undefined>>();
  const files = new Map<string, AuthFile | undefined>();
  const find = async (host: string, repository: string): Promise<Credentials | undefined> => {
    if (given !== undefined && hostKey(given.host) === hostKey(host)) return given.credentials;
    for (const path of listAuthFiles(places)) {
      if (!files.has(path)) files.set(path, readAuthFile(path));
      const file = files.get(path);
      const found = file === undefined ? undefined : await findInFile(file, host, repository, places.env);
      if (found !== undefined) return found;
    }
    for (const helper of places.helpers ?? []) {
      if (helper === "containers-auth.json") continue;
      const found = await getFromHelper(helper, hostKey(host), { env: places.env });
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return (host, repository) => {
    const key = `${host}/${repository}`;
    const pending = known.get(key) ?? find(host, repository);
    known.set(key, pending);
    return pending;
  };
}
