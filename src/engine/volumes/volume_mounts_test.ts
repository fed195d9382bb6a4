import assert from "node:assert/strict";
import { test } from "node:test";
import { newRunRequest } from "#docker/run_request.ts";
import type { Digest } from "#oci/digest.ts";
import type { Engine } from "../engine.ts";
import { needsOpening, type OpenedImage, type OpenedVolume, plainMounts, volumeMounts } from "./volume_mounts.ts";

const engine = { host: { mountSetattr: true } } as Engine;
const volume: OpenedVolume = {
  kind: "volume",
  name: "data",
  isAnonymous: false,
  path: "/v/data",
  source: "/v/data/_data",
  target: "/data",
  readOnly: false,
  noCopy: false,
  subpath: undefined,
  options: new Map(),
};
const image: OpenedImage = {
  kind: "image",
  image: "debian",
  imageId: `sha256:${"0".repeat(64)}` as Digest,
  lowers: ["/l/1", "/l/0"],
  place: "/c/image-0",
  target: "/i",
  subpath: undefined,
};

test("a volume is bound; a part of it by the kernel's own search", () => {
  assert.deepEqual(volumeMounts(engine, [volume, { ...volume, readOnly: true, subpath: "a/b" }]), [
    { destination: "/data", type: "bind", source: "/v/data/_data", options: ["bind", "rprivate"] },
    {
      destination: "/data",
      type: "bind",
      source: "/v/data/_data",
      options: ["bind", "rprivate", "ro", "x-subpath=a/b"],
    },
  ]);
});

test("a volume that stands for a tmpfs or a directory is one", () => {
  const of = (options: [string, string][]) => volumeMounts(engine, [{ ...volume, options: new Map(options) }])[0];
  assert.deepEqual(of([["type", "tmpfs"], ["o", "size=1m,mode=700"]]), {
    destination: "/data",
    type: "tmpfs",
    source: "tmpfs",
    options: ["size=1m", "mode=700"],
  });
  assert.deepEqual(of([["type", "none"], ["o", "bind,ro"], ["device", "/srv"]]), {
    destination: "/data",
    type: "bind",
    source: "/srv",
    options: ["bind", "ro", "rprivate"],
  });
});

test("an image is read-only always: one layer as it is, several over each other", () => {
  assert.deepEqual(volumeMounts(engine, [image, { ...image, lowers: ["/l/0"], subpath: "etc" }]), [
    {
      destination: "/i",
      type: "overlay",
      source: "/c/image-0",
      options: ["ro", "nosuid", "nodev", "x-lower=/l/1", "x-lower=/l/0"],
    },
    {
      destination: "/i",
      type: "bind",
      source: "/l/0",
      options: ["bind", "rprivate", "ro", "nosuid", "nodev", "x-subpath=etc"],
    },
  ]);
});

test("a run without volumes and images needs nothing opened", () => {
  const request = newRunRequest("image");
  assert.equal(needsOpening(request, {}), false);
  assert.equal(needsOpening(request, { Volumes: [] }), false);
  assert.equal(needsOpening(request, { Volumes: ["/data"] }), true);
  assert.equal(needsOpening({ ...request, volumesFrom: [{ container: "x", readOnly: undefined }] }, {}), true);
  assert.deepEqual(plainMounts(request), []);
});
