import * as v from "valibot";
import { parseJson } from "#oci/json.ts";
import { DEFAULT_DOMAIN } from "#oci/reference.ts";
import { mapSchema, optional, parseSchema } from "#oci/schema.ts";
import type { Credentials } from "./credentials.ts";

/** Where Docker keeps the credentials of its own registry, for historical reasons. */
export const DOCKER_HUB_KEY = "https://index.docker.io/v1/";
const DOCKER_HUB_NAMES: readonly string[] = [DEFAULT_DOMAIN, "index.docker.io", "registry-1.docker.io"];

export const AUTH_FILE_BYTES_MAX = 1024 * 1024;
const ENTRIES_MAX = 10_000;

const entrySchema = v.object({
  auth: optional(v.string()),
  username: optional(v.string()),
  password: optional(v.string()),
  identitytoken: optional(v.string()),
  registrytoken: optional(v.string()),
});
export type AuthEntry = v.InferOutput<typeof entrySchema>;

const fileSchema = v.object({
  auths: optional(mapSchema(entrySchema, ENTRIES_MAX)),
  credHelpers: optional(mapSchema(v.string(), ENTRIES_MAX)),
  credsStore: optional(v.string()),
});

/** What of `~/.docker/config.json`, or of podman's `auth.json`, is about credentials. */
export type AuthFile = v.InferOutput<typeof fileSchema>;

/**
 * @throws {DugoutError} AUTH_FILE_INVALID, JSON_….
 */
export function parseAuthFile(bytes: Uint8Array, what: string): AuthFile {
  if (bytes.length === 0) return {};
  return parseSchema(fileSchema, parseJson(bytes, what, { maxBytes: AUTH_FILE_BYTES_MAX }), what, "AUTH_FILE_INVALID");
}

/**
 * The place that a key of `auths` stands for: Docker's old keys are addresses (`https://h/v1/`), podman's may have a path.
 */
function placeOfKey(key: string): string {
  const address = /^https?:\/\/([^/]*)/.exec(key);
  if (address !== null) return address[1] ?? "";
  return key.replace(/\/(?:v1|v2)?\/?$/, "");
}

/** The names under which the credentials of a registry may be kept; compared whole, never by a part. */
export function hostNames(host: string): readonly string[] {
  return DOCKER_HUB_NAMES.includes(host) ? DOCKER_HUB_NAMES : [host];
}

/** The key that is written and that helpers are asked for. */
export function hostKey(host: string): string {
  return DOCKER_HUB_NAMES.includes(host) ? DOCKER_HUB_KEY : host;
}

/**
 * Finds the entry of a repository: the one with the longest path, as containers-auth.json(5) says, else the registry's.
 */
export function findAuthEntry(file: AuthFile, host: string, repository: string): AuthEntry | undefined {
  if (file.auths === undefined) return undefined;
  const parts = repository === "" ? [] : repository.split("/");
  for (let length = parts.length; length >= 0; length--) {
    const path = parts.slice(0, length).map((part) => `/${part}`).join("");
    const places = hostNames(host).map((name) => name + path);
    for (const [key, entry] of file.auths) {
      if (places.includes(placeOfKey(key)) && entryCredentials(entry) !== undefined) return entry;
    }
  }
  return undefined;
}

/** The helper for a registry: `credHelpers` before `credsStore` (C-043). */
export function findHelper(file: AuthFile, host: string): string | undefined {
  for (const name of [hostKey(host), ...hostNames(host)]) {
    const helper = file.credHelpers?.get(name);
    if (helper !== undefined) return helper;
  }
  return file.credsStore === undefined || file.credsStore === "" ? undefined : file.credsStore;
}

/** What an entry says; undefined when it is empty, as helpers leave them. */
export function entryCredentials(entry: AuthEntry): Credentials | undefined {
  if (entry.registrytoken !== undefined && entry.registrytoken !== "") {
    return { kind: "bearer", token: entry.registrytoken };
  }
  let username = entry.username ?? "";
  let password = entry.password ?? "";
  if (entry.auth !== undefined && entry.auth !== "") {
    // Docker pads with NUL in some versions
    const decoded = Buffer.from(entry.auth, "base64").toString("utf8").replace(/\0+$/, "");
    const colon = decoded.indexOf(":");
    if (colon >= 0) [username, password] = [decoded.slice(0, colon), decoded.slice(colon + 1)];
  }
  if (entry.identitytoken !== undefined && entry.identitytoken !== "") {
    return { kind: "identity", username, identityToken: entry.identitytoken };
  }
  return username === "" && password === "" ? undefined : { kind: "password", username, password };
}

/** The entry to write for credentials. */
export function encodeAuthEntry(credentials: Credentials): AuthEntry {
  switch (credentials.kind) {
    case "password":
      return { auth: Buffer.from(`${credentials.username}:${credentials.password}`, "utf8").toString("base64") };
    case "identity":
      return {
        auth: Buffer.from(`${credentials.username}:`, "utf8").toString("base64"),
        identitytoken: credentials.identityToken,
      };
    case "bearer":
      return { registrytoken: credentials.token };
    default:
      throw new Error(`Unknown credentials ${credentials satisfies never}`);
  }
}

/** Whether a key of `auths` is one of the registry's own, in any of the old spellings, for `logout`. */
export function isKeyOf(key: string, host: string): boolean {
  return hostNames(host).includes(placeOfKey(key));
}
