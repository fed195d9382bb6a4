/**
 * The name of the embedded image, and what leads to it.
 *
 * `hello` alone is an alias, as in `registries.conf`: it comes after every image of the user's that has that name, and
 * before any registry is asked. Docker Hub's own `hello` is reached by its name in full, `docker.io/library/hello`.
 *
 * @module
 */
import type { Reference } from "#oci/reference.ts";

/** What the embedded image is called in the store. */
export const HELLO_REFERENCE: Reference = { domain: "docker.io", path: "dugout/hello", tag: "latest" };

const LEAD_TO_IT: ReadonlySet<string> = new Set([
  "hello",
  "dugout/hello",
  "docker.io/dugout/hello",
  "index.docker.io/dugout/hello",
]);

/**
 * Whether a typed name means the embedded image, where no image of the user's has it: `hello`, `dugout/hello` and the name
 * in full, each also with `:latest`. No registry is asked for these.
 */
export function isHelloName(text: string): boolean {
  const tag = `:${HELLO_REFERENCE.tag}`;
  return LEAD_TO_IT.has(text.endsWith(tag) ? text.slice(0, -tag.length) : text);
}
