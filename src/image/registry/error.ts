import { DugoutError, type DugoutErrorOptions } from "#oci/error.ts";

/** What a `RegistryError` knows of the request. */
export interface RegistryErrorOptions extends DugoutErrorOptions {
  /** The HTTP status, if there was an answer. */
  status?: number | undefined;
  method?: string | undefined;
  /** Without query, which may hold signatures (see `showUrl`). */
  url?: string | undefined;
  /** Whether the same request may work a little later: connection errors and 5xx do, what the registry decided does not. */
  isTransient?: boolean | undefined;
}

/**
 * A registry, or the way to it, failed. Codes: UNAUTHORIZED, DENIED, NOT_FOUND, TOO_MANY_REQUESTS, UNAVAILABLE, REJECTED (other statuses),
 * CONNECTION_FAILED, TIMED_OUT, TLS_FAILED, TLS_REQUIRED, PROXY_FAILED, RESPONSE_INVALID, RESPONSE_TOO_LARGE, URL_REFUSED, REDIRECT_REFUSED,
 * BLOCKED, DIGEST_MISMATCH, SIZE_MISMATCH, ABORTED.
 */
export class RegistryError extends DugoutError {
  override readonly name: string = "RegistryError";
  declare readonly status?: number;
  declare readonly method?: string;
  declare readonly url?: string;
  readonly isTransient: boolean;

  constructor(code: string, message: string, options: RegistryErrorOptions = {}) {
    super(code, message, options);
    if (options.status !== undefined) this.status = options.status;
    if (options.method !== undefined) this.method = options.method;
    if (options.url !== undefined) this.url = options.url;
    this.isTransient = options.isTransient ?? false;
  }
}

/** Says whether an error of any kind has this code; errors are told apart by codes alone. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return typeof error === "object" && error !== null && "code" in error && codes.includes(String(error.code));
}
