import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../tests/support/random.ts";
import { parseChallenges } from "./challenge.ts";

const plain = (header: string) =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

test("challenges are parsed, several in one header, quoted or not", () => {
  assert.deepEqual(plain('Bearer realm="https://a/token",service="reg",scope="repository:x:pull,push"'), [
    ["bearer", { realm: "https://a/token", service: "reg", scope: "repository:x:pull,push" }],
  ]);
  assert.deepEqual(plain('Basic realm="x", Bearer realm = "https://a" , service=b'), [
    ["basic", { realm: "x" }],
    ["bearer", { realm: "https://a", service: "b" }],
  ]);
  assert.deepEqual(plain('Bearer realm="a\\"b\\\\c"'), [["bearer", { realm: 'a"b\\c' }]]);
  assert.deepEqual(plain("Negotiate, Basic realm=x"), [["negotiate", {}], ["basic", { realm: "x" }]]);
  assert.deepEqual(plain('Bearer realm="first",realm="second"'), [["bearer", { realm: "first" }]]);
});

test("what cannot be understood ends the parse, and what came before it counts", () => {
  assert.deepEqual(plain(""), []);
  assert.deepEqual(plain('realm="x"'), []);
  assert.deepEqual(plain('Basic realm="open'), [["basic", {}]]);
  assert.deepEqual(plain("Basic ;;;"), [["basic", {}]]);
});

test("A-100 quotes and backslashes by the ten thousand are parsed at once", () => {
  const started = performance.now();
  for (const piece of ['"', "\\", 'a="', "a=b,", "a ", ",", 'x="\\"', "Bearer "]) {
    parseChallenges("Bearer " + piece.repeat(50_000));
  }
  assert.ok(performance.now() - started < 20_000);
});

test("whatever the text, challenges are parsed without an error", () => {
  const random = seededRandom(5).fraction;
  const pieces = ["Bearer", "Basic", " ", ",", "=", '"', "\\", "realm", "x", "\0", "é", "\t"];
  for (let round = 0; round < 20_000; round++) {
    let text = "";
    for (let left = Math.floor(random() * 15); left >= 0; left--) text += pieces[Math.floor(random() * pieces.length)];
    parseChallenges(text);
  }
});
