import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../tests/support/random.ts";
import {
  encodeRequestHead,
  findHeadEnd,
  headerHasWord,
  headerValue,
  HttpSyntaxError,
  isReusable,
  parseChunkSize,
  parseResponseHead,
  planBody,
} from "./http1.ts";

const bytes = (text: string) => Buffer.from(text, "latin1");
const head = (...lines: string[]) => parseResponseHead(bytes(lines.join("\r\n") + "\r\n\r\n"));

test("a head is found and parsed, names in any case, fields that repeat kept in order", () => {
  const text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nLink: a\r\nLINK:  b \r\n\r\nhello";
  const end = findHeadEnd(bytes(text));
  assert.equal(text.slice(end), "hello");
  const parsed = parseResponseHead(bytes(text).subarray(0, end));
  assert.deepEqual([parsed.status, parsed.reason, parsed.minorVersion], [200, "OK", 1]);
  assert.deepEqual(parsed.headers.get("link"), ["a", "b"]);
  assert.equal(headerValue(parsed.headers, "content-length"), "5");
  assert.equal(findHeadEnd(bytes("HTTP/1.1 200 OK\r\nA: b\r\n")), -1);
  assert.equal(findHeadEnd(bytes("HTTP/1.1 200 OK\n\nx")), 17);
});

test("what is no HTTP/1 answer is refused", () => {
  for (
    const lines of [
      ["HTTP/2 200 OK"],
      ["HTTP/1.1 20 OK"],
      ["HTTP/1.1 2000 OK"],
      ["\x15\x03\x01"],
      ["HTTP/1.1 200 OK", "no colon"],
      ["HTTP/1.1 200 OK", " folded: x"],
      ["HTTP/1.1 200 OK", "a b: x"],
      ["HTTP/1.1 200 OK", ": x"],
      ["HTTP/1.1 200 OK", "a: x\0y"],
      ["HTTP/1.1 200 OK", ...Array.from({ length: 201 }, (_, at) => `h${at}: x`)],
    ]
  ) assert.throws(() => head(...lines), HttpSyntaxError, lines.join("|"));
});

test("the end of a body is known from the method, the status and the fields", () => {
  assert.deepEqual(planBody("GET", head("HTTP/1.1 200 OK", "Content-Length: 7")), { kind: "length", length: 7 });
  assert.deepEqual(planBody("GET", head("HTTP/1.1 200 OK", "Content-Length: 7, 7")), { kind: "length", length: 7 });
  assert.deepEqual(planBody("HEAD", head("HTTP/1.1 200 OK", "Content-Length: 7")), { kind: "none" });
  assert.deepEqual(planBody("GET", head("HTTP/1.1 204 No Content")), { kind: "none" });
  assert.deepEqual(planBody("GET", head("HTTP/1.1 200 OK")), { kind: "close" });
  assert.deepEqual(planBody("GET", head("HTTP/1.1 200 OK", "Transfer-Encoding: Chunked")), { kind: "chunked" });
  for (const value of ["7, 8", "-1", "1e3", "+7", "0x7", "", "99999999999999999"]) {
    assert.throws(() => planBody("GET", head("HTTP/1.1 200 OK", `Content-Length: ${value}`)), HttpSyntaxError, value);
  }
  assert.throws(() => planBody("GET", head("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked")), HttpSyntaxError);
});

test("a connection is kept only when nothing can be mistaken on it", () => {
  const reusable = (...lines: string[]) => {
    const parsed = head(...lines);
    return isReusable(parsed, planBody("GET", parsed));
  };
  assert.equal(reusable("HTTP/1.1 200 OK", "Content-Length: 0"), true);
  assert.equal(reusable("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close"), false);
  assert.equal(reusable("HTTP/1.0 200 OK", "Content-Length: 0"), false);
  assert.equal(reusable("HTTP/1.0 200 OK", "Content-Length: 0", "Connection: Keep-Alive"), true);
  assert.equal(reusable("HTTP/1.1 200 OK", "Content-Length: 3", "Transfer-Encoding: chunked"), false);
  assert.equal(reusable("HTTP/1.1 200 OK"), false);
  assert.equal(headerHasWord(head("HTTP/1.1 200 OK", "Connection: a, Close ").headers, "connection", "close"), true);
});

test("sizes of chunks are hex numbers, with extensions that are ignored", () => {
  assert.equal(parseChunkSize("1a"), 26);
  assert.equal(parseChunkSize("0; name=value"), 0);
  for (const line of ["", "-1", "0x1", "g", "1 2", "1".repeat(13)]) {
    assert.throws(() => parseChunkSize(line), HttpSyntaxError, line);
  }
});

test("A-017 nothing can be smuggled into a request's head", () => {
  assert.equal(
    Buffer.from(encodeRequestHead("GET", "/v2/", [["Host", "h"]])).toString(),
    "GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n",
  );
  for (const value of ["a\r\nX: y", "a\nb", "a\0b", "é€"]) {
    assert.throws(() => encodeRequestHead("GET", "/", [["A", value]]), HttpSyntaxError);
  }
  assert.throws(() => encodeRequestHead("GET", "/a b", []), HttpSyntaxError);
  assert.throws(() => encodeRequestHead("GET", "/", [["A:b", "c"]]), HttpSyntaxError);
});

test("whatever the bytes, a head is parsed or refused by our own error", () => {
  const seed = 3;
  const random = seededRandom(seed).fraction;
  const pieces = [
    "HTTP/1.1 200 OK",
    "\r\n",
    "\n",
    ":",
    " ",
    "a",
    "Content-Length",
    "Transfer-Encoding",
    "chunked",
    "5",
    "\0",
    "\xff",
    "-",
    ",",
  ];
  for (let round = 0; round < 20_000; round++) {
    let text = random() < 0.7 ? "HTTP/1.1 200 OK\r\n" : "";
    for (let left = Math.floor(random() * 12); left >= 0; left--) text += pieces[Math.floor(random() * pieces.length)];
    try {
      findHeadEnd(bytes(text));
      const parsed = parseResponseHead(bytes(text));
      isReusable(parsed, planBody("GET", parsed));
    } catch (error) {
      if (!(error instanceof HttpSyntaxError)) {
        throw new Error(`seed ${seed}: ${JSON.stringify(text)}`, { cause: error });
      }
    }
  }
});
