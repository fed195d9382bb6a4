/**
 * One of several processes that bring the same image into one store, as pulls do; killed at any moment by its parent.
 *
 *     store_child.ts ROOT SEED MODE      MODE: pull, or prune (again and again until killed)
 *
 * Prints a line `fetched DIGEST BYTES` for each download that it did itself, and `named` at the end.
 */

import { hashBytes } from "#oci/digest.ts";
import { parseReference } from "#oci/reference.ts";
import { NO_LAYERS } from "#image/collect.ts";
import { pruneImages } from "#image/prune.ts";
import { publishImage } from "#image/publish.ts";
import { NOW } from "#image/testing.ts";
import { openContentStore } from "#storage/content.ts";
import { openIngest, putBlob } from "#storage/ingest.ts";
import { openLease } from "#storage/lease.ts";
import { seededRandom } from "../support/random.ts";
import { makeSimImage } from "./sim_image.ts";

const PIECE = 16_384;

async function pull(root: string, seed: number): Promise<void> {
  const random = seededRandom(seed);
  const store = openContentStore(root);
  using lease = openLease(store);
  const { layers, config, manifest, target } = makeSimImage();
  for (const bytes of layers) {
    const want = { digest: hashBytes(bytes), size: bytes.length };
    using ingest = await openIngest(lease, want);
    if (ingest === undefined) continue;
    const start = ingest.offset;
    for (let at = start; at < bytes.length; at += PIECE) {
      ingest.write(bytes.subarray(at, at + PIECE));
      // the network, and room for the others
      if (random.below(8) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await ingest.commit();
    process.stdout.write(`fetched ${want.digest} ${bytes.length - start}\n`);
  }
  await putBlob(lease, config);
  await putBlob(lease, manifest);
  for (const name of ["sim:1", `sim:seed-${seed}`]) {
    await publishImage(lease, { reference: parseReference(name), target, nowMs: NOW });
  }
  process.stdout.write("named\n");
}

async function pruneForEver(root: string): Promise<void> {
  const store = openContentStore(root);
  for (;;) {
    const filter = { labels: [], references: [] };
    await pruneImages(store, { nowMs: NOW, all: false, filter, isUsed: () => false, shelf: NO_LAYERS });
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const [root = "", seed = "0", mode = "pull"] = process.argv.slice(2);
await (mode === "prune" ? pruneForEver(root) : pull(root, Number(seed)));
