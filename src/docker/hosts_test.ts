import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import { parseDnsOption, parseDnsSearch, parseDnsServer, parseHostEntry, parseHostName } from "./hosts.ts";

test("a host has a name and an address", () => {
  assert.deepEqual(parseHostEntry("db:192.0.2.7"), { name: "db", address: "192.0.2.7" });
  assert.deepEqual(parseHostEntry("db=192.0.2.7"), { name: "db", address: "192.0.2.7" });
  assert.deepEqual(parseHostEntry("db.example:2001:db8::1"), { name: "db.example", address: "2001:db8::1" });
  assert.deepEqual(parseHostEntry("db:[::1]"), { name: "db", address: "::1" });
  assert.deepEqual(parseHostEntry("h:host-gateway"), { name: "h", address: { kind: "host-gateway" } });
});

const HOSTILE = [
  "",
  "a\nb",
  "a\0",
  "a b",
  "\x1b[2J",
  "a\r",
  "a\u0085b",
  "a\u2028b",
  "../a",
  "a/b",
  "a..b",
  "-a",
  "a-",
  ".a",
];

test("A-031 what would make a second line, or no name, is refused", () => {
  for (const text of HOSTILE) {
    assert.throws(() => parseHostEntry(`${text}:1.1.1.1`), DugoutError, text);
    assert.throws(() => parseHostName(text, "--hostname"), DugoutError, text);
    assert.throws(() => parseHostName(text, "--domainname"), DugoutError, text);
    assert.throws(() => parseDnsSearch(text), DugoutError, text);
    assert.throws(() => parseDnsServer(text), DugoutError, text);
    assert.throws(() => parseDnsOption(`${text} x`), DugoutError, text);
  }
  for (const text of ["x", "x:", "x:1.2.3", "x:1.1.1.1\ny:2.2.2.2", "x:host-gateway ", ":1.1.1.1", "x:1.1.1.1 y"]) {
    assert.throws(() => parseHostEntry(text), DugoutError, text);
  }
  assert.throws(() => parseHostName("a".repeat(65), "--hostname"), DugoutError);
});

test("names, search domains, servers and options are taken as they are", () => {
  assert.equal(parseHostName("a", "--hostname"), "a");
  assert.equal(parseHostName("My_host-1.example", "--hostname"), "My_host-1.example");
  assert.equal(parseDnsSearch("."), ".");
  assert.equal(parseDnsSearch("corp.example."), "corp.example");
  assert.equal(parseDnsSearch("_tcp.example"), "_tcp.example");
  assert.equal(parseDnsServer("::1"), "::1");
  assert.equal(parseDnsOption("ndots:2"), "ndots:2");
  assert.equal(parseDnsOption("use-vc"), "use-vc");
});
