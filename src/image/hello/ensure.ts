import { hostPlatform, type Platform, scorePlatform } from "#oci/platform.ts";
import { formatReference } from "#oci/reference.ts";
import type { ContentStore } from "#storage/content.ts";
import { putBlob } from "#storage/ingest.ts";
import { openLease } from "#storage/lease.ts";
import { readName } from "#storage/names.ts";
import { walkTarget } from "../closure.ts";
import { publishImage } from "../publish.ts";
import { HELLO_REFERENCE } from "./name.ts";

/** For which platform, and when: in milliseconds since 1970. */
export type EnsureHelloOptions = { readonly platform?: Platform | undefined; readonly nowMs?: number };

/**
 * Puts the embedded image into the store, for one platform, where it is not there yet. From then on it is an image like
 * any other: it is listed, unpacked, saved and removed as they are. A name that leads to an image of the user's stays as
 * it is, and for a platform that it is not made for nothing is put.
 * @throws {DugoutError} HELLO_DAMAGED, and what storing throws.
 */
export async function ensureHelloImage(store: ContentStore, options: EnsureHelloOptions = {}): Promise<void> {
  const { platform = hostPlatform(), nowMs = Date.now() } = options;
  const name = readName(store, formatReference(HELLO_REFERENCE));
  const images = name === undefined ? [] : walkTarget(store, name.target).images;
  if (images.some((image) => scorePlatform(platform, image.platform) > 0)) return;
  // what is never asked for costs no start-up time
  const { makeHelloImage } = await import("./image.ts");
  const { target, blobs } = makeHelloImage();
  if (name !== undefined && name.target.digest !== target.digest) return;
  const wanted = blobs.filter((blob) => blob.platform === undefined || scorePlatform(platform, blob.platform) > 0);
  if (wanted.every((blob) => blob.platform === undefined)) return;
  using lease = openLease(store);
  for (const { name, bytes } of wanted) await putBlob(lease, bytes, `the embedded image's "${name}"`);
  await publishImage(lease, { reference: HELLO_REFERENCE, target, nowMs });
}
