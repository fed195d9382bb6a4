import * as v from "valibot";
import { parseJson } from "#oci/json.ts";
import { LIMITS } from "#oci/limits.ts";
import { optional, parseSchema } from "#oci/schema.ts";
import { basicAuthorization, type Credentials } from "./credentials.ts";
import type { HttpRequest } from "./transport.ts";

/** What a token server is asked for (distribution, "Token Authentication Specification" and "… using OAuth2"). */
export interface TokenWish {
  realm: URL;
  service: string | undefined;
  /** Such as `repository:library/debian:pull`; none for a mere login. */
  scopes: readonly string[];
  /** Undefined when nobody is logged in, or the realm is not trusted with credentials. */
  credentials: Credentials | undefined;
  /** Whether a refresh token is wanted too, as at login. */
  wantsRefreshToken?: boolean;
}

export interface Token {
  value: string;
  /** On our own clock, from our own receipt: the server's `issued_at` is not looked at (C-131). */
  expiresAtMs: number;
  refreshToken?: string;
}

const CLIENT_ID = "dugout";
/** What the specification says where there is no `expires_in`; also the least that is believed. */
const LIFE_SECONDS_MIN = 60;
const LIFE_SECONDS_MAX = 24 * 60 * 60;
/** A token is not used in its last tenth, nor in its last ten seconds. */
const MARGIN = 0.9;
const MARGIN_MS = 10_000;

/** Plans the request for a token: GET with Basic or nothing, POST with a refresh token (C-042). */
export function planTokenRequest(wish: TokenWish): HttpRequest {
  const { credentials } = wish;
  if (credentials?.kind === "identity") {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      client_id: CLIENT_ID,
      refresh_token: credentials.identityToken,
    });
    if (wish.service !== undefined) form.set("service", wish.service);
    if (wish.scopes.length > 0) form.set("scope", wish.scopes.join(" "));
    return {
      method: "POST",
      url: wish.realm,
      headers: [["Content-Type", "application/x-www-form-urlencoded"], ["Accept", "application/json"]],
      body: new TextEncoder().encode(form.toString()),
    };
  }
  const url = new URL(wish.realm);
  if (wish.service !== undefined) url.searchParams.set("service", wish.service);
  for (const scope of wish.scopes) url.searchParams.append("scope", scope);
  const headers: [string, string][] = [["Accept", "application/json"]];
  if (credentials?.kind === "password") {
    url.searchParams.set("account", credentials.username);
    headers.push(["Authorization", basicAuthorization(credentials.username, credentials.password)]);
  }
  if (wish.wantsRefreshToken === true) {
    url.searchParams.set("offline_token", "true");
    url.searchParams.set("client_id", CLIENT_ID);
  }
  return { method: "GET", url, headers };
}

const tokenText = v.pipe(
  v.string(),
  v.maxLength(48 * 1024),
  v.regex(/^[\x21-\x7e]+$/, "a token with characters that HTTP does not allow"),
);
const answerSchema = v.object({
  token: optional(tokenText),
  access_token: optional(tokenText),
  refresh_token: optional(tokenText),
  expires_in: optional(v.number()),
});

/**
 * Parses the answer of a token server.
 * @throws {DugoutError} TOKEN_INVALID, JSON_….
 */
export function parseToken(bytes: Uint8Array, what: string, nowMs: number): Token {
  const value = parseJson(bytes, what, { maxBytes: LIMITS.tokenBytes });
  const answer = parseSchema(
    v.pipe(
      answerSchema,
      v.check((raw) => (raw.token ?? raw.access_token) !== undefined, 'neither "token" nor "access_token" is there'),
    ),
    value,
    what,
    "TOKEN_INVALID",
  );
  const seconds = Math.min(Math.max(answer.expires_in ?? LIFE_SECONDS_MIN, LIFE_SECONDS_MIN), LIFE_SECONDS_MAX);
  return {
    value: answer.token ?? answer.access_token ?? "",
    expiresAtMs: nowMs + Math.min(seconds * 1000 * MARGIN, seconds * 1000 - MARGIN_MS),
    ...(answer.refresh_token === undefined ? {} : { refreshToken: answer.refresh_token }),
  };
}
