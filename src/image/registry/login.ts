import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { DugoutError } from "#oci/error.ts";
import { encodeJson, isJsonObject, type JsonObject, parseJson } from "#oci/json.ts";
import { isDomain } from "#oci/reference.ts";
import { quote } from "#oci/text.ts";
import { answerError } from "./answer_error.ts";
import {
  AUTH_FILE_BYTES_MAX,
  encodeAuthEntry,
  entryCredentials,
  findAuthEntry,
  findHelper,
  hostKey,
  isKeyOf,
} from "./auth_file.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { RegistryClient } from "./client.ts";
import { eraseWithHelper, getFromHelper, storeWithHelper } from "./credential_helper.ts";
import { basicAuthorization, type Credentials } from "./credentials.ts";
import type { Endpoint } from "./endpoint.ts";
import { hasCode, RegistryError } from "./error.ts";
import { type CredentialPlaces, dockerConfigDir, listAuthFiles, readAuthFile } from "./find_credentials.ts";
import { discardBody } from "./transport.ts";

/** What a login found out. */
export interface LoginResult {
  /** What is to be kept: an identity token where the registry gives one, else what was given. */
  credentials: Credentials;
}

/**
 * Asks the registry whether it takes the credentials. They go where the challenge says, under the policy of realms; nothing is kept.
 * @throws {RegistryError} UNAUTHORIZED when it does not take them; LOGIN_FAILED when it is no registry.
 */
export async function checkLogin(
  client: RegistryClient,
  endpoint: Endpoint,
  credentials: Credentials & { kind: "password" },
  signal?: AbortSignal,
): Promise<LoginResult> {
  const action = `Cannot log in to "${endpoint.host}"`;
  const base = await client.baseUrl(endpoint, signal);
  const url = new URL("/v2/", base);
  const first = await client.sendOnce({ method: "GET", url, signal }, endpoint);
  await discardBody(first);
  // a registry that lets everybody in takes everything
  if (first.status === 200) return { credentials };
  const challenges = (first.headers.get("www-authenticate") ?? []).flatMap(parseChallenges);
  const bearer = challenges.find(({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm"));
  if (first.status !== 401 || (bearer === undefined && !challenges.some(({ scheme }) => scheme === "basic"))) {
    throw new RegistryError(
      "LOGIN_FAILED",
      `${action}: it answered ${first.status} to /v2/, so it is not a registry that one can log in to`,
      {
        status: first.status,
        hint: "Check the name and the port",
      },
    );
  }
  try {
    return await tryCredentials(client, endpoint, base, bearer, credentials, action, signal);
  } catch (error) {
    if (!(error instanceof RegistryError) || (error.status !== 401 && error.status !== 403)) throw error;
    const { code, message, status, method, url } = error;
    throw new RegistryError(code, message, {
      status,
      method,
      url,
      hint: "Check the user name and the password, or the token in its place",
      cause: error,
    });
  }
}

async function tryCredentials(
  client: RegistryClient,
  endpoint: Endpoint,
  base: URL,
  bearer: Challenge | undefined,
  credentials: Credentials & { kind: "password" },
  action: string,
  signal: AbortSignal | undefined,
): Promise<LoginResult> {
  let authorization = basicAuthorization(credentials.username, credentials.password);
  let kept: Credentials = credentials;
  if (bearer !== undefined) {
    const token = await client.authorizer.requestToken(endpoint, base, bearer, undefined, credentials, true, signal);
    authorization = `Bearer ${token.value}`;
    if (token.refreshToken !== undefined) {
      kept = { kind: "identity", username: credentials.username, identityToken: token.refreshToken };
    }
  }
  const url = new URL("/v2/", base);
  const answered = await client.sendOnce(
    { method: "GET", url, headers: [["Authorization", authorization]], signal },
    endpoint,
  );
  if (answered.status !== 200) throw await answerError(answered, "GET", action, endpoint);
  await discardBody(answered);
  return { credentials: kept };
}

/** Reads config.json as it is, so that what we don't know is kept. */
function readConfig(path: string): JsonObject {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return Object.create(null);
    throw error;
  }
  if (bytes.length === 0) return Object.create(null);
  const what = `the configuration ${quote(path)}`;
  const value = parseJson(bytes, what, { maxBytes: AUTH_FILE_BYTES_MAX });
  if (!isJsonObject(value)) throw new DugoutError("AUTH_FILE_INVALID", `Cannot use ${what}: not a JSON object`);
  return value;
}

/** Writes beside and renames; a link (as dotfile managers make) stays one. Mode 0600, whatever the umask. */
function writeConfig(path: string, config: JsonObject): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let target = path;
  try {
    target = realpathSync(path);
  } catch {
    // not there yet
  }
  const beside = `${target}.${randomBytes(6).toString("hex")}.tmp`;
  const fd = openSync(beside, "wx", 0o600);
  try {
    writeSync(fd, encodeJson(config, 2) + "\n");
    fsyncSync(fd);
  } catch (error) {
    unlinkSync(beside);
    throw error;
  } finally {
    closeSync(fd);
  }
  chmodSync(beside, 0o600);
  renameSync(beside, target);
}

/** The file that `login` writes and `logout` cleans first: the one that REGISTRY_AUTH_FILE names, else Docker's. */
export function writableAuthFile(places: CredentialPlaces): string {
  return places.env["REGISTRY_AUTH_FILE"] || join(dockerConfigDir(places), "config.json");
}

/**
 * Keeps credentials: with the helper that the configuration names for the registry, else in the file itself.
 * @returns The file, when they are in it unencrypted; undefined when a helper has them.
 */
export async function storeCredentials(
  places: CredentialPlaces,
  host: string,
  credentials: Credentials,
): Promise<string | undefined> {
  const path = writableAuthFile(places);
  const helper = findHelper(readAuthFile(path) ?? {}, host);
  if (helper !== undefined) await storeWithHelper(helper, hostKey(host), credentials, { env: places.env });
  const config = readConfig(path);
  const auths = config["auths"];
  const entries: JsonObject = isJsonObject(auths) ? auths : Object.create(null);
  for (const key of Object.keys(entries)) if (isKeyOf(key, host)) delete entries[key];
  // Docker leaves an empty entry for what a helper keeps
  const entry: JsonObject = Object.create(null);
  if (helper === undefined) {
    for (const [name, value] of Object.entries(encodeAuthEntry(credentials))) {
      if (value !== undefined) entry[name] = value;
    }
  }
  entries[hostKey(host)] = entry;
  config["auths"] = entries;
  writeConfig(path, config);
  return helper === undefined ? path : undefined;
}

/**
 * Forgets a registry, in every file that we would find credentials in, and with their helpers.
 * @returns Whether there was anything to forget.
 */
export async function removeCredentials(places: CredentialPlaces, host: string): Promise<boolean> {
  let isFound = false;
  for (const path of listAuthFiles(places)) {
    const file = readAuthFile(path);
    if (file === undefined) continue;
    const helper = findHelper(file, host);
    if (helper !== undefined && await eraseWithHelper(helper, hostKey(host), { env: places.env })) isFound = true;
    const config = readConfig(path);
    const auths = config["auths"];
    if (!isJsonObject(auths)) continue;
    const keys = Object.keys(auths).filter((key) => isKeyOf(key, host));
    if (keys.length === 0) continue;
    for (const key of keys) delete auths[key];
    isFound = true;
    writeConfig(path, config);
  }
  return isFound;
}

/** The user name that is kept for a registry, for "login" without one. */
export async function storedUsername(places: CredentialPlaces, host: string): Promise<string | undefined> {
  for (const path of listAuthFiles(places)) {
    const file = readAuthFile(path);
    if (file === undefined) continue;
    const helper = findHelper(file, host);
    const found = helper === undefined ? undefined : await getFromHelper(helper, hostKey(host), { env: places.env });
    const entry = findAuthEntry(file, host, "");
    const credentials = found ?? (entry === undefined ? undefined : entryCredentials(entry));
    if (credentials !== undefined && credentials.kind !== "bearer" && credentials.username !== "") {
      return credentials.username;
    }
  }
  return undefined;
}

/**
 * Parses the argument of `login` and `logout`: a registry, with or without scheme and path as old habits have it; Docker's when absent.
 * @throws {DugoutError} REFERENCE_INVALID.
 */
export function parseServer(text: string | undefined): string {
  const host = (text ?? "docker.io").replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  if (!isDomain(host)) {
    throw new DugoutError("REFERENCE_INVALID", `Cannot use ${quote(text ?? "")} as a registry: not "host[:port]"`);
  }
  return host === "index.docker.io" || host === "registry-1.docker.io" ? "docker.io" : host;
}
