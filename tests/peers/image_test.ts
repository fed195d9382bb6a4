/**
 * Our image store and archives beside skopeo, podman and umoci: they read what we write, we read what they write, and the
 * image id is the same everywhere.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { importImage } from "#image/import.ts";
import { getImage } from "#image/find.ts";
import { loadArchive, loadDirectory } from "#image/load.ts";
import type { SaveFormat } from "#image/archive_plan.ts";
import { saveImages } from "#image/save.ts";
import { addTestImage, nameTestTarget, NOW, putTestImage, putTestIndex, type TestImage } from "#image/testing.ts";
import { parseReference } from "#oci/reference.ts";
import type { ContentStore } from "#storage/content.ts";
import { openLease } from "#storage/lease.ts";
import { makeTestStore } from "#storage/test_store.ts";

const has = (program: string) => spawnSync(program, ["--version"]).status === 0;
const NO_SKOPEO = has("skopeo") ? false : "skopeo is not installed";
const NO_UMOCI = has("umoci") ? false : "umoci is not installed";
const NO_PODMAN = !has("podman")
  ? "podman is not installed"
  : podmanWorks()
  ? false
  : "podman does not work for this user";

/** Every form in which a pull can leave an image. */
const FORMS: Record<string, TestImage> = {
  "OCI, gzip": { layers: ["a", "b"] },
  "OCI, plain": { layers: ["a", "b"], compression: "none" },
  "OCI, zstd": { layers: ["a", "b"], compression: "zstd" },
  "Docker's types": { layers: ["a", "b"], docker: true },
  "a layer twice": { layers: ["a", "b", "a"] },
};

function run(program: string, args: string[]): string {
  const result = spawnSync(program, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  assert.equal(result.status, 0, `${program} ${args.join(" ")}\n${result.stderr}`);
  return result.stdout;
}

function skopeo(...args: string[]): string {
  return run("skopeo", ["--insecure-policy", ...args]);
}

function podmanArgs(root: string): string[] {
  return ["--root", join(root, "podman"), "--runroot", join(root, "podman-run"), "--storage-driver", "vfs"];
}

function podmanWorks(): boolean {
  const root = mkdtempSync(join(tmpdir(), "dugout-peer-"));
  try {
    return spawnSync("podman", [...podmanArgs(root), "info"]).status === 0;
  } finally {
    removePodman(root);
    rmSync(root, { recursive: true, force: true });
  }
}

function removePodman(root: string): void {
  // files of subordinate ids
  spawnSync("podman", [...podmanArgs(root), "rmi", "-af"]);
  spawnSync("podman", [...podmanArgs(root), "unshare", "rm", "-rf", join(root, "podman"), join(root, "podman-run")]);
}

async function saveTo(store: ContentStore, texts: string[], path: string, format: SaveFormat): Promise<void> {
  const file = createWriteStream(path);
  for await (const piece of saveImages(store, texts, { format })) {
    await new Promise<void>((resolve, reject) => file.write(piece, (error) => error ? reject(error) : resolve()));
  }
  await new Promise<void>((resolve) => file.end(() => resolve()));
}

function work(body: (t: { store: ContentStore; dir: string }) => Promise<void>): () => Promise<void> {
  return async () => {
    using t = makeTestStore();
    const dir = mkdtempSync(join(tmpdir(), "dugout-peer-"));
    try {
      await body({ store: t.store, dir });
    } finally {
      if (NO_PODMAN === false) removePodman(dir);
      rmSync(dir, { recursive: true, force: true });
    }
  };
}

for (const [form, image] of Object.entries(FORMS)) {
  test(
    `skopeo reads our store by name: ${form}`,
    { skip: NO_SKOPEO },
    work(async ({ store, dir }) => {
      const { id, target } = await addTestImage(store, "127.0.0.1:5000/team/app:v1.0_x", image);
      const source = `oci:${store.path}:127.0.0.1:5000/team/app:v1.0_x`;
      assert.equal(JSON.parse(skopeo("inspect", source)).Architecture, "amd64");
      skopeo("copy", source, `dir:${dir}/copy`);
      const manifest = readFileSync(join(dir, "copy/manifest.json"));
      assert.equal(JSON.parse(manifest.toString()).config.digest, id);
      // the very bytes that came, also through the index that stands around Docker's types
      assert.deepEqual(manifest, readFileSync(join(store.path, "blobs/sha256", target.digest.slice(7))));
    }),
  );

  for (const format of ["docker-archive", "oci-archive"] as const) {
    test(
      `skopeo reads our ${format}, and we read skopeo's: ${form}`,
      { skip: NO_SKOPEO },
      work(async ({ store, dir }) => {
        const { id } = await addTestImage(store, "quay.io/team/app:1", image);
        const ours = join(dir, "ours.tar");
        await saveTo(store, ["quay.io/team/app:1"], ours, format);
        const source = `${format}:${ours}:quay.io/team/app:1`;
        skopeo("copy", source, `dir:${dir}/copy`);
        // what dir: holds may have other layers, its config is the one that makes the id
        assert.equal(JSON.parse(readFileSync(join(dir, "copy/manifest.json"), "utf8")).config.digest, id);
        // zstd is unknown to skopeo 1.9 as something to write; reading it is
        const theirs = join(dir, "theirs.tar");
        skopeo("copy", source, `${format}:${theirs}:quay.io/team/app:2`);
        using to = makeTestStore();
        const [loaded] = await loadArchive(to.store, createReadStream(theirs), { nowMs: NOW });
        assert.equal(loaded!.image.id, id);
        assert.equal(getImage(to.store, "quay.io/team/app:2").id, id);
      }),
    );
  }

  test(
    `podman loads what we save, and we what podman saves: ${form}`,
    { skip: NO_PODMAN },
    work(async ({ store, dir }) => {
      const podman = (...args: string[]) => run("podman", [...podmanArgs(dir), ...args]).trim();
      const { id } = await addTestImage(store, "quay.io/team/app:1", image);
      for (const format of ["docker-archive", "oci-archive"] as const) {
        const ours = join(dir, `ours-${format}.tar`);
        await saveTo(store, ["quay.io/team/app:1"], ours, format);
        podman("load", "-q", "-i", ours);
        assert.equal(podman("image", "inspect", "--format", "{{.Id}}", "quay.io/team/app:1"), id.slice(7), format);
        const theirs = join(dir, `theirs-${format}.tar`);
        podman("save", "-q", "--format", format, "-o", theirs, "quay.io/team/app:1");
        podman("rmi", "-f", id.slice(7));
        using to = makeTestStore();
        const [loaded] = await loadArchive(to.store, createReadStream(theirs), { nowMs: NOW });
        assert.equal(loaded!.image.id, id);
        assert.equal(getImage(to.store, "quay.io/team/app:1").id, id);
      }
    }),
  );
}

test(
  "skopeo chooses its platform from an image for several, one of them never fetched",
  { skip: NO_SKOPEO },
  work(async ({ store, dir }) => {
    using lease = openLease(store);
    for (const docker of [false, true]) {
      const amd = await putTestImage(lease, { layers: ["amd"], docker });
      const arm = await putTestImage(lease, { layers: ["arm"], docker, config: { architecture: "arm64" } });
      const index = await putTestIndex(lease, [
        { ...amd.target, platform: { os: "linux", architecture: "amd64" } },
        { ...arm.target, platform: { os: "linux", architecture: "arm64" } },
        { ...arm.target, digest: amd.id, platform: { os: "linux", architecture: "s390x" } },
      ], docker);
      await nameTestTarget(lease, "multi:1", index);
      const source = `oci:${store.path}:docker.io/library/multi:1`;
      for (const [arch, id] of [["amd64", amd.id], ["arm64", arm.id]] as const) {
        rmSync(join(dir, "copy"), { recursive: true, force: true });
        skopeo("--override-arch", arch, "copy", source, `dir:${dir}/copy`);
        assert.equal(JSON.parse(readFileSync(join(dir, "copy/manifest.json"), "utf8")).config.digest, id);
      }
    }
  }),
);

test(
  "C-030 podman loads two images of one archive, each with its own tags; C-031 one by id has none",
  { skip: NO_PODMAN },
  work(async ({ store, dir }) => {
    const podman = (...args: string[]) => run("podman", [...podmanArgs(dir), ...args]).trim();
    const a = await addTestImage(store, "quay.io/a:1", { layers: ["base", "a"] });
    const b = await addTestImage(store, "quay.io/b:1", { layers: ["base", "b"] });
    await saveTo(store, ["quay.io/a:1", "quay.io/b:1"], join(dir, "two.tar"), "docker-archive");
    podman("load", "-q", "-i", join(dir, "two.tar"));
    assert.equal(podman("image", "inspect", "--format", "{{.Id}}", "quay.io/a:1"), a.id.slice(7));
    assert.equal(podman("image", "inspect", "--format", "{{.Id}}", "quay.io/b:1"), b.id.slice(7));
    podman("rmi", "-af");
    await saveTo(store, [a.id], join(dir, "id.tar"), "docker-archive");
    podman("load", "-q", "-i", join(dir, "id.tar"));
    assert.equal(podman("image", "inspect", "--format", "{{.RepoTags}}", a.id.slice(7)), "[]");
  }),
);

test(
  "umoci unpacks from our store, and what umoci makes we load",
  { skip: NO_UMOCI },
  work(async ({ store, dir }) => {
    const { id } = await addTestImage(store, "app:1", { layers: ["a", "b"] });
    run("umoci", ["unpack", "--rootless", "--image", `${store.path}:docker.io/library/app:1`, join(dir, "bundle")]);
    assert.equal(readFileSync(join(dir, "bundle/rootfs/b"), "utf8"), "b");
    run("umoci", ["init", "--layout", join(dir, "layout")]);
    run("umoci", ["new", "--image", `${join(dir, "layout")}:made`]);
    run("umoci", ["config", "--image", `${join(dir, "layout")}:made`, "--config.cmd", "sh"]);
    const [made] = await loadDirectory(store, join(dir, "layout"), { nowMs: NOW });
    assert.deepEqual(made!.image.config.config.Cmd, ["sh"]);
    assert.notEqual(made!.image.id, id);
  }),
);

test(
  "what we import podman runs the inspection of, with our id",
  { skip: NO_PODMAN },
  work(async ({ store, dir }) => {
    const podman = (...args: string[]) => run("podman", [...podmanArgs(dir), ...args]).trim();
    run("tar", ["-C", "/etc", "-czf", join(dir, "etc.tgz"), "hostname"]);
    const image = await importImage(store, createReadStream(join(dir, "etc.tgz")), {
      nowMs: NOW,
      reference: parseReference("quay.io/imported:1"),
      changes: ["EXPOSE 80", "VOLUME /data", "LABEL a=b", "WORKDIR /srv"],
      platform: { os: "linux", architecture: "amd64" },
    });
    await saveTo(store, ["quay.io/imported:1"], join(dir, "i.tar"), "docker-archive");
    podman("load", "-q", "-i", join(dir, "i.tar"));
    const [shown] = JSON.parse(podman("image", "inspect", "quay.io/imported:1"));
    assert.equal(`sha256:${shown.Id}`, image.id);
    assert.deepEqual(shown.Config.ExposedPorts, { "80/tcp": {} });
    assert.equal(shown.Config.WorkingDir, "/srv");
  }),
);
