/** Pulls that are killed, that meet each other, and that find the disk full: the next one succeeds, and nothing is lost. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needsRegistry, REGISTRY, runCommand, type Sandbox } from "./harness.ts";
import { seededRandom } from "./support/random.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/bench`;
const SMALL = `${REGISTRY}/busybox`;

function blobFolder(box: Sandbox): string {
  return join(box.store, "images/blobs/sha256");
}

function listBlobs(box: Sandbox): string[] {
  return existsSync(blobFolder(box)) ? readdirSync(blobFolder(box)).sort() : [];
}

/** Every blob's name is its digest: one that is cut off or mixed up would show here. */
function checkBlobs(box: Sandbox): void {
  for (const name of listBlobs(box)) {
    const digest = createHash("sha256").update(readFileSync(join(blobFolder(box), name))).digest("hex");
    assert.equal(digest, name);
  }
}

async function checkImage(box: Sandbox, image: string): Promise<void> {
  const { stdout } = await box.succeed(["inspect", "--format", "{{len .RootFS.Layers}}", image]);
  assert.equal(stdout, image === IMAGE ? "10\n" : "1\n");
  const { code, stderr } = await box.dugout(["run", "--rm", "--network", "none", "--pull", "never", SMALL, "true"]);
  assert.equal(code, 0, stderr);
}

/** What pulls may leave where they were killed is gone after this. */
async function checkNothingLeft(box: Sandbox): Promise<void> {
  await box.succeed(["image", "prune", "-f"]);
  const ingest = join(box.store, "images/ingest");
  assert.deepEqual(existsSync(ingest) ? readdirSync(ingest).filter((name) => !name.endsWith(".lock")) : [], []);
  const { stdout } = await box.run(["find", join(box.store, "layers"), "-maxdepth", "2", "-mindepth", "2"]);
  for (const path of stdout.trim().split("\n")) assert.match(path, /\/[0-9a-f]{64}$/);
}

asBoth(
  "a pull killed 20 times at random moments is completed by the next, and blobs that were there stay",
  async (box) => {
    const seed = Date.now() % 1_000_000;
    const random = seededRandom(seed).fraction;
    await box.succeed(["pull", "-q", SMALL]);
    const before = listBlobs(box);
    for (let round = 0; round < 20; round++) {
      const seconds = (0.02 + random() * 1.2).toFixed(3);
      // `timeout` kills the command alone; what it started has to find out by itself
      const { code } = await box.run(["timeout", "--foreground", "-s", "KILL", seconds, DUGOUT, "pull", "-q", IMAGE]);
      if (code === 0) {
        await box.succeed(["rmi", "-f", IMAGE]);
        continue;
      }
      assert.equal(code, 137, `seed ${seed}, round ${round}`);
      for (const name of before) {
        assert.ok(
          existsSync(join(blobFolder(box), name)),
          `seed ${seed}: blob ${name} is gone`,
        );
      }
    }
    checkBlobs(box);
    await box.succeed(["pull", "-q", IMAGE], { timeoutMs: 120_000 });
    checkBlobs(box);
    await checkImage(box, IMAGE);
    await checkNothingLeft(box);
  },
  { skip },
);

asBoth("ten pulls of one image at once all succeed, and each blob and layer is there once", async (box) => {
  await box.succeed(["pull", "-q", SMALL]);
  const results = await Promise.all(
    Array.from({ length: 10 }, () => box.dugout(["pull", "-q", IMAGE], { timeoutMs: 240_000 })),
  );
  for (const { code, stderr } of results) assert.equal(code, 0, stderr);
  checkBlobs(box);
  const [map = ""] = readdirSync(join(box.store, "layers"));
  assert.equal(readdirSync(join(box.store, "layers", map)).filter((name) => /^[0-9a-f]{64}$/.test(name)).length, 11);
  await checkImage(box, IMAGE);
  await checkNothingLeft(box);
}, { skip });

asBoth(
  "C-045 a full disk ends a pull at once with what is full; with room again the next pull succeeds",
  async (box) => {
    const room = join(box.path, "room");
    mkdirSync(room);
    const mounted = await runCommand(["/bin/mount", "-t", "tmpfs", "-o", "size=260m,mode=755", "dugout-test", room]);
    assert.equal(mounted.code, 0, mounted.stderr);
    try {
      chownSync(room, box.user.uid, box.user.gid);
      const root = ["--root", join(room, "store")];
      await box.succeed([...root, "pull", "-q", SMALL]);
      const blobs = join(room, "store/images/blobs/sha256");
      const before = readdirSync(blobs).sort();
      const { code, stderr, ms } = await box.dugout([...root, "pull", "-q", IMAGE], { timeoutMs: 60_000 });
      assert.notEqual(code, 0);
      assert.match(stderr, /space|ENOSPC/i);
      assert.ok(ms < 45_000, `it took ${ms} ms`);
      for (const name of before) assert.ok(existsSync(join(blobs, name)), name);
      const grown = await runCommand(["/bin/mount", "-o", "remount,size=2g", room]);
      assert.equal(grown.code, 0, grown.stderr);
      await box.succeed([...root, "run", "--rm", "--network", "none", "--pull", "never", SMALL, "true"]);
      await box.succeed([...root, "pull", "-q", IMAGE], { timeoutMs: 120_000 });
      const { stdout } = await box.succeed([...root, "inspect", "--format", "{{len .RootFS.Layers}}", IMAGE]);
      assert.equal(stdout, "10\n");
    } finally {
      const unmounted = await runCommand(["/bin/umount", "-l", room]);
      assert.equal(unmounted.code, 0, unmounted.stderr);
    }
  },
  { skip: skip || (process.getuid?.() === 0 ? false : "needs root to mount a small file system") },
);
