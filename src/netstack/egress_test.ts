import assert from "node:assert/strict";
import test from "node:test";
import type { EgressRule } from "./control.ts";
import { makeEgress } from "./egress.ts";
import { parseIpAddress } from "./ip_address.ts";

const ip = (text: string) => parseIpAddress(text)!;
const A = ip("10.88.0.2");
const B = ip("10.88.0.3");
const rule = (action: "allow" | "deny", to: string | null, port: number | null = null): EgressRule => ({
  action,
  to,
  port,
});

test("without rules everything is allowed, with rules what no rule allows is denied, and others are not touched", () => {
  const egress = makeEgress();
  assert.ok(egress.permits(0, A, ip("192.0.2.1"), 80));
  assert.equal(egress.set(0, [A], [rule("deny", "192.0.2.9"), rule("allow", "192.0.2.0/24", 443)], false), undefined);
  assert.ok(egress.permits(0, A, ip("192.0.2.1"), 443));
  assert.ok(!egress.permits(0, A, ip("192.0.2.9"), 443));
  assert.ok(!egress.permits(0, A, ip("192.0.2.1"), 80));
  assert.ok(!egress.permits(0, A, ip("198.51.100.1"), 443));
  assert.ok(egress.permits(0, B, ip("198.51.100.1"), 443));
  assert.ok(egress.permits(1, A, ip("198.51.100.1"), 443), "the same address on another network");
  egress.set(0, [A], [], false);
  assert.ok(egress.permits(0, A, ip("198.51.100.1"), 443));
});

test("a name allows the addresses that the name server gave this container for it, and those below a star", () => {
  const egress = makeEgress();
  egress.set(0, [A], [rule("allow", "Example.org"), rule("allow", "*.example.net", 443)], true);
  assert.ok(!egress.permits(0, A, ip("192.0.2.1"), 80));
  egress.learn(0, A, "example.org.", "A", [ip("192.0.2.1")], 1);
  egress.learn(0, B, "example.org", "A", [ip("192.0.2.2")], 2);
  egress.learn(0, A, "www.example.net", "AAAA", [ip("2001:db8::1")], 3);
  egress.learn(0, A, "notexample.net", "A", [ip("192.0.2.3")], 4);
  assert.ok(egress.permits(0, A, ip("192.0.2.1"), 80));
  assert.ok(!egress.permits(0, A, ip("192.0.2.2"), 80), "what another container was told");
  assert.ok(egress.permits(0, A, ip("2001:db8::1"), 443));
  assert.ok(!egress.permits(0, A, ip("192.0.2.3"), 443));
  egress.note("tcp", 0, A, ip("192.0.2.1"), 80, "allowed", 5);
  assert.deepEqual(egress.read(0, [A], 2).map(({ text, verdict }) => `${text} ${verdict}`), [
    "notexample.net A allowed",
    "192.0.2.1:80 allowed",
  ]);
});

test("rules that are none are refused, and logs are bounded", () => {
  const egress = makeEgress();
  assert.match(egress.set(0, [A], [rule("allow", "not a name")], false) ?? "", /neither an address/);
  egress.set(0, [A], [], true);
  for (let i = 0; i < 3000; i++) egress.note("udp", 0, A, ip("192.0.2.1"), 1 + i, "denied", i);
  assert.equal(egress.read(0, [A], 5000).length, 1000);
  egress.forget(0);
  assert.deepEqual(egress.read(0, [A], 10), []);
});
