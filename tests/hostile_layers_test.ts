/**
 * Layers that mean harm, against the built binary, as both kinds of user and with each storage driver; the harness looks at the canary. The
 * unit tests of src/storage have the same kinds in greater number.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { makeImage, serveImage, startServer } from "#image/registry/scripted_server.ts";
import { hashBytes } from "#oci/digest.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import { asBoth, CACHE, needs, type Sandbox, type TestOptions } from "./harness.ts";
import { busyboxLayer, craftImage, type Entry } from "./support/craft_image.ts";

const skip = existsSync(join(CACHE, "tars")) ? false : "needs tests/setup";
const isFuseOpen = existsSync("/dev/fuse") && (statSync("/dev/fuse").mode & 0o006) === 0o006;
const skipFuse = skip || needs("fuse-overlayfs") || (isFuseOpen ? false : "needs /dev/fuse to be open for users");

/** Loads and runs an image; refused by name, or unpacked with all of it inside: either is right. @returns Whether it ran. */
async function tryImage(box: Sandbox, driver: string, layers: readonly (readonly Entry[])[]): Promise<boolean> {
  const archive = craftImage("localhost/evil:latest", [busyboxLayer(CACHE), ...layers], { Env: ["PATH=/bin"] });
  const global = ["--storage-driver", driver];
  const loaded = await box.dugout([...global, "load", "-q"], { input: archive, timeoutMs: 20_000 });
  const run = ["run", "--rm", "--network", "none", "localhost/evil", "/bin/busybox", "true"];
  const ran = loaded.code === 0 ? await box.dugout([...global, ...run], { timeoutMs: 20_000 }) : loaded;
  if (ran.code !== 0) {
    assert.ok(ran.code === 1 || ran.code === 125, `exit code ${ran.code}: ${ran.stderr}`);
    assert.match(ran.stderr, /^dugout: Cannot [^\n]*"[^\n]*\n/);
    assert.doesNotMatch(ran.stderr, /\n\s+at /, "a stack trace is no message");
  }
  await box.dugout(["rmi", "-f", "localhost/evil"]);
  await box.succeed(["image", "prune", "-af"]);
  const folder = join(box.store, "layers");
  for (const map of existsSync(folder) ? readdirSync(folder) : []) assert.deepEqual(readdirSync(join(folder, map)), []);
  return ran.code === 0;
}

const file = (name: string): Entry => ({ name, content: "evil" });
const link = (name: string, target: string): Entry => ({ name, type: "symlink", link: target });

for (const driver of ["overlay", "fuse-overlayfs", "vfs"]) {
  const options: TestOptions = { skip: driver === "fuse-overlayfs" ? skipFuse : skip };

  asBoth(
    `A-002 A-003 A-004 nothing goes through links that an image lays, in one layer and in the next, ${driver}`,
    async (box) => {
      const targets = [box.canary, "../".repeat(12) + box.canary.slice(1), "/proc/self/root", "/proc/1/cwd", "..", "."];
      const below: Entry[][] = [
        [file("NAME/file"), file("NAME/q/r/made")],
        [{ name: "NAME", type: "directory", mode: 0o777 }, file("NAME/new")],
        [{ name: "NAME", type: "fifo" }],
        [{ name: "NAME/made", type: "directory", mode: 0o777 }],
        [file("own"), { name: "NAME/h", type: "hardlink", link: "own" }],
        [file("NAME/.wh.file"), file("NAME/.wh..wh..opq")],
        [link("NAME/again", "../../..")],
        [{ name: "NAME", type: "directory", mode: 0o4777, uid: 5, gid: 6 }],
      ];
      const [links, entries]: [Entry[], Entry[]] = [[], []];
      for (const [at, target] of targets.entries()) {
        for (const [which, made] of below.entries()) {
          const name = `l${at}_${which}`;
          links.push(link(name, target));
          for (const entry of made) entries.push({ ...entry, name: entry.name.replace("NAME", name) });
        }
      }
      assert.equal(await tryImage(box, driver, [[...links, ...entries]]), true);
      assert.equal(await tryImage(box, driver, [links, entries]), true);
      assert.equal(await tryImage(box, driver, [entries, links]), true);
      for (const target of [box.canary + "/file", "../".repeat(12) + box.canary.slice(1) + "/file", "/etc/passwd"]) {
        await tryImage(box, driver, [[{ name: "h", type: "hardlink", link: target }, { ...file("h"), mode: 0o4777 }]]);
      }
    },
    options,
  );

  asBoth(
    `A-005 a name that alternates between directory and link, in layers that are unpacked side by side, ${driver}`,
    async (box) => {
      const round = (name: string): Entry[] => [
        { name, type: "directory" },
        link(name, box.canary),
        file(`${name}/x`),
      ];
      const one = Array.from({ length: 300 }, () => round("a")).flat();
      const many = Array.from({ length: 300 }, (_, at) => round(`a${at % 32}`)).flat();
      assert.equal(await tryImage(box, driver, [one]), true);
      assert.equal(await tryImage(box, driver, [one, many, one.toReversed(), many.toReversed()]), true);
    },
    options,
  );
}

asBoth("A-006 the root of a layer is a directory and stays where it is", async (box) => {
  for (const name of [".", "/", "./", "a/.."]) {
    for (const type of name === "." ? ["symlink", "hardlink", "file", "fifo", "char"] as const : ["symlink"] as const) {
      const entry: Entry = { name, type, ...(type.endsWith("link") ? { link: box.canary } : {}) };
      assert.equal(await tryImage(box, "overlay", [[entry, file("x")]]), false, `${type} "${name}"`);
    }
    assert.equal(await tryImage(box, "overlay", [[{ name, type: "directory", mode: 0o755 }, file("x")]]), true);
  }
}, { skip });

asBoth(
  "A-010 blobs that are no layers end two pulls at once in seconds, with the cause, and other pulls go on",
  async (box) => {
    const tar = busyboxLayer(CACHE);
    const packed = gzipSync(tar, { level: 1 });
    const broken: Record<string, Uint8Array> = {
      noise: Uint8Array.from({ length: 5000 }, (_, at) => (at * 7919) >>> 3),
      "gzip cut": packed.subarray(0, packed.length >> 1),
      "gzip trailer": Uint8Array.from([...packed.subarray(0, -8), 1, 2, 3, 4, 5, 6, 7, 8]),
      "zstd cut": zstdCompressSync(tar).subarray(0, 100_000),
      "one block": new Uint8Array(512).fill(0x41),
      "tar cut": tar.subarray(0, 700_000 + 100),
    };
    const good = makeImage([packed], { diffIds: [hashBytes(tar)], layerType: MEDIA_TYPES.ociLayerGzip });
    const goodServer = await startServer(serveImage(good));
    try {
      for (const [name, bytes] of Object.entries(broken)) {
        const bad = makeImage([bytes, packed], {
          diffIds: [hashBytes(bytes), hashBytes(tar)],
          layerType: MEDIA_TYPES.ociLayerGzip,
        });
        const server = await startServer(serveImage(bad));
        try {
          const pull = (host: string) => box.dugout(["pull", "-q", `${host}/x`], { timeoutMs: 20_000 });
          const [one, two, other] = await Promise.all([pull(server.host), pull(server.host), pull(goodServer.host)]);
          for (const { code, stderr } of [one, two]) {
            assert.equal(code, 1, name);
            assert.match(stderr, /^dugout: Cannot (unpack|use) /, name);
          }
          assert.equal(other.code, 0, other.stderr);
          const { stdout } = await box.succeed(["images", "--format", "{{.Repository}}"]);
          assert.equal(stdout, `${goodServer.host}/x\n`);
        } finally {
          await server.close();
        }
      }
      await box.succeed(["run", "--rm", "--network", "none", `${goodServer.host}/x`, "/bin/busybox", "true"]);
    } finally {
      await goodServer.close();
    }
  },
  { skip },
);
