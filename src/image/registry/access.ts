import type { TypedReference } from "#oci/reference.ts";
import { formatReference, parseTypedReference, type Reference } from "#oci/reference.ts";
import { RegistryClient, type RegistryClientOptions } from "./client.ts";
import type { Endpoint } from "./endpoint.ts";
import { createCredentialsFinder, type CredentialPlaces, type GivenCredentials } from "./find_credentials.ts";
import { loadRegistriesConf } from "./load_registries_conf.ts";
import { loadOwnConf, type OwnConf } from "./own_conf.ts";
import { expandName, findRule, planEndpoints } from "./plan_endpoints.ts";
import type { Environment } from "./proxy.ts";
import type { RegistriesConf } from "./registries_conf.ts";
import { createTlsFilesFinder } from "./tls_files.ts";

/** Where a user's settings about registries are. */
export interface RegistryPlaces {
  env: Environment;
  /** `$HOME`. */
  home: string;
  /** `--config DIR`. */
  configDir?: string | undefined;
  /** In place of `/etc/containers`. */
  systemDir?: string;
}

/** What a command says about registries. */
export interface RegistryAccessOptions {
  /** `--tls-verify=false`. */
  tlsVerify?: boolean | undefined;
  /** Credentials for one registry, in place of those of the files, as from the API's X-Registry-Auth. */
  credentials?: GivenCredentials | undefined;
  /** Lines that the user should see. */
  notice?: ((line: string) => void) | undefined;
  /** For tests: clock, timeouts, names. */
  client?: Partial<RegistryClientOptions> | undefined;
}

/** The settings, read once, and the client that works by them. Close it when done. */
export interface RegistryAccess {
  conf: RegistriesConf;
  own: OwnConf;
  client: RegistryClient;
  places: CredentialPlaces;
  /** What a typed name may mean, in the order in which to try. */
  expand: (name: string | TypedReference) => Reference[];
  /** Where an image is asked for, in order. */
  endpoints: (reference: Reference) => Endpoint[];
  /** Whether the configuration allows a registry to be without TLS. */
  isInsecure: (host: string) => boolean;
  close: () => void;
  [Symbol.dispose]: () => void;
}

/**
 * Reads this user's settings about registries and makes a client. One for pull, push, build, login and search: one policy (C-044).
 * @throws {DugoutError} REGISTRIES_CONF_INVALID, REGISTRY_CONF_INVALID.
 */
export async function openRegistryAccess(
  places: RegistryPlaces,
  options: RegistryAccessOptions = {},
): Promise<RegistryAccess> {
  const { env, home } = places;
  const [conf, own] = await Promise.all([
    loadRegistriesConf({ env, home, ...(places.systemDir === undefined ? {} : { systemDir: places.systemDir }) }),
    loadOwnConf({ env, home }),
  ]);
  const credentialPlaces: CredentialPlaces = {
    env,
    home,
    configDir: places.configDir,
    helpers: conf.credentialHelpers,
  };
  const client = new RegistryClient({
    env,
    findCredentials: createCredentialsFinder(credentialPlaces, options.credentials),
    tlsFiles: createTlsFilesFinder({ env, home }),
    trustedRealms: (host) => own.trustedRealms.get(host) ?? [],
    ...(options.notice === undefined ? {} : { notice: options.notice }),
    ...options.client,
  });
  const tlsOptions = options.tlsVerify === undefined ? {} : { tlsVerify: options.tlsVerify };
  return {
    conf,
    own,
    client,
    places: credentialPlaces,
    expand: (name) => expandName(conf, typeof name === "string" ? parseTypedReference(name) : name),
    endpoints: (reference) => planEndpoints(conf, reference, tlsOptions),
    isInsecure: (host) => options.tlsVerify === false || (findRule(conf, host)?.rule.isInsecure ?? false),
    close: () => client.close(),
    [Symbol.dispose]: () => client.close(),
  };
}

/** The endpoint of a bare registry, for `login` and `search`. */
export function hostEndpoint(access: Pick<RegistryAccess, "isInsecure">, host: string): Endpoint {
  return { host, repository: "", isInsecure: access.isInsecure(host), isMirror: false };
}

/** The name in full, for messages. */
export function showReference(reference: Reference): string {
  return `"${formatReference(reference)}"`;
}
