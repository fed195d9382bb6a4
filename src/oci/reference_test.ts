import assert from "node:assert/strict";
import { test } from "node:test";
import { hashBytes } from "./digest.ts";
import { DugoutError } from "./error.ts";
import { seededRandom } from "../../tests/support/random.ts";
import {
  completeReference,
  familiarReference,
  familiarRepository,
  formatReference,
  isDomain,
  parseReference,
  parseTypedReference,
} from "./reference.ts";

const DIGEST = hashBytes("x");

test("a name without a domain is one of Docker's, a name without tag and digest means latest", () => {
  const table: [string, string, string][] = [
    ["debian", "docker.io/library/debian:latest", "debian:latest"],
    ["debian:12", "docker.io/library/debian:12", "debian:12"],
    ["library/debian", "docker.io/library/debian:latest", "debian:latest"],
    ["docker.io/debian", "docker.io/library/debian:latest", "debian:latest"],
    ["index.docker.io/debian", "docker.io/library/debian:latest", "debian:latest"],
    ["a/b", "docker.io/a/b:latest", "a/b:latest"],
    ["a/b/c:V1", "docker.io/a/b/c:V1", "a/b/c:V1"],
    ["localhost/x", "localhost/x:latest", "localhost/x:latest"],
    ["localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"],
    ["quay.io/a/b:1.2-3_4", "quay.io/a/b:1.2-3_4", "quay.io/a/b:1.2-3_4"],
    ["[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"],
    ["Host/x", "Host/x:latest", "Host/x:latest"],
    [`debian@${DIGEST}`, `docker.io/library/debian@${DIGEST}`, `debian@${DIGEST}`],
    [`debian:12@${DIGEST}`, `docker.io/library/debian:12@${DIGEST}`, `debian:12@${DIGEST}`],
    ["a__b/c--d.e_f", "docker.io/a__b/c--d.e_f:latest", "a__b/c--d.e_f:latest"],
  ];
  for (const [typed, full, familiar] of table) {
    const reference = parseReference(typed);
    assert.equal(formatReference(reference), full, typed);
    assert.equal(familiarReference(reference), familiar, typed);
    assert.deepEqual(parseReference(full), reference, typed);
  }
  assert.equal(familiarRepository(parseReference("docker.io/library/a/b")), "library/a/b");
});

test("a short name is told from one with a domain, so that registries.conf can decide", () => {
  assert.deepEqual(parseTypedReference("debian"), { path: "debian" });
  assert.deepEqual(parseTypedReference("a/b:1"), { path: "a/b", tag: "1" });
  assert.deepEqual(parseTypedReference("h:1/b"), { domain: "h:1", path: "b" });
  assert.deepEqual(completeReference({ path: "debian" }), {
    domain: "docker.io",
    path: "library/debian",
    tag: "latest",
  });
});

test("C-044 a name with a scheme says what to leave out", () => {
  for (const typed of ["http://h:5000/x", "https://h/x:1", "docker://x"]) {
    assert.throws(() => parseReference(typed), (error: DugoutError) => {
      assert.equal(error.code, "REFERENCE_INVALID");
      assert.match(error.hint ?? "", /Leave out/);
      return true;
    });
  }
});

test("what is no name is refused", () => {
  for (
    const typed of [
      "",
      "Debian",
      "a/B",
      "/x",
      "x/",
      "a//b",
      "a/./b",
      "a/../b",
      "..",
      "-a",
      "a-",
      "a___b",
      "a..b",
      "a:",
      "a:-x",
      "a:" + "x".repeat(129),
      "a:b:c",
      "a@",
      "a@sha256:12",
      "a@b@c",
      "h:99999/x",
      "h:0/x",
      "h:/x",
      "h.:80/x",
      "user@h.example/x",
      "user:pass@h.example/x",
      "h.example%0a/x",
      "a b",
      "a\nb",
      "a\u202eb",
      "é",
      "[::1/x",
      "[zz]:80/x",
      "a".repeat(64),
      "x".repeat(256),
    ]
  ) {
    assert.throws(() => parseReference(typed), DugoutError, JSON.stringify(typed));
  }
});

test("A-019 look-alikes of a host are other domains, never the same", () => {
  const domains = ["reg.example", "reg.example:443", "REG.example", "reg.example.evil.test", "evilreg.example"]
    .map((host) => parseReference(`${host}/x`).domain);
  assert.equal(new Set(domains).size, domains.length);
  assert.equal(isDomain("reg.example."), false);
});

test("A-100 a reference of 50 kB is refused at once, whatever it repeats", () => {
  const started = performance.now();
  for (const piece of ["a", "a-", "-", "_", ".", "a/", ":", "@", "[", "A"]) {
    const long = piece.repeat(50_000);
    assert.throws(() => parseReference(long), DugoutError);
    assert.throws(() => parseReference("x/" + long), DugoutError);
    isDomain(long);
  }
  assert.ok(performance.now() - started < 20_000);
});

test("whatever the text, a reference is parsed or refused by our own error, and what is parsed comes back the same", () => {
  const seed = 20_261;
  const random = seededRandom(seed).fraction;
  const alphabet = [
    "a",
    "b",
    "Z",
    "0",
    "9",
    ".",
    "-",
    "_",
    "/",
    ":",
    "@",
    "[",
    "]",
    "localhost",
    "sha256:",
    DIGEST,
    " ",
    "\0",
    "é",
    "%",
  ];
  let parsed = 0;
  for (let round = 0; round < 20_000; round++) {
    let text = "";
    for (let left = Math.floor(random() * 8); left >= 0; left--) {
      text += alphabet[Math.floor(random() * alphabet.length)];
    }
    try {
      const reference = parseReference(text);
      parsed++;
      assert.deepEqual(parseReference(formatReference(reference)), reference, `seed ${seed}: ${text}`);
      assert.deepEqual(parseReference(familiarReference(reference)), reference, `seed ${seed}: ${text}`);
    } catch (error) {
      if (!(error instanceof DugoutError)) throw new Error(`seed ${seed}: ${JSON.stringify(text)}`, { cause: error });
    }
  }
  assert.ok(parsed > 500);
});
