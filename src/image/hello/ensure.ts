import { formatReference } from "#oci/reference.ts";
import type { ContentStore } from "#storage/content.ts";
import { putBlob } from "#storage/ingest.ts";
import { openLease } from "#storage/lease.ts";
import { readName } from "#storage/names.ts";
import { walkTarget } from "../closure.ts";
import { publishImage } from "../publish.ts";
import { HELLO_REFERENCE } from "./name.ts";

/**
 * Puts the embedded image into the store, for both architectures, where its name is not there yet. From then on it is an
 * image like any other: it is listed, unpacked, saved and removed as they are. A name that leads to an image of the
 * user's stays as it is.
 * @param nowMs When its name was given, in milliseconds since 1970.
 * @throws {DugoutError} HELLO_DAMAGED, and what storing throws.
 */
export async function ensureHelloImage(store: ContentStore, nowMs: number = Date.now()): Promise<void> {
  const name = readName(store, formatReference(HELLO_REFERENCE));
  if (name !== undefined && walkTarget(store, name.target).images.length > 0) return;
  // what is never asked for costs no start-up time
  const { makeHelloImage } = await import("./image.ts");
  const { target, blobs } = makeHelloImage();
  if (name !== undefined && name.target.digest !== target.digest) return;
  using lease = openLease(store);
  for (const { name, bytes } of blobs) await putBlob(lease, bytes, `the embedded image's "${name}"`);
  await publishImage(lease, { reference: HELLO_REFERENCE, target, nowMs });
}
