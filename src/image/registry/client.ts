import { answerError } from "./answer_error.ts";
import { Authorizer, type Scope } from "./authorizer.ts";
import type { CredentialsFinder } from "./credentials.ts";
import { apiHost, type Endpoint } from "./endpoint.ts";
import { hasCode, RegistryError } from "./error.ts";
import type { TlsFiles } from "./open_socket.ts";
import type { Environment } from "./proxy.ts";
import { sendFollowing, type TlsPolicy } from "./redirect.ts";
import { parseRetryAfter, planDelayMs, REAL_CLOCK, RETRY, type RetryClock } from "./retry.ts";
import type { TricklePolicy } from "./socket_reader.ts";
import type { StreamedBody } from "./stream_body.ts";
import { discardBody, type HttpRequest, type HttpResponse, Transport } from "./transport.ts";
import { isLoopbackHost, isSameOrigin, showUrl } from "./url_gate.ts";

/** What a client knows of the user and the machine; all of it values, so that a test can be any machine. */
export interface RegistryClientOptions {
  env: Environment;
  findCredentials: CredentialsFinder;
  tlsFiles?: (url: URL) => TlsFiles | Promise<TlsFiles>;
  trustedRealms?: (host: string) => readonly string[];
  /** Lines that the user should see: waits, realms that get no credentials. */
  notice?: (line: string) => void;
  clock?: RetryClock;
  trickle?: TricklePolicy;
  connectTimeoutMs?: number;
  /** Attempts at a request that fails for a passing reason. */
  attempts?: number;
  resolveHost?: (hostname: string) => string;
  userAgent?: string;
}

/** A request to a registry, or to an address that it gave. */
export interface RegistryRequest {
  endpoint: Endpoint;
  method: string;
  /** Below the registry's base, such as `/v2/library/debian/manifests/12`; already percent-encoded. */
  path: string;
  /**
   * In place of `path`: an address that the registry gave for an upload, past the gate. At another origin it gets no Authorization.
   */
  location?: URL | undefined;
  scope: Scope;
  /** What is tried, for messages, as in `Cannot get the manifest of "x"`. */
  action: string;
  headers?: readonly (readonly [string, string])[];
  body?: Uint8Array | StreamedBody;
  /** The statuses that are answers; any other is an error. 200 alone when absent. */
  accepts?: readonly number[];
  signal?: AbortSignal | undefined;
}

/**
 * Talks to registries (OCI distribution-spec): finds out how a registry is to be reached, authorizes, follows redirects, repeats what failed for
 * a passing reason. Holds connections and tokens; `close` it.
 */
export class RegistryClient {
  readonly clock: RetryClock;
  readonly notice: (line: string) => void;
  readonly attempts: number;
  readonly authorizer: Authorizer;
  readonly userAgent: string;
  readonly #transport: Transport;
  readonly #bases = new Map<string, Promise<URL>>();

  constructor(options: RegistryClientOptions) {
    this.clock = options.clock ?? REAL_CLOCK;
    this.notice = options.notice ?? (() => {});
    this.attempts = options.attempts ?? RETRY.attempts;
    this.userAgent = options.userAgent ?? "dugout";
    this.#transport = new Transport({
      env: options.env,
      tlsFiles: options.tlsFiles ?? (() => ({})),
      now: this.clock.now,
      ...(options.trickle === undefined ? {} : { trickle: options.trickle }),
      ...(options.connectTimeoutMs === undefined ? {} : { connectTimeoutMs: options.connectTimeoutMs }),
      ...(options.resolveHost === undefined ? {} : { resolveHost: options.resolveHost }),
    });
    this.authorizer = new Authorizer({
      findCredentials: options.findCredentials,
      trustedRealms: options.trustedRealms ?? (() => []),
      send: (request, endpoint) => this.sendOnce(request, endpoint),
      now: this.clock.now,
      notice: this.notice,
    });
  }

  close(): void {
    this.#transport.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Sends a request, authorized, and gives its answer to `consume`, which reads the body; both are repeated together.
   * @throws {RegistryError}
   */
  async request<T>(request: RegistryRequest, consume: (response: HttpResponse) => Promise<T>): Promise<T> {
    for (let failures = 1;; failures++) {
      try {
        return await consume(await this.attempt(request));
      } catch (error) {
        await this.waitToRetry(error, failures, request);
      }
    }
  }

  /**
   * Waits before another attempt, or throws the error again when there is none to make.
   * @param failures How many attempts have failed in a row, from 1.
   */
  async waitToRetry(
    error: unknown,
    failures: number,
    request: Pick<RegistryRequest, "endpoint" | "signal">,
  ): Promise<void> {
    if (!(error instanceof RegistryError) || !error.isTransient || failures >= this.attempts) throw error;
    // where nothing listens, or another endpoint is left to ask, a short patience is enough
    if ((request.endpoint.isMirror || hasCode(error.cause, "ECONNREFUSED")) && failures >= 3) throw error;
    const delayMs = planDelayMs(
      failures,
      error instanceof BusyError ? error.retryAfterMs : undefined,
      this.clock.random,
    );
    if (delayMs >= 2000) this.notice(`${error.message}: trying again in ${Math.round(delayMs / 1000)} s`);
    await this.clock.sleep(delayMs, request.signal);
  }

  /** One attempt: authorized, redirects followed, a 401 answered once with a new token (C-038). */
  async attempt(request: RegistryRequest): Promise<HttpResponse> {
    const { endpoint, scope, signal } = request;
    const base = await this.baseUrl(endpoint, signal);
    const url = request.location ?? new URL(request.path, base);
    const isOwn = isSameOrigin(url, base);
    let authorization = isOwn ? await this.authorizer.authorize(endpoint, base, scope, signal) : undefined;
    for (let round = 0;; round++) {
      const headers: [string, string][] = [["User-Agent", this.userAgent]];
      for (const [name, value] of request.headers ?? []) headers.push([name, value]);
      if (authorization !== undefined) headers.push(["Authorization", authorization]);
      const { method, body } = request;
      const response = await this.sendOnce(
        { method, url, headers, signal, ...(body === undefined ? {} : { body }) },
        endpoint,
      );
      if ((request.accepts ?? [200]).includes(response.status)) return response;
      if (response.status === 401 && round === 0 && response.url.origin === base.origin) {
        const next = await this.authorizer.answerChallenge(endpoint, base, response, scope, authorization, signal);
        if (next !== undefined) {
          await discardBody(response);
          authorization = next;
          continue;
        }
      }
      const retryAfterMs = parseRetryAfter(response.headers, this.clock.now());
      const error = await answerError(response, method, request.action, endpoint);
      throw retryAfterMs === undefined ? error : new BusyError(error, retryAfterMs);
    }
  }

  /** Sends one request and follows its redirects, under the TLS policy of the endpoint for whose sake it is sent. */
  async sendOnce(request: HttpRequest, endpoint: Endpoint): Promise<HttpResponse> {
    const policy = planTlsPolicy(endpoint);
    if (request.url.protocol === "http:" && !policy.allowsPlain(request.url)) {
      throw new RegistryError(
        "TLS_REQUIRED",
        `Cannot ${request.method} ${showUrl(request.url)}: plain http is not allowed there by the configuration`,
        {
          hint: `If it is meant, write "insecure = true" for "${request.url.host}" into registries.conf`,
        },
      );
    }
    return await this.sendUnder(policy, request);
  }

  /** Sends one request and follows its redirects, as far as a policy allows them. */
  sendUnder(policy: TlsPolicy, request: HttpRequest): Promise<HttpResponse> {
    return sendFollowing((single) => this.#transport.send(single), request, policy);
  }

  /**
   * The base address of a registry. https, except where plain HTTP is allowed: a host of the loopback is asked by http first and by https if it
   * doesn't answer that; a host that the configuration calls insecure is asked by https first.
   */
  baseUrl(endpoint: Endpoint, signal?: AbortSignal): Promise<URL> {
    const host = apiHost(endpoint.host);
    const secure = new URL(`https://${host}/`);
    if (!endpoint.isInsecure && !isLoopbackHost(secure.hostname)) return Promise.resolve(secure);
    const key = `${host} ${endpoint.isInsecure}`;
    const known = this.#bases.get(key);
    if (known !== undefined) return known;
    const found = this.#probe(endpoint, secure, new URL(`http://${host}/`), signal);
    this.#bases.set(key, found);
    found.catch(() => this.#bases.delete(key));
    return found;
  }

  async #probe(endpoint: Endpoint, secure: URL, plain: URL, signal: AbortSignal | undefined): Promise<URL> {
    const order = isLoopbackHost(secure.hostname) ? [plain, secure] : [secure, plain];
    let fallback: URL | undefined;
    let failure: unknown;
    for (const base of order) {
      try {
        const url = new URL("/v2/", base);
        const response = await this.#transport.send({
          method: "GET",
          url,
          headers: [["User-Agent", this.userAgent]],
          verifyTls: !endpoint.isInsecure,
          signal,
        });
        await discardBody(response);
        // servers with TLS answer 400 to plain HTTP
        if (base === secure || response.status !== 400) return base;
        fallback = base;
      } catch (error) {
        if (hasCode(error, "ABORTED")) throw error;
        // a certificate that is refused ends it: no attempt without TLS follows
        if (base === secure && hasCode(error, "TLS_FAILED")) throw error;
        // what the first try met says more, unless it only met a server that wants TLS
        if (failure === undefined || hasCode(failure, "RESPONSE_INVALID")) failure = error;
      }
    }
    if (fallback !== undefined) return fallback;
    throw failure;
  }
}

/** An answer that came with Retry-After. */
class BusyError extends RegistryError {
  readonly retryAfterMs: number;

  constructor(error: RegistryError, retryAfterMs: number) {
    const { status, method, url, hint, isTransient } = error;
    super(error.code, error.message, { status, method, url, hint, isTransient });
    this.retryAfterMs = retryAfterMs;
  }
}

/** What TLS means for the requests of an endpoint: the leniency for its host is inherited by no other. */
export function planTlsPolicy(endpoint: Endpoint): TlsPolicy {
  const { hostname } = new URL(`https://${apiHost(endpoint.host)}/`);
  const isLenient = (url: URL) => endpoint.isInsecure && url.hostname === hostname;
  return {
    allowsPlain: (url) => isLoopbackHost(url.hostname) || isLenient(url),
    verifiesTls: (url) => !isLenient(url),
  };
}
