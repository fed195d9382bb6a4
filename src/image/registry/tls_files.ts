import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { hasCode } from "./error.ts";
import type { TlsFiles } from "./open_socket.ts";
import type { Environment } from "./proxy.ts";

/** Where the authorities of this machine and the user's certificates are. */
export interface TlsPlaces {
  env: Environment;
  home: string;
  /** Directories with a folder `host:port` for each registry, as in containers-certs.d(5). */
  certsDirs?: readonly string[];
}

/** The bundles of authorities of the distributions, as OpenSSL and Go know them. */
const SYSTEM_BUNDLES: readonly string[] = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

const PEM_BYTES_MAX = 16 * 1024 * 1024;

function readPem(path: string): string | undefined {
  try {
    const text = readFileSync(path, "utf8");
    return text.length > PEM_BYTES_MAX || !text.includes("-----BEGIN") ? undefined : text;
  } catch {
    return undefined;
  }
}

/** The authorities that this machine trusts: SSL_CERT_FILE, else the system's bundle; undefined leaves those of the runtime. */
export function readSystemAuthorities(env: Environment): string | undefined {
  const named = env["SSL_CERT_FILE"];
  if (named !== undefined && named !== "") {
    const text = readPem(named);
    if (text === undefined) {
      throw new DugoutError(
        "CERTIFICATES_INVALID",
        `Cannot use ${quote(named)} of SSL_CERT_FILE: not a file with certificates in PEM`,
      );
    }
    return text;
  }
  for (const path of SYSTEM_BUNDLES) {
    const text = readPem(path);
    if (text !== undefined) return text;
  }
  return undefined;
}

function listNames(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR", "EACCES")) return [];
    throw error;
  }
}

/** The directories in which a registry can have certificates of its own; the user's come first. */
export function certsDirs(places: TlsPlaces): readonly string[] {
  if (places.certsDirs !== undefined) return places.certsDirs;
  const config = places.env["XDG_CONFIG_HOME"] || join(places.home, ".config");
  return [join(config, "containers", "certs.d"), "/etc/containers/certs.d", "/etc/docker/certs.d"];
}

/**
 * Makes the function that reads, for a host, the authorities (`*.crt` beside the system's) and the client's certificate (`*.cert` with its
 * `*.key`). Each host's are read once.
 */
export function createTlsFilesFinder(places: TlsPlaces): (url: URL) => TlsFiles {
  const known = new Map<string, TlsFiles>();
  let system: { pem: string | undefined } | undefined;
  return (url) => {
    const found = known.get(url.host);
    if (found !== undefined) return found;
    system ??= { pem: readSystemAuthorities(places.env) };
    const files: TlsFiles = {};
    const own: string[] = [];
    for (const directory of certsDirs(places)) {
      const folder = join(directory, url.host);
      for (const name of listNames(folder)) {
        const pem = readPem(join(folder, name));
        if (pem === undefined) continue;
        if (name.endsWith(".crt")) own.push(pem);
        if (!name.endsWith(".cert") || files.certificate !== undefined) continue;
        const key = readPem(join(folder, name.replace(/\.cert$/, ".key")));
        if (key !== undefined) Object.assign(files, { certificate: pem, key });
      }
      // the first directory that has a folder for the host speaks for it
      if (own.length > 0 || files.certificate !== undefined) break;
    }
    if (own.length > 0 || system.pem !== undefined) {
      files.authorities = [...(system.pem === undefined ? [] : [system.pem]), ...own];
    }
    known.set(url.host, files);
    return files;
  };
}
