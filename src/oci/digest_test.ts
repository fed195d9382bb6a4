import assert from "node:assert/strict";
import { test } from "node:test";
import { createDigester, digestAlgorithm, digestHex, hashBytes, isDigest, parseDigest } from "./digest.ts";
import { DugoutError } from "./error.ts";

const HEX = "0123456789abcdef".repeat(4);

test("A-014 a digest is an algorithm that is taken and exactly its number of lower-case hex digits", () => {
  assert.equal(parseDigest(`sha256:${HEX}`), `sha256:${HEX}`);
  assert.equal(parseDigest(`sha512:${HEX}${HEX}`), `sha512:${HEX}${HEX}`);
  for (
    const hostile of [
      "sha256:../../../canary",
      `sha256:${HEX.toUpperCase()}`,
      `sha256:${HEX.slice(1)}`,
      `sha256:${HEX}0`,
      `sha256:${HEX}/x`,
      `SHA256:${HEX}`,
      `sha256:${HEX}\n`,
      ` sha256:${HEX}`,
      `sha512:${HEX}`,
      HEX,
      "sha256:",
      ":",
      "",
      `sha256:${HEX.slice(2)}..`,
    ]
  ) {
    assert.equal(isDigest(hostile), false, hostile);
    assert.throws(() => parseDigest(hostile), DugoutError, hostile);
  }
});

test("A-014 another algorithm is refused by its name", () => {
  assert.throws(() => parseDigest("md5:d41d8cd98f00b204e9800998ecf8427e"), (error: DugoutError) => {
    assert.equal(error.code, "DIGEST_UNSUPPORTED");
    assert.match(error.message, /"md5"/);
    return true;
  });
});

test("hashing at once and piece by piece give the same digest", () => {
  const digester = createDigester();
  digester.update(new TextEncoder().encode("ab"));
  digester.update(new TextEncoder().encode("c"));
  const digest = digester.finish();
  assert.equal(digest, hashBytes("abc"));
  assert.equal(digest, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert.equal(digestAlgorithm(digest), "sha256");
  assert.equal(digestHex(digest).length, 64);
  assert.equal(digestAlgorithm(hashBytes("abc", "sha512")), "sha512");
});
