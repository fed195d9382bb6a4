/**
 * `tag`: gives an image one more name.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { parseReference, type Reference } from "#oci/reference.ts";
import { quote } from "#oci/text.ts";
import type { ContentStore } from "#storage/content.ts";
import { holdDigest, openLease } from "#storage/lease.ts";
import { type FindOptions, findTarget, unknownImage } from "./find.ts";
import { publishImage } from "./publish.ts";

/**
 * Names an image, all its platforms together. A name that was another image's moves.
 * @returns The new name in full.
 * @throws {DugoutError} IMAGE_UNKNOWN, REFERENCE_INVALID (also for a name with a digest, which is not ours to choose).
 */
export async function tagImage(
  store: ContentStore,
  source: string,
  name: string,
  options: FindOptions & { nowMs: number },
): Promise<Reference> {
  const reference = parseReference(name);
  if (reference.digest !== undefined || reference.tag === undefined) {
    throw new DugoutError(
      "REFERENCE_INVALID",
      `Cannot name an image ${quote(name)}: a name that you give has a tag, not a digest`,
      { exitCode: 1 },
    );
  }
  const found = findTarget(store, source, options);
  if (found === undefined) throw unknownImage(source, options.platform);
  using lease = openLease(store);
  await holdDigest(lease, found.target.digest);
  await publishImage(lease, { reference, target: found.target, nowMs: options.nowMs });
  return reference;
}
