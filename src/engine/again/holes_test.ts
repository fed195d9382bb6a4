import { test } from "node:test";
import assert from "node:assert/strict";
import { fillHoles, findHoles, makeTokens, type OwnValues } from "./holes.ts";

const FIRST = "0123456789ab".padEnd(64, "c");
const VALUES: OwnValues = {
  id: "fedcba987654".padEnd(64, "d"),
  name: "calm_creek",
  created: "2026-01-02T03:04:05.678Z",
  ownerPid: 4711,
  startedMs: 1_700_000_000_000,
  ownerStartTime: "123456",
};
const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** What a tape holds of its container: paths, the host name, the record. */
const write = ({ id, name, ...rest }: OwnValues) =>
  `upperdir=/c/${id}/upper,workdir=/c/${id}/work\0HOSTNAME=${id.slice(0, 12)}\0${id}${
    id.slice(0, 12)
  }\0/names/${name}\0${JSON.stringify({ id, name, ...rest, name2: name })}\0`;

test("a tape of one container becomes that of another: strings end where they should, and JSON is the same", () => {
  const tokens = makeTokens(FIRST);
  const bytes = encode(write(tokens));
  fillHoles(bytes, findHoles(bytes, tokens), VALUES);
  const [mount, variable, ids, path, ...rest] = decode(bytes).split("\0");
  assert.equal(mount, `upperdir=/c/${VALUES.id}/upper,workdir=/c/${VALUES.id}/work`);
  assert.equal(variable, "HOSTNAME=fedcba987654");
  assert.equal(ids, VALUES.id + "fedcba987654");
  assert.equal(path, "/names/calm_creek");
  const record = rest.find((text) => text !== "")!;
  assert.deepEqual(JSON.parse(record), { ...VALUES, name2: VALUES.name });
  assert.equal(bytes.length, encode(write(tokens)).length);
});

test("a part of a larger buffer is filled by offsets of its own", () => {
  const tokens = makeTokens(FIRST);
  const all = encode(`${FIRST}\0${write(tokens)}`);
  const part = all.subarray(65);
  fillHoles(part, findHoles(part, tokens), VALUES);
  assert.ok(decode(part).startsWith(`upperdir=/c/${VALUES.id}/upper`));
  assert.deepEqual(all.subarray(0, 64), encode(FIRST));
});

test("bytes without the tokens have no holes", () => {
  assert.deepEqual(findHoles(encode(write(VALUES)), makeTokens(FIRST)), []);
  assert.deepEqual(findHoles(new Uint8Array(0), makeTokens(FIRST)), []);
});

test("a value that is longer than its hole is not written over what follows", () => {
  const tokens = makeTokens(FIRST);
  const bytes = encode(write(tokens));
  const holes = findHoles(bytes, tokens);
  assert.throws(() => fillHoles(bytes, holes, { ...VALUES, name: "n".repeat(65) }), RangeError);
});
