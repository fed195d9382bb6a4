import { LIMITS } from "#oci/limits.ts";
import { answerError } from "./answer_error.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import { basicAuthorization, type Credentials, type CredentialsFinder } from "./credentials.ts";
import type { Endpoint } from "./endpoint.ts";
import { RegistryError } from "./error.ts";
import { admitRealm } from "./realm.ts";
import { parseToken, planTokenRequest, type Token } from "./token.ts";
import { type HttpRequest, type HttpResponse, readBody } from "./transport.ts";

/** What an authorizer needs of the client that it serves. */
export interface AuthorizerOptions {
  findCredentials: CredentialsFinder;
  /** Hosts of token servers that may have the credentials of a registry, beyond those of its own site. */
  trustedRealms: (host: string) => readonly string[];
  /** Sends a request, following redirects, under the TLS policy of the endpoint. */
  send: (request: HttpRequest, endpoint: Endpoint) => Promise<HttpResponse>;
  now: () => number;
  /** Lines that the user should see. */
  notice: (line: string) => void;
}

/** What a request needs the right to: `repository:NAME:ACTIONS`, or nothing in particular. */
export type Scope = string | undefined;

/**
 * Knows how each registry wants to be asked and keeps the tokens. A registry is asked without credentials first; they are looked up only when
 * it demands them, and go where `admitRealm` allows.
 */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  /** By host: how it wants to be asked. */
  readonly #challenges = new Map<string, Challenge>();
  /** By host and scope. */
  readonly #tokens = new Map<string, Token>();
  readonly #pending = new Map<string, Promise<Token>>();
  readonly #told = new Set<string>();

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** The Authorization to send at once: a token that is still good, or what the registry is known to demand; else nothing. */
  async authorize(endpoint: Endpoint, base: URL, scope: Scope, signal?: AbortSignal): Promise<string | undefined> {
    const challenge = this.#challenges.get(endpoint.host);
    if (challenge === undefined) return undefined;
    return await this.#answer(endpoint, base, challenge, scope, undefined, signal);
  }

  /**
   * Answers a 401.
   * @param refused The Authorization that was sent with the refused request.
   * @returns What to repeat the request with; undefined when there is nothing else to try.
   */
  async answerChallenge(
    endpoint: Endpoint,
    base: URL,
    response: HttpResponse,
    scope: Scope,
    refused: string | undefined,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    const offered = (response.headers.get("www-authenticate") ?? []).flatMap(parseChallenges);
    const challenge = offered.find(({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm")) ??
      offered.find(({ scheme }) => scheme === "basic");
    if (challenge === undefined) return undefined;
    this.#challenges.set(endpoint.host, withoutScope(challenge));
    const answer = await this.#answer(endpoint, base, challenge, scope, refused, signal);
    return answer === refused ? undefined : answer;
  }

  async #answer(
    endpoint: Endpoint,
    base: URL,
    challenge: Challenge,
    scope: Scope,
    refused: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    if (challenge.scheme === "basic") {
      const credentials = await this.#options.findCredentials(endpoint.host, endpoint.repository);
      return credentials?.kind === "password"
        ? basicAuthorization(credentials.username, credentials.password)
        : undefined;
    }
    const key = `${endpoint.host} ${scope ?? ""}`;
    const known = this.#tokens.get(key);
    // several requests may be refused at once with the same old token: the first fetches a new one, the others use it
    if (known !== undefined && known.expiresAtMs > this.#options.now() && `Bearer ${known.value}` !== refused) {
      return `Bearer ${known.value}`;
    }
    const pending = this.#pending.get(key) ?? this.#fetchToken(endpoint, base, challenge, scope, signal)
      .then((token) => {
        this.#tokens.set(key, token);
        return token;
      })
      .finally(() => this.#pending.delete(key));
    this.#pending.set(key, pending);
    return `Bearer ${(await pending).value}`;
  }

  async #fetchToken(
    endpoint: Endpoint,
    base: URL,
    challenge: Challenge,
    scope: Scope,
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    const credentials = await this.#options.findCredentials(endpoint.host, endpoint.repository);
    if (credentials?.kind === "bearer") return { value: credentials.token, expiresAtMs: Infinity };
    return await this.requestToken(endpoint, base, challenge, scope, credentials, false, signal);
  }

  /**
   * Asks the token server of a challenge.
   * @throws {RegistryError} URL_REFUSED, UNAUTHORIZED and the other codes of answers; TOKEN_INVALID.
   */
  async requestToken(
    endpoint: Endpoint,
    base: URL,
    challenge: Challenge,
    scope: Scope,
    credentials: Credentials | undefined,
    wantsRefreshToken: boolean,
    signal?: AbortSignal,
  ): Promise<Token> {
    const realm = admitRealm(challenge.parameters.get("realm") ?? "", base, this.#options.trustedRealms(endpoint.host));
    if (!realm.isTrusted && credentials !== undefined) this.#tellOnce(endpoint, realm.url);
    const wanted = challenge.parameters.get("scope") || scope;
    const request = planTokenRequest({
      realm: realm.url,
      service: challenge.parameters.get("service"),
      scopes: wanted === undefined ? [] : wanted.split(" ").filter((part) => part !== ""),
      credentials: realm.isTrusted ? credentials : undefined,
      wantsRefreshToken,
    });
    const response = await this.#options.send({ ...request, signal }, endpoint);
    if (response.status !== 200) {
      throw await answerError(response, request.method, `Cannot get a token for registry "${endpoint.host}"`, endpoint);
    }
    const what = `the token for registry "${endpoint.host}"`;
    return parseToken(await readBody(response, LIMITS.tokenBytes, what), what, this.#options.now());
  }

  #tellOnce(endpoint: Endpoint, realm: URL): void {
    const key = `${endpoint.host} ${realm.host}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    this.#options.notice(
      `Registry "${endpoint.host}" wants its tokens from "${realm.host}", another site: asking there without your credentials ` +
        `(to allow it, add "${realm.host}" to trusted-realms of "${endpoint.host}" in dugout's registry.toml)`,
    );
  }

  /** The challenge that a registry made, for a login. */
  challengeOf(endpoint: Endpoint): Challenge | undefined {
    return this.#challenges.get(endpoint.host);
  }
}

/** The scope of a challenge is that of one request; the next one has its own. */
function withoutScope(challenge: Challenge): Challenge {
  return {
    scheme: challenge.scheme,
    parameters: new Map([...challenge.parameters].filter(([name]) => name !== "scope")),
  };
}

/** Whether an error says that a registry does not know who asks. */
export function isUnauthorized(error: unknown): boolean {
  return error instanceof RegistryError && (error.status === 401 || error.status === 403);
}
