/** Images from outside: pull, list, name, inspect, save, load, remove. Hostile registries and archives are tested beside the code. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, CACHE, DUGOUT, needs, needsRegistry, REGISTRY, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

async function imageId(box: Sandbox, name: string): Promise<string> {
  const { stdout } = await box.succeed(["inspect", "--format", "{{.Id}}", name]);
  return stdout.trim();
}

function listBlobs(box: Sandbox): string[] {
  const folder = join(box.store, "images/blobs/sha256");
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

asBoth(
  "layers in plain tar, gzip of one and two members, zstd, and Docker's media types are the same image content",
  async (box) => {
    const seen = new Set<string>();
    for (const tag of ["latest", "plain", "members", "zstd", "docker"]) {
      await box.succeed(["pull", "-q", `${IMAGE}:${tag}`]);
      const { stdout } = await box.succeed([
        "run",
        "--rm",
        "--network",
        "none",
        `${IMAGE}:${tag}`,
        "sh",
        "-c",
        "ls -lR /bin /etc | md5sum",
      ]);
      seen.add(stdout);
    }
    assert.equal(seen.size, 1);
    // and one directory on disk: layers are unpacked once per content
    const [map = ""] = readdirSync(join(box.store, "layers"));
    assert.equal(readdirSync(join(box.store, "layers", map)).filter((name) => /^[0-9a-f]{64}$/.test(name)).length, 1);
  },
  { skip },
);

asBoth(
  "pull says what it does: lines where there is no terminal, the digest, and only the name with -q",
  async (box) => {
    const first = await box.succeed(["pull", IMAGE]);
    assert.match(first.stdout, /Digest: sha256:[0-9a-f]{64}/);
    assert.doesNotMatch(first.stdout, /[\r\x1b]/);
    const second = await box.succeed(["pull", IMAGE]);
    assert.match(second.stdout, /up to date/);
    const quiet = await box.succeed(["pull", "-q", IMAGE]);
    assert.equal(quiet.stdout.trim().split("\n").length, 1);
  },
  { skip },
);

asBoth("an image is found by tag, digest, short id and id, and by a name that it is given", async (box) => {
  const pulled = await box.succeed(["pull", IMAGE]);
  const digest = /sha256:[0-9a-f]{64}/.exec(pulled.stdout)?.[0] ?? "";
  await box.succeed(["tag", IMAGE, "mine:1"]);
  const id = await imageId(box, IMAGE);
  for (
    const name of [`${IMAGE}:latest`, `${IMAGE}@${digest}`, id, id.slice("sha256:".length), id.slice(7, 19), "mine:1"]
  ) {
    assert.equal(await imageId(box, name), id, name);
  }
  const { stdout } = await box.succeed(["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]);
  assert.deepEqual(
    stdout.trim().split("\n").sort(),
    [`${IMAGE}:latest ${id.slice(7, 19)}`, `mine:1 ${id.slice(7, 19)}`].sort(),
  );
  assert.equal((await box.dugout(["inspect", "nothing:here"])).code, 1);
}, { skip });

asBoth("a pull by digest gives that image, and a wrong digest none", async (box) => {
  const { stdout } = await box.succeed(["pull", IMAGE]);
  const digest = /sha256:[0-9a-f]{64}/.exec(stdout)?.[0] ?? "";
  await box.succeed(["rmi", IMAGE]);
  await box.succeed(["run", "--rm", "--network", "none", `${IMAGE}@${digest}`, "true"]);
  const wrong = await box.dugout(["pull", `${IMAGE}@sha256:${"0".repeat(64)}`]);
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.stderr, /busybox/);
}, { skip });

asBoth("--platform chooses from an index, and an image of another processor is not run by accident", async (box) => {
  const [native, other] = process.arch === "arm64" ? ["arm64", "amd64"] : ["amd64", "arm64"];
  const arch = ["inspect", "--format", "{{.Architecture}}", `${REGISTRY}/multi`];
  await box.succeed(["pull", "-q", "--platform", `linux/${other}`, `${REGISTRY}/multi`]);
  assert.equal((await box.succeed(arch)).stdout, `${other}\n`);
  await box.succeed(["pull", "-q", `${REGISTRY}/multi`]);
  assert.equal((await box.succeed(arch)).stdout, `${native}\n`);
  await box.succeed(["run", "--rm", "--network", "none", "--pull", "never", `${REGISTRY}/multi`, "true"]);
  const wish = ["run", "--rm", "--network", "none", "--platform", `linux/${other}`, `${REGISTRY}/multi`, "uname", "-m"];
  const foreign = await box.dugout(wish);
  // where an emulator is registered it runs
  if (foreign.code !== 0) {
    assert.equal(foreign.code, 126);
    assert.match(foreign.stderr, /^dugout: execute uname: ENOEXEC.*\n.*another processor.*binfmt_misc/);
  }
  const nowhere = await box.dugout(["pull", "--platform", "linux/s390x", `${REGISTRY}/multi`]);
  assert.notEqual(nowhere.code, 0);
  assert.match(nowhere.stderr, /s390x[\s\S]*(?:amd64|arm64)/);
}, { skip });

asBoth("--all-tags pulls every tag", async (box) => {
  await box.succeed(["pull", "-q", "--all-tags", IMAGE]);
  const { stdout } = await box.succeed(["images", "--format", "{{.Tag}}", IMAGE]);
  assert.deepEqual(stdout.trim().split("\n").sort(), ["docker", "latest", "members", "plain", "zstd"]);
}, { skip });

asBoth("history and inspect tell what the configuration says", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  const { stdout } = await box.succeed(["inspect", IMAGE]);
  const [image] = JSON.parse(stdout);
  assert.deepEqual(image.Config.Cmd, ["sh"]);
  assert.equal(image.Os, "linux");
  assert.equal(image.RootFS.Layers.length, 1);
  assert.match((await box.succeed(["history", "--no-trunc", IMAGE])).stdout, /add busybox-/);
}, { skip });

asBoth("an image that is saved, removed and loaded is the same image, and its blobs the same bytes", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  const [id, before] = [await imageId(box, IMAGE), listBlobs(box)];
  await box.succeed(["save", "-o", "image.tar", IMAGE]);
  await box.succeed(["rmi", IMAGE]);
  assert.equal((await box.succeed(["images", "-q"])).stdout, "");
  const loaded = await box.succeed(["load", "-i", "image.tar"]);
  assert.match(loaded.stdout, new RegExp(`Loaded image: ${IMAGE}:latest`));
  assert.equal(await imageId(box, IMAGE), id);
  for (const blob of before) assert.ok(listBlobs(box).includes(blob), blob);
  const piped = await box.run(["sh", "-c", '"$0" save "$1" | "$0" load', DUGOUT, IMAGE]);
  assert.equal(piped.code, 0, piped.stderr);
}, { skip });

asBoth("a root file system's archive becomes an image with import", async (box) => {
  const tar = join(CACHE, "tars/busybox-amd64-1.tar");
  const { stdout } = await box.succeed(["import", "--change", 'CMD ["echo", "imported"]', tar, "imported:1"]);
  assert.match(stdout, /sha256:[0-9a-f]{64}/);
  assert.equal((await box.succeed(["run", "--rm", "--network", "none", "imported:1"])).stdout, "imported\n");
  assert.equal((await box.dugout(["import", "-", "piped:1"], { input: readFileSync(tar) })).code, 0);
}, { skip });

asBoth("removing the last name of an image removes what only it had, and prune the rest", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  await box.succeed(["tag", IMAGE, "second:name"]);
  assert.match((await box.succeed(["rmi", IMAGE])).stdout, /Untagged/);
  assert.notEqual(listBlobs(box).length, 0);
  assert.match((await box.succeed(["rmi", "second:name"])).stdout, /Deleted/);
  await box.succeed(["image", "prune", "-a", "-f"]);
  assert.deepEqual(listBlobs(box), []);
  const layers = await box.run(["find", join(box.store, "layers"), "-type", "f"]);
  assert.equal(layers.stdout, "");
}, { skip });

asBoth("skopeo reads the store, and copies from it what the registry had", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  const store = `oci:${join(box.store, "images")}:${IMAGE}:latest`;
  const inspected = await box.run(["skopeo", "inspect", "--raw", store]);
  assert.equal(inspected.code, 0, inspected.stderr);
  const original = await box.run(["skopeo", "inspect", "--raw", "--tls-verify=false", `docker://${IMAGE}`]);
  assert.equal(original.code, 0, original.stderr);
  assert.equal(inspected.stdout, original.stdout);
  const copied = await box.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", store, "dir:copy"]);
  assert.equal(copied.code, 0, copied.stderr);
}, { skip: skip || needs("skopeo") });

asBoth("podman loads what we save, and we what podman saves, with the same image id", async (box) => {
  const podman = (...args: string[]) => box.run(["podman", "--storage-driver", "vfs", ...args]);
  await box.succeed(["pull", "-q", IMAGE]);
  const id = (await imageId(box, IMAGE)).slice("sha256:".length);
  await box.succeed(["save", "-o", "ours.tar", IMAGE]);
  const loaded = await podman("load", "-q", "-i", "ours.tar");
  assert.equal(loaded.code, 0, loaded.stderr);
  assert.equal((await podman("images", "-q", "--no-trunc")).stdout.trim(), `sha256:${id}`);
  for (const format of ["docker-archive", "oci-archive"]) {
    const saved = await podman("save", "-q", "--format", format, "-o", `${format}.tar`, IMAGE);
    assert.equal(saved.code, 0, saved.stderr);
    await box.succeed(["rmi", "-f", id]);
    await box.succeed(["load", "-i", `${format}.tar`]);
    assert.equal(await imageId(box, IMAGE), `sha256:${id}`, format);
  }
  await podman("rmi", "-a", "-f");
  // ends the process that keeps its user namespace
  await podman("system", "migrate");
}, { skip: skip || needs("podman"), only: "sub" });
