/** Several processes on one store, killed at any moment: nothing is lost, nothing is fetched twice, nothing stays behind. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { NO_LAYERS } from "#image/collect.ts";
import { getImage } from "#image/find.ts";
import { listImages } from "#image/list.ts";
import { pruneImages } from "#image/prune.ts";
import { removeImage } from "#image/remove.ts";
import { NOW } from "#image/testing.ts";
import { type ContentStore, listBlobs, openContentStore, readBlob } from "#storage/content.ts";
import { seededRandom } from "../support/random.ts";
import { makeSimImage } from "./sim_image.ts";

const CHILD = join(import.meta.dirname!, "store_child.ts");

type Ended = { code: number | null; signal: string | null; stdout: string; stderr: string };

function startChild(root: string, seed: number, mode = "pull"): { child: ChildProcess; ended: Promise<Ended> } {
  const args = process.versions["deno"] === undefined ? [CHILD] : ["run", "-A", CHILD];
  const child = spawn(process.execPath, [...args, root, String(seed), mode], { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (piece) => stdout += piece);
  child.stderr.on("data", (piece) => stderr += piece);
  const ended = new Promise<Ended>((resolve) =>
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }))
  );
  return { child, ended };
}

async function withRoot(work: (root: string, open: () => ContentStore) => Promise<void>): Promise<void> {
  const parent = mkdtempSync(join(tmpdir(), "dugout-sim-"));
  const root = join(parent, "root");
  try {
    await work(root, () => openContentStore(root));
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

function prune(store: ContentStore) {
  return pruneImages(store, {
    nowMs: NOW,
    all: false,
    filter: { labels: [], references: [] },
    isUsed: () => false,
    shelf: NO_LAYERS,
  });
}

function assertWhole(store: ContentStore): void {
  const { id, layers } = makeSimImage();
  const image = getImage(store, "sim:1");
  assert.equal(image.id, id);
  image.layers.forEach((layer, at) =>
    assert.equal(readBlob(store, layer.digest, { maxBytes: 1e7 }).length, layers[at]!.length)
  );
}

test("C-046 a pull that is killed twenty times at random moments is finished by the next, and nothing is left over", async () => {
  const seed = 46;
  const random = seededRandom(seed);
  await withRoot(async (root, open) => {
    let wasKilled = 0;
    for (let round = 0; round < 20; round++) {
      const { child, ended } = startChild(root, round);
      const wait = setTimeout(() => child.kill("SIGKILL"), 30 + random.below(200));
      const { signal, code, stderr } = await ended;
      clearTimeout(wait);
      if (signal === "SIGKILL") wasKilled++;
      else assert.equal(code, 0, stderr);
      if (round % 5 === 4) {
        const store = open();
        const { damaged } = listImages(store);
        assert.deepEqual(damaged, [], "what is listed is whole");
      }
    }
    assert.ok(wasKilled > 0, `seed ${seed}: none was killed`);
    const { ended } = startChild(root, 99);
    const last = await ended;
    assert.equal(last.code, 0, last.stderr);
    const store = open();
    assertWhole(store);
    await prune(store);
    assert.deepEqual(readdirSync(join(store.path, "ingest")), []);
    assert.equal(listBlobs(store).length, 5);
    assert.deepEqual(readdirSync(join(store.path, "names")).filter((name) => name.endsWith(".tmp")), []);
    await removeImage(store, makeSimImage().id, { nowMs: NOW, force: true, usersOf: () => [], shelf: NO_LAYERS });
    assert.deepEqual(listBlobs(store), []);
  });
});

test("C-046 ten pulls of one image at once fetch each blob once, and all succeed", async () => {
  await withRoot(async (root, open) => {
    const children = await Promise.all(Array.from({ length: 10 }, (_, seed) => startChild(root, seed).ended));
    for (const { code, stderr, stdout } of children) {
      assert.equal(code, 0, stderr);
      assert.match(stdout, /named\n$/);
    }
    const fetched = children.flatMap(({ stdout }) => [...stdout.matchAll(/fetched (\S+) (\d+)/g)]);
    const { layers } = makeSimImage();
    assert.equal(fetched.length, layers.length);
    assert.equal(
      fetched.reduce((sum, [, , bytes]) => sum + Number(bytes), 0),
      layers.reduce((sum, layer) => sum + layer.length, 0),
    );
    const store = open();
    assertWhole(store);
    assert.equal(getImage(store, "sim:1").names.length, 11);
    const index = JSON.parse(readFileSync(join(store.path, "index.json"), "utf8"));
    assert.equal(index.manifests.length, 11);
  });
});

test("C-050 pulls beside a process that prunes without end: none loses anything", async () => {
  await withRoot(async (root, open) => {
    open();
    const pruner = startChild(root, 0, "prune");
    try {
      for (let round = 0; round < 3; round++) {
        const ended = await Promise.all(Array.from({ length: 4 }, (_, at) => startChild(root, round * 10 + at).ended));
        for (const { code, stderr } of ended) assert.equal(code, 0, stderr);
        const store = open();
        assertWhole(store);
        await removeImage(store, makeSimImage().id, { nowMs: NOW, force: true, usersOf: () => [], shelf: NO_LAYERS });
      }
    } finally {
      pruner.child.kill("SIGKILL");
      await pruner.ended;
    }
  });
});
