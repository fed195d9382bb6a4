import assert from "node:assert/strict";
import { test } from "node:test";
import { DugoutError } from "#oci/error.ts";
import type { ByteString } from "#tar/bytes.ts";
import { randomName } from "#tar/testing.ts";
import { seededRandom } from "../../tests/support/random.ts";
import { decodeRecord, encodeRecord, type LayerRecord, type PathRecord } from "./record.ts";

test("law: a record comes back as it was, whatever bytes its names are made of", () => {
  const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  const random = seededRandom(seed);
  for (let round = 0; round < 100; round++) {
    const path = () =>
      random.pick(["", "base64:", "__proto__", randomName(random, 30), randomName(random, 5)]) as ByteString;
    const paths = new Map<ByteString, PathRecord>();
    for (let i = random.below(10); i > 0; i--) {
      const one: PathRecord = {};
      if (random.below(2) === 0) one.uid = random.below(2 ** 32);
      if (random.below(2) === 0) one.mode = random.below(0o10000);
      if (random.below(3) === 0) one.device = { kind: "char", major: random.below(4096), minor: 1 };
      if (random.below(3) === 0) one.xattrs = { "user.a": "eQ==" };
      paths.set(path(), one);
    }
    const list = () => [...new Set(Array.from({ length: random.below(4) }, path))].sort();
    const record: LayerRecord = {
      diffId: "sha256:x",
      sizeBytes: random.below(2 ** 32),
      entries: 7,
      hasRoot: random.below(2) === 0,
      whiteouts: list(),
      opaques: list(),
      detached: list(),
      madeUp: list(),
      paths,
    };
    assert.deepEqual(decodeRecord(encodeRecord(record), "record"), record, `SEED=${seed}`);
  }
});

test("what is no record, or one of a newer version, is damage to the store", () => {
  const good = encodeRecord({
    diffId: "sha256:x",
    sizeBytes: 0,
    entries: 0,
    hasRoot: true,
    whiteouts: [],
    opaques: [],
    detached: [],
    madeUp: [],
    paths: new Map(),
  });
  for (const text of ["", "{", "null", "[]", good.slice(0, -9), good.replace('"version":1', '"version":2')]) {
    assert.throws(() => decodeRecord(text, "/store/record.json"), (error) => {
      return error instanceof DugoutError && error.code === "STORE_DAMAGED" &&
        error.message.includes("/store/record.json");
    });
  }
});
