import { DugoutError } from "#oci/error.ts";
import {
  completeReference,
  DEFAULT_DOMAIN,
  formatReference,
  parseReference,
  type Reference,
  type TypedReference,
} from "#oci/reference.ts";
import { quote } from "#oci/text.ts";
import type { Endpoint } from "./endpoint.ts";
import { RegistryError } from "./error.ts";
import type { RegistriesConf, RegistryRule } from "./registries_conf.ts";

/**
 * How many characters of a name a prefix covers: it must be followed by `/`, `:` or `@`, or be all of it; `*.host` covers a host below.
 * @returns 0 when it does not match.
 */
export function matchPrefix(name: string, prefix: string): number {
  let end: number;
  if (prefix.startsWith("*.")) {
    const suffix = prefix.slice(1);
    const slash = name.indexOf("/");
    const host = (slash < 0 ? name : name.slice(0, slash)).replace(/:[0-9]+$/, "");
    end = host.length;
    if (!host.endsWith(suffix) || host.length === suffix.length) return 0;
  } else {
    if (!name.startsWith(prefix)) return 0;
    end = prefix.length;
  }
  const next = name[end];
  return next === undefined || next === "/" || next === ":" || next === "@" ? end : 0;
}

/** The rule with the longest prefix that the name begins with. */
export function findRule(conf: RegistriesConf, name: string): { rule: RegistryRule; covered: number } | undefined {
  let best: { rule: RegistryRule; covered: number } | undefined;
  for (const rule of conf.rules.values()) {
    const covered = matchPrefix(name, rule.prefix);
    if (covered > 0 && (best === undefined || rule.prefix.length > best.rule.prefix.length)) best = { rule, covered };
  }
  return best;
}

/** Puts the location in the place of the covered part. `docker.io/x` becomes `docker.io/library/x` there too. */
function relocate(
  reference: Reference,
  name: string,
  covered: number,
  location: string,
): { host: string; repository: string } {
  const rewritten = location + name.slice(covered);
  const slash = rewritten.indexOf("/");
  if (slash < 0) {
    throw new DugoutError(
      "REFERENCE_INVALID",
      `Cannot use ${quote(rewritten)} in place of ${quote(name)}: it names no repository`,
    );
  }
  const host = rewritten.slice(0, slash);
  const rest = host === DEFAULT_DOMAIN ? parseReference(rewritten).path : rewritten.slice(slash + 1);
  // the tag and the digest stay those that were asked for
  const tail = rest.search(/[:@]/);
  const repository = tail < 0 ? rest : rest.slice(0, tail);
  // checked as a name once more, since it goes into a URL
  const { path } = completeReference({ ...reference, domain: "checked.invalid", path: repository });
  return { host, repository: parseReference(`checked.invalid/${path}`).path };
}

/** What a command says beside the configuration. */
export interface EndpointOptions {
  /** `--tls-verify=false`: the registry of the name may be without TLS; its mirrors are the configuration's business. */
  tlsVerify?: boolean;
}

/**
 * Plans where an image is asked for, in order: the mirrors that are configured for it, then its own place (A-022: nowhere else).
 * @throws {RegistryError} BLOCKED, naming the file.
 */
export function planEndpoints(conf: RegistriesConf, reference: Reference, options: EndpointOptions = {}): Endpoint[] {
  const name = formatReference(reference);
  const isLenient = options.tlsVerify === false;
  const found = findRule(conf, name);
  const own: Endpoint = { host: reference.domain, repository: reference.path, isInsecure: isLenient, isMirror: false };
  if (found === undefined) return [own];
  const { rule, covered } = found;
  if (rule.isBlocked) {
    throw new RegistryError(
      "BLOCKED",
      `Cannot use ${quote(name)}: ${quote(rule.prefix)} is blocked by ${quote(rule.file)}`,
      {
        hint: "Whoever keeps that file does not want images from there",
      },
    );
  }
  const isDigest = reference.digest !== undefined;
  const mirrors = rule.mirrors
    .filter(({ pulls }) => pulls === "all" || (pulls === "digest-only") === isDigest)
    .map(({ location, isInsecure }) => ({
      ...relocate(reference, name, covered, location),
      isInsecure,
      isMirror: true,
    }));
  const primary = rule.location === undefined
    ? own
    : { ...relocate(reference, name, covered, rule.location), isMirror: false };
  return [...mirrors, { ...primary, isInsecure: rule.isInsecure || isLenient }];
}

/**
 * Says which images a name may mean, in the order in which they are tried. A name with a domain means itself; a short one what an alias
 * says, else the same name at each search registry, else (with nothing configured) Docker's.
 * @throws {DugoutError} SHORT_NAME_AMBIGUOUS when the configuration demands one meaning and there are several.
 */
export function expandName(conf: RegistriesConf, typed: TypedReference): Reference[] {
  if (typed.domain !== undefined) return [completeReference(typed)];
  const { tag, digest } = typed;
  const at = (name: string): Reference => {
    const parsed = parseReference(name);
    return completeReference({
      domain: parsed.domain,
      path: parsed.path,
      ...(tag === undefined ? {} : { tag }),
      ...(digest === undefined ? {} : { digest }),
    });
  };
  const alias = conf.aliases.get(typed.path);
  if (alias !== undefined) return [at(alias)];
  const registries = conf.searchRegistries;
  if (registries === undefined || registries.length === 0) return [completeReference(typed)];
  if (conf.shortNameMode === "enforcing" && registries.length > 1) {
    const choices = registries.map((registry) => `${registry}/${typed.path}`).join(", ");
    throw new DugoutError(
      "SHORT_NAME_AMBIGUOUS",
      `Cannot tell which image ${quote(typed.path)} is: ${
        quote(conf.searchFile ?? "")
      } names several registries for short names`,
      {
        hint: `Write one of them in full: ${choices}`,
      },
    );
  }
  return registries.map((registry) => at(`${registry}/${typed.path}`));
}
