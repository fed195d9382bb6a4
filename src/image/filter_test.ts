import assert from "node:assert/strict";
import { test } from "node:test";
import { makeTestStore } from "#storage/test_store.ts";
import { filterImages, LIST_FILTERS, parseImageFilters } from "./filter.ts";
import { getImage } from "./find.ts";
import { historyOf } from "./history.ts";
import { listImages } from "./list.ts";
import { compilePattern } from "./pattern.ts";
import { parsePointInTime } from "./point_in_time.ts";
import { addTestImage, NOW } from "./testing.ts";

test("patterns match as Go's path.Match does", () => {
  const table: [string, string, boolean][] = [
    ["alpine", "alpine", true],
    ["alp*", "alpine", true],
    ["*", "a/b", false],
    ["*/*", "a/b", true],
    ["a*c*e", "abcde", true],
    ["a*c*e", "abcdf", false],
    ["*b", "ab/b", false],
    ["a/*b", "a/xb", true],
    ["?lpine", "alpine", true],
    ["?", "/", false],
    ["[a-c]x", "bx", true],
    ["[^a-c]x", "bx", false],
    ["[^a-c]x", "dx", true],
    ["[^a]", "/", false],
    ["\\*", "*", true],
    ["\\*", "a", false],
    ["a*", "a", true],
    ["", "", true],
    ["", "a", false],
    ["*:3.1?", "alpine:3.19", true],
  ];
  for (const [pattern, text, expected] of table) {
    assert.equal(compilePattern(pattern)(text), expected, `${pattern} ~ ${text}`);
  }
  for (const bad of ["[", "[]", "[a", "[a-", "[a-]", "\\", "[-a]"]) {
    assert.throws(() => compilePattern(bad), { code: "FILTER_INVALID" }, bad);
  }
});

test("A-100 a hostile pattern takes no time", () => {
  assert.equal(compilePattern("a*".repeat(499) + "b")("a".repeat(5000)), false);
  assert.equal(compilePattern("*".repeat(1000))("a".repeat(5000)), true);
  assert.throws(() => compilePattern("a*".repeat(25_000)), { code: "FILTER_INVALID" });
});

test("points in time: durations, seconds, dates", () => {
  assert.equal(parsePointInTime("1h30m", NOW), NOW - 5_400_000);
  assert.equal(parsePointInTime("1.5s", NOW), NOW - 1500);
  assert.equal(parsePointInTime("1700000000.5", NOW), 1_700_000_000_500);
  assert.equal(parsePointInTime("2026-01-02T03:04:05Z", NOW), Date.parse("2026-01-02T03:04:05Z"));
  assert.equal(parsePointInTime("2026-01-02T03:04:05.000000001+02:00", NOW), Date.parse("2026-01-02T01:04:05Z"));
  assert.equal(parsePointInTime("2026-01-02", NOW), new Date(2026, 0, 2).getTime());
  for (const bad of ["", "yesterday", "h", "-1h", "1d", "2026-13-01", "9".repeat(50_000)]) {
    assert.throws(() => parsePointInTime(bad, NOW), { code: "TIME_INVALID" }, bad.slice(0, 20));
  }
});

test("images are filtered by reference, label, before, since and dangling", async () => {
  using t = makeTestStore();
  const at = (day: number) => `2026-01-0${day}T00:00:00Z`;
  await addTestImage(t.store, "alpine:3.19", { layers: ["1"], config: { created: at(1) } });
  await addTestImage(t.store, "quay.io/team/app:v1", {
    layers: ["2"],
    config: { created: at(2), config: { Labels: new Map([["__proto__", "x"]]) } },
  });
  await addTestImage(t.store, "debian:12", { layers: ["3"], config: { created: at(3) } });
  await addTestImage(t.store, undefined, { layers: ["4"], config: { created: at(4) } });
  const names = (...filters: string[]) =>
    filterImages(t.store, listImages(t.store).images, parseImageFilters(filters, LIST_FILTERS, NOW)).map((image) =>
      image.names[0]?.split("/").pop()
    );
  assert.deepEqual(names("reference=alpine"), ["alpine:3.19"]);
  assert.deepEqual(names("reference=alp*:3.*"), ["alpine:3.19"]);
  assert.deepEqual(names("reference=quay.io/*/app"), ["app:v1"]);
  assert.deepEqual(names("reference=alpine", "reference=debian"), ["debian:12", "alpine:3.19"]);
  assert.deepEqual(names("label=__proto__=x"), ["app:v1"]);
  assert.deepEqual(names("label=constructor"), []);
  assert.deepEqual(names("before=debian:12"), ["app:v1", "alpine:3.19"]);
  assert.deepEqual(names("since=alpine:3.19", "dangling=false"), ["debian:12", "app:v1"]);
  assert.deepEqual(names("dangling=true"), [undefined]);
  assert.deepEqual(names(`until=${at(2)}`), ["alpine:3.19"]);
});

test("history tells the steps, newest first, with the layer that each made", async () => {
  using t = makeTestStore();
  const history = [
    { created: "2026-01-01T00:00:00Z", created_by: "ADD rootfs", comment: "base" },
    { created_by: "ENV A=1", empty_layer: true },
    { created_by: "COPY b" },
  ];
  const { id } = await addTestImage(t.store, "h", { layers: ["a", "b", "untold"], config: { history } });
  const steps = historyOf(getImage(t.store, "h"), () => 7);
  assert.deepEqual(steps.map((step) => [step.id, step.createdBy, step.sizeBytes, step.comment]), [
    [id, "COPY b", 7, ""],
    [undefined, "ENV A=1", 0, ""],
    [undefined, "ADD rootfs", 7, "base"],
    [undefined, "", 7, ""],
  ]);
});
