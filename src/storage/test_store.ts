/**
 * A store in a temporary directory, for tests.
 *
 * @module
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ContentStore, type ContentStoreHost, openContentStore } from "./content.ts";
import { seededRandom } from "../../tests/support/random.ts";

export type TestStore = { root: string; store: ContentStore; [Symbol.dispose](): void };

/** Makes a store below the system's temporary directory; it is removed at the end of the `using` block. */
export function makeTestStore(host: ContentStoreHost = {}): TestStore {
  const parent = mkdtempSync(join(tmpdir(), "dugout-test-"));
  const root = join(parent, "root");
  return {
    root,
    store: openContentStore(root, host),
    [Symbol.dispose]: () => rmSync(parent, { recursive: true, force: true }),
  };
}

/** What lies in `ingest/`. */
export function listIngest(store: ContentStore): string[] {
  return readdirSync(join(store.path, "ingest")).sort();
}

/** Bytes that are the same on each run and do not compress. */
export function makeBytes(length: number, seed = 1): Uint8Array {
  return seededRandom(seed).bytes(length);
}
