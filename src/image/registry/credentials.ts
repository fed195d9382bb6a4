/** What a registry gets to know who asks. */
export type Credentials =
  | { kind: "password"; username: string; password: string }
  /** An OAuth2 refresh token that a login left (C-042). */
  | { kind: "identity"; username: string; identityToken: string }
  /** A bearer token that is used as it is (`registrytoken` of auths). */
  | { kind: "bearer"; token: string };

/**
 * Finds the credentials for a registry.
 * @param host With the port, exactly as in the image's name (A-019).
 */
export type CredentialsFinder = (host: string, repository: string) => Promise<Credentials | undefined>;

/** `Basic …` (RFC 7617), UTF-8. */
export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`, "utf8").toString("base64")}`;
}
