import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeTestStore } from "./test_store.ts";
import { detachVolume, findVolumeRemains, listVolumes, makeVolume, openVolumes, readVolume } from "./volumes.ts";

const NONE: ReadonlyMap<string, string> = new Map();
const spec = (name: string | undefined, labels = NONE, options = NONE) => ({ name, labels, options });

test("a volume is made once, and then taken as it is", () => {
  using store = makeTestStore();
  const volumes = openVolumes(store.root);
  const first = makeVolume(volumes, spec("data", new Map([["__proto__", "x"], ["a", "b"]])));
  assert.equal(first.isNew, true);
  writeFileSync(join(first.volume.data, "file"), "content");
  const second = makeVolume(volumes, spec("data", new Map([["other", "label"]])));
  assert.equal(second.isNew, false);
  assert.deepEqual([...second.volume.labels], [["__proto__", "x"], ["a", "b"]]);
  assert.deepEqual(readdirSync(second.volume.data), ["file"]);
  assert.deepEqual(readdirSync(volumes), ["data"]);
});

test("C-061 a volume's directory is open to the container's users, whatever the caller's umask, and its place to nobody", () => {
  using store = makeTestStore();
  const before = process.umask(0o077);
  try {
    const { volume } = makeVolume(openVolumes(store.root), spec("data"));
    assert.equal(statSync(volume.data).mode & 0o7777, 0o755);
    assert.equal(statSync(volume.path).mode & 0o7777, 0o700);
  } finally {
    process.umask(before);
  }
});

test("a volume without a name has a random one, and is known as such", () => {
  using store = makeTestStore();
  const volumes = openVolumes(store.root);
  const { volume } = makeVolume(volumes, spec(undefined));
  assert.match(volume.name, /^[0-9a-f]{64}$/);
  assert.equal(volume.isAnonymous, true);
  assert.equal(makeVolume(volumes, spec("named")).volume.isAnonymous, false);
  assert.deepEqual(new Set(listVolumes(volumes).volumes.map(({ name }) => name)), new Set([volume.name, "named"]));
});

test("a volume with other options is another one", () => {
  using store = makeTestStore();
  const volumes = openVolumes(store.root);
  const options = new Map([["type", "tmpfs"]]);
  makeVolume(volumes, spec("data", NONE, options));
  assert.equal(makeVolume(volumes, spec("data", NONE, options)).isNew, false);
  assert.equal(makeVolume(volumes, spec("data")).volume.options.get("type"), "tmpfs");
  assert.throws(() => makeVolume(volumes, spec("data", NONE, new Map([["o", "size=1m"]]))), { code: "VOLUME_EXISTS" });
});

test("names that are none are refused, and what is no volume is not listed", () => {
  using store = makeTestStore();
  const volumes = openVolumes(store.root);
  for (const name of ["", ".", "..", "../x", "a/b", ".hidden", "-rf", "a b", "a\n", "é", "x".repeat(256)]) {
    assert.throws(() => makeVolume(volumes, spec(name)), { code: "VOLUME_NAME_INVALID" }, name);
    assert.throws(() => readVolume(volumes, name), { code: "VOLUME_NAME_INVALID" }, name);
  }
  mkdirSync(join(volumes, "broken"));
  mkdirSync(join(volumes, "odd"));
  writeFileSync(join(volumes, "odd/volume.json"), "{");
  writeFileSync(join(volumes, "file"), "");
  makeVolume(volumes, spec("good"));
  const { volumes: found, damaged } = listVolumes(volumes);
  assert.deepEqual(found.map(({ name }) => name), ["good"]);
  assert.ok(damaged.includes("broken") && damaged.includes("odd"));
  assert.throws(() => makeVolume(volumes, spec("broken")), { code: "VOLUME_DAMAGED" });
  assert.throws(() => readVolume(volumes, "odd"), { code: "VOLUME_DAMAGED" });
  // as the error advises
  writeFileSync(join(volumes, "broken/volume.json"), "{}");
  assert.equal(makeVolume(volumes, spec("broken")).isNew, false);
});

test("a volume that is removed is out of sight at once, and the rest of a removal is found when its process is gone", () => {
  using store = makeTestStore();
  const volumes = openVolumes(store.root);
  makeVolume(volumes, spec("data"));
  const detached = detachVolume(volumes, "data");
  assert.ok(detached !== undefined && existsSync(join(detached, "_data")));
  assert.equal(readVolume(volumes, "data"), undefined);
  assert.equal(detachVolume(volumes, "data"), undefined);
  // ours is at work
  assert.deepEqual(findVolumeRemains(volumes), []);
  rmSync(detached, { recursive: true });
});
