import { test } from "node:test";
import assert from "node:assert/strict";
import { fillHoles, findHoles, replaceId } from "./plan_holes.ts";

const FIRST = "0123456789ab".padEnd(64, "c");
const SECOND = "fedcba987654".padEnd(64, "d");
const encode = (text: string) => new TextEncoder().encode(text);

/** What a tape holds of its container: paths, the host name, and both side by side. */
const write = (id: string) =>
  `upperdir=/c/${id}/upper,workdir=/c/${id}/work\0HOSTNAME=${id.slice(0, 12)}\0${id}${id.slice(0, 12)}\0/c/${id}`;

test("a tape of one container becomes that of another, to the byte", () => {
  const bytes = encode(write(FIRST));
  const holes = findHoles(bytes, FIRST);
  assert.deepEqual([holes.whole.length, holes.short.length], [4, 2]);
  fillHoles(bytes, holes, SECOND);
  assert.deepEqual(bytes, encode(write(SECOND)));
});

test("holes are found in a part of a larger buffer, and by their offsets in it", () => {
  const all = encode(`${FIRST}\0${write(FIRST)}`);
  const part = all.subarray(65);
  fillHoles(part, findHoles(part, FIRST), SECOND);
  assert.deepEqual(part, encode(write(SECOND)));
  assert.deepEqual(all.subarray(0, 64), encode(FIRST));
});

test("bytes without the id have no holes", () => {
  assert.deepEqual(findHoles(encode(write(SECOND)), FIRST), { whole: [], short: [] });
  assert.deepEqual(findHoles(new Uint8Array(0), FIRST), { whole: [], short: [] });
});

test("the id in a text is replaced as in a tape", () => {
  assert.equal(replaceId(write(FIRST), FIRST, SECOND), write(SECOND));
});
