import { hashHex, openHash } from "#ffi/mod.ts";
import { DugoutError } from "./error.ts";
import { quote } from "./text.ts";

declare const digestBrand: unique symbol;

/**
 * A checked digest, such as `sha256:` and 64 lower-case hex digits. Only `parseDigest` and the hashing functions of this file make one, so
 * a value of this type can be used in a URL or a file name (A-014, CVE-2024-3727).
 */
export type Digest = string & { readonly [digestBrand]: true };

/** The algorithms that are taken, with the number of their hex digits (image-spec, descriptor, "Registered algorithms"). */
export const DIGEST_ALGORITHMS = { sha256: 64, sha512: 128 } as const;
export type DigestAlgorithm = keyof typeof DIGEST_ALGORITHMS;

function isLowerHex(text: string, from: number): boolean {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (!((code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66))) return false;
  }
  return true;
}

/** Tells whether `text` is a digest of an algorithm that is taken. */
export function isDigest(text: unknown): text is Digest {
  if (typeof text !== "string") return false;
  const colon = text.indexOf(":");
  const algorithm = text.slice(0, colon);
  if (algorithm !== "sha256" && algorithm !== "sha512") return false;
  return text.length === colon + 1 + DIGEST_ALGORITHMS[algorithm] && isLowerHex(text, colon + 1);
}

/**
 * Checks a digest that came from outside.
 * @throws {DugoutError} DIGEST_UNSUPPORTED for another algorithm (named in the message), DIGEST_INVALID for anything else.
 */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  const colon = text.indexOf(":");
  const algorithm = text.slice(0, Math.max(colon, 0));
  if (colon > 0 && colon <= 32 && algorithm !== "sha256" && algorithm !== "sha512") {
    throw new DugoutError(
      "DIGEST_UNSUPPORTED",
      `Cannot use digest ${quote(text)}: the algorithm ${quote(algorithm)} is not taken`,
      { hint: "Use a sha256 or sha512 digest, written in lower case" },
    );
  }
  throw new DugoutError(
    "DIGEST_INVALID",
    `Cannot use ${quote(text)} as a digest: not "sha256:" and 64 lower-case hex digits`,
  );
}

/** The algorithm of a digest: the part before the colon. */
export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}

/** The hex digits of a digest: the part after the colon, safe as a file name. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

/** The digest of bytes that are in memory. */
export function hashBytes(bytes: Uint8Array | string, algorithm: DigestAlgorithm = "sha256"): Digest {
  return `${algorithm}:${hashHex(algorithm, bytes)}` as Digest;
}

/** A digest that is made piece by piece, while bytes stream past. */
export interface Digester {
  update(bytes: Uint8Array): void;
  /** Ends the digester; it may be called once. */
  finish(): Digest;
}

/** Starts a digest that grows with the stream. */
export function createDigester(algorithm: DigestAlgorithm = "sha256"): Digester {
  const hash = openHash(algorithm);
  return {
    update: (bytes) => void hash.update(bytes),
    finish: () => `${algorithm}:${hash.digest("hex")}` as Digest,
  };
}
