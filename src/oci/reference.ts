import { type Digest, parseDigest } from "./digest.ts";
import { DugoutError } from "./error.ts";
import { quote } from "./text.ts";

/**
 * The full name of an image: `domain/path`, and a tag, a digest, or both. `domain` holds the port, as in `127.0.0.1:5000`.
 * Where the user gave neither tag nor digest, the tag is "latest".
 */
export interface Reference {
  domain: string;
  path: string;
  tag?: string;
  digest?: Digest;
}

/** A reference as it was typed: `domain` is absent for a short name such as `debian` or `library/debian`. */
export interface TypedReference {
  domain?: string;
  path: string;
  tag?: string;
  digest?: Digest;
}

/** Docker's home: the domain of names that have none, and the folder of names that have no folder. */
export const DEFAULT_DOMAIN = "docker.io";
const DEFAULT_FOLDER = "library";
const DEFAULT_TAG = "latest";

/** The most characters of domain and path together (distribution's `reference` package). */
const NAME_LENGTH_MAX = 255;
const TAG_LENGTH_MAX = 128;
/** A name, a tag, and a sha512 digest; anything longer is refused before it is looked at. */
const REFERENCE_LENGTH_MAX = NAME_LENGTH_MAX + 1 + TAG_LENGTH_MAX + 1 + 7 + 128;

function isLower(code: number): boolean {
  return code >= 0x61 && code <= 0x7a;
}
function isUpper(code: number): boolean {
  return code >= 0x41 && code <= 0x5a;
}
function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** One part of a path: runs of lower-case letters and digits, joined by one `.`, one or two `_`, or any number of `-`. */
function isPathComponent(text: string): boolean {
  let at = 0;
  let needsWord = true;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (isLower(code) || isDigit(code)) {
      needsWord = false;
      at++;
      continue;
    }
    if (needsWord) return false;
    if (code === 0x2e) at++;
    else if (code === 0x5f) at += text.charCodeAt(at + 1) === 0x5f ? 2 : 1;
    else if (code === 0x2d) { while (text.charCodeAt(at) === 0x2d) at++; }
    else return false;
    needsWord = true;
  }
  return !needsWord;
}

function isHostComponent(text: string): boolean {
  if (text === "") return false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (isLower(code) || isUpper(code) || isDigit(code)) continue;
    if (code !== 0x2d || at === 0 || at === text.length - 1) return false;
  }
  return true;
}

/** `[` hex digits and colons `]`; the exact form of the address is the resolver's business. */
function isBracketedIpv6(text: string): boolean {
  if (text.length < 4 || text[0] !== "[" || text[text.length - 1] !== "]") return false;
  for (let at = 1; at < text.length - 1; at++) {
    const code = text.charCodeAt(at);
    if (!isDigit(code) && code !== 0x3a && !(code >= 0x61 && code <= 0x66) && !(code >= 0x41 && code <= 0x46)) {
      return false;
    }
  }
  return true;
}

/** Tells whether `text` is a host name or address, with or without a port, as it may stand before the first slash of a reference. */
export function isDomain(text: string): boolean {
  let host = text;
  const colon = text.lastIndexOf(":");
  if (colon > text.lastIndexOf("]")) {
    const port = text.slice(colon + 1);
    if (port === "" || port.length > 5) return false;
    for (let at = 0; at < port.length; at++) if (!isDigit(port.charCodeAt(at))) return false;
    if (Number(port) > 65535 || Number(port) === 0) return false;
    host = text.slice(0, colon);
  }
  return host.startsWith("[") ? isBracketedIpv6(host) : host.split(".").every(isHostComponent);
}

function isTag(text: string): boolean {
  if (text === "" || text.length > TAG_LENGTH_MAX) return false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (isLower(code) || isUpper(code) || isDigit(code) || code === 0x5f) continue;
    if (at === 0 || (code !== 0x2e && code !== 0x2d)) return false;
  }
  return true;
}

function refuse(text: string, why: string, hint?: string): never {
  throw new DugoutError("REFERENCE_INVALID", `Cannot use ${quote(text)} as an image name: ${why}`, { hint });
}

/** Whether the part before the first slash is a host: it has a dot or a colon, is `localhost`, or is not all lower case. */
function looksLikeDomain(first: string): boolean {
  return first.includes(".") || first.includes(":") || first === "localhost" || first !== first.toLowerCase();
}

/**
 * Parses an image name as it was typed, without filling in what is missing; what short names mean is for `registries.conf` to say.
 * The grammar is the one of Docker (distribution's `reference` package). The time is linear in the length.
 * @throws {DugoutError} REFERENCE_INVALID; DIGEST_… when the part after `@` is no digest.
 */
export function parseTypedReference(text: string): TypedReference {
  if (text === "") refuse(text, "it is empty");
  if (text.length > REFERENCE_LENGTH_MAX) {
    refuse(text, `it has ${text.length} characters, more than ${REFERENCE_LENGTH_MAX}`);
  }
  const scheme = text.indexOf("://");
  if (scheme > 0) {
    // C-044: otherwise "http" would be read as a repository and the rest as its tag.
    refuse(
      text,
      "it begins with a scheme",
      `Leave out ${quote(text.slice(0, scheme + 3))}: write ${quote(text.slice(scheme + 3))}`,
    );
  }
  let rest = text;
  let digest: Digest | undefined;
  const at = rest.indexOf("@");
  if (at >= 0) {
    digest = parseDigest(rest.slice(at + 1));
    rest = rest.slice(0, at);
  }
  let tag: string | undefined;
  const colon = rest.lastIndexOf(":");
  if (colon > rest.lastIndexOf("/")) {
    tag = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
    if (!isTag(tag)) {
      refuse(text, `the tag ${quote(tag)} is not up to ${TAG_LENGTH_MAX} letters, digits, "_", "." and "-"`);
    }
  }
  const slash = rest.indexOf("/");
  const first = slash < 0 ? "" : rest.slice(0, slash);
  const hasDomain = slash > 0 && looksLikeDomain(first);
  const path = hasDomain ? rest.slice(slash + 1) : rest;
  if (hasDomain && !isDomain(first)) refuse(text, `${quote(first)} is not a host with an optional port`);
  if (rest.length > NAME_LENGTH_MAX) {
    refuse(text, `the name without tag and digest has more than ${NAME_LENGTH_MAX} characters`);
  }
  for (const component of path.split("/")) {
    if (isPathComponent(component)) continue;
    if (component === "") refuse(text, "a part of the path is empty");
    if (component !== component.toLowerCase()) refuse(text, "the repository must be lower case");
    refuse(text, `${quote(component)} is not lower-case letters and digits, joined by ".", "_", "__" or "-"`);
  }
  if (!hasDomain && slash < 0 && isHex64(path)) {
    refuse(text, "64 hex digits are an image id, not a name");
  }
  return {
    ...(hasDomain ? { domain: first === "index.docker.io" ? DEFAULT_DOMAIN : first } : {}),
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

function isHex64(text: string): boolean {
  if (text.length !== 64) return false;
  for (let at = 0; at < 64; at++) {
    const code = text.charCodeAt(at);
    if (!isDigit(code) && !(code >= 0x61 && code <= 0x66)) return false;
  }
  return true;
}

/** Fills in what a typed name leaves out, as Docker does: `docker.io`, `library/`, and `latest` where there is neither tag nor digest. */
export function completeReference(typed: TypedReference): Reference {
  const domain = typed.domain ?? DEFAULT_DOMAIN;
  const path = domain === DEFAULT_DOMAIN && !typed.path.includes("/") ? `${DEFAULT_FOLDER}/${typed.path}` : typed.path;
  const tag = typed.tag ?? (typed.digest === undefined ? DEFAULT_TAG : undefined);
  return {
    domain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(typed.digest === undefined ? {} : { digest: typed.digest }),
  };
}

/**
 * Parses an image name and fills in Docker's defaults: `debian` is `docker.io/library/debian:latest`.
 * @throws {DugoutError} REFERENCE_INVALID, DIGEST_INVALID, DIGEST_UNSUPPORTED.
 */
export function parseReference(text: string): Reference {
  return completeReference(parseTypedReference(text));
}

/** `domain/path`, without tag and digest: the name of the repository. */
export function repositoryName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** The name in full, as it is stored: `docker.io/library/debian:latest`. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  const digest = reference.digest === undefined ? "" : `@${reference.digest}`;
  return `${repositoryName(reference)}${tag}${digest}`;
}

/** The repository as Docker shows it: without `docker.io/library/` and `docker.io/`. */
export function familiarRepository(reference: Reference): string {
  if (reference.domain !== DEFAULT_DOMAIN) return repositoryName(reference);
  const prefix = `${DEFAULT_FOLDER}/`;
  const isOfficial = reference.path.startsWith(prefix) && !reference.path.slice(prefix.length).includes("/");
  return isOfficial ? reference.path.slice(prefix.length) : reference.path;
}

/** The name as Docker shows it: `debian:latest`. */
export function familiarReference(reference: Reference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  const digest = reference.digest === undefined ? "" : `@${reference.digest}`;
  return `${familiarRepository(reference)}${tag}${digest}`;
}
