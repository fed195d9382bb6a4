import assert from "node:assert/strict";
import { test } from "node:test";
import { DugoutError } from "./error.ts";
import {
  choosePlatform,
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  parsePlatform,
  type Platform,
  scorePlatform,
} from "./platform.ts";

const AMD64: Platform = { os: "linux", architecture: "amd64" };
const ARM64: Platform = { os: "linux", architecture: "arm64" };

test("a platform is parsed with the host's parts where some are left out", () => {
  const table: [string, string][] = [
    ["linux/amd64", "linux/amd64"],
    ["linux/x86_64", "linux/amd64"],
    ["amd64", "linux/amd64"],
    ["aarch64", "linux/arm64"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm64/8", "linux/arm64"],
    ["linux/arm", "linux/arm/v7"],
    ["linux/arm/v6", "linux/arm/v6"],
    ["armhf", "linux/arm/v7"],
    ["armel", "linux/arm/v6"],
    ["linux", "linux/amd64"],
    ["windows/amd64", "windows/amd64"],
    ["LINUX/AMD64", "linux/amd64"],
    ["linux/s390x", "linux/s390x"],
    ["linux/amd64/v3", "linux/amd64/v3"],
  ];
  for (const [typed, expected] of table) assert.equal(formatPlatform(parsePlatform(typed, AMD64)), expected, typed);
});

test("what is no platform is refused by our own error", () => {
  for (const typed of ["", "/", "linux/", "a/b/c/d", "plan9", "linux/amd64\n", "../x", "x".repeat(200), "linux//v8"]) {
    assert.throws(() => parsePlatform(typed, AMD64), DugoutError, typed);
  }
});

test("the host's platform has Go's names", () => {
  assert.equal(formatPlatform(hostPlatform("x64")), "linux/amd64");
  assert.equal(formatPlatform(hostPlatform("arm64")), "linux/arm64");
});

test("C-029 an entry of platform unknown/unknown is never chosen, not even when it is asked for", () => {
  const unknown: Platform = { os: "unknown", architecture: "unknown" };
  assert.equal(scorePlatform(unknown, unknown), 0);
  assert.equal(choosePlatform([{ platform: unknown }], AMD64), undefined);
  assert.deepEqual(choosePlatform([{ platform: unknown, id: 1 }, { platform: AMD64, id: 2 }], AMD64)?.id, 2);
});

test("the best variant wins, and a variant above the processor's is not chosen", () => {
  const variants = (architecture: string, ...names: (string | undefined)[]) =>
    names.map((variant) => ({
      platform: { os: "linux", architecture, ...(variant === undefined ? {} : { variant }) },
      variant,
    }));
  assert.equal(choosePlatform(variants("arm", "v5", "v7", "v6"), parsePlatform("linux/arm/v7"))?.variant, "v7");
  assert.equal(choosePlatform(variants("arm", "v5", "v6"), parsePlatform("linux/arm/v7"))?.variant, "v6");
  assert.equal(choosePlatform(variants("arm", "v7"), parsePlatform("linux/arm/v6")), undefined);
  assert.equal(choosePlatform(variants("arm64", "v8"), ARM64)?.variant, "v8");
  assert.equal(choosePlatform(variants("arm64", undefined), parsePlatform("linux/arm64/v8")) !== undefined, true);
  assert.equal(choosePlatform(variants("amd64", "v3", undefined), AMD64)?.variant, undefined);
  assert.equal(choosePlatform(variants("amd64", undefined, "v2"), parsePlatform("linux/amd64/v3"))?.variant, "v2");
  assert.equal(choosePlatform(variants("amd64", "v3"), AMD64), undefined);
});

test("an entry without a platform is taken only when no other fits, the first of equals wins", () => {
  const bare: { platform?: Platform; id: number } = { id: 1 };
  assert.equal(choosePlatform([bare, { platform: AMD64, id: 2 }, { platform: AMD64, id: 3 }], AMD64)?.id, 2);
  assert.equal(choosePlatform([bare, { platform: ARM64, id: 2 }], AMD64)?.id, 1);
});

test("normalizing twice changes nothing more", () => {
  for (const architecture of ["x86_64", "aarch64", "armhf", "arm", "weird"]) {
    const once = normalizePlatform({ os: "Linux", architecture });
    assert.deepEqual(normalizePlatform(once), once);
  }
});
