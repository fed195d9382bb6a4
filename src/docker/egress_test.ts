import { test } from "node:test";
import assert from "node:assert/strict";
import { parseEgress } from "./egress.ts";

test("where a container may connect to is read from names, addresses, ranges and ports", () => {
  assert.deepEqual(parseEgress("deny"), [{ action: "deny", to: undefined, port: undefined }]);
  assert.deepEqual(parseEgress("allow:Example.org:443,*.example.net,192.0.2.0/24:53,[2001:db8::/32]:80,fd00::1"), [
    { action: "allow", to: "example.org", port: 443 },
    { action: "allow", to: "*.example.net", port: undefined },
    { action: "allow", to: "192.0.2.0/24", port: 53 },
    { action: "allow", to: "2001:db8::/32", port: 80 },
    { action: "allow", to: "fd00::1", port: undefined },
  ]);
  for (
    const text of [
      "",
      "allow",
      "allow:",
      "allow:a,,b",
      "allow:1.2.3",
      "allow:10.0.0.0/33",
      "allow:a:0",
      "allow:a:70000",
      "deny:a",
      "allow:[x]",
      "allow:a..b",
      "allow:a b",
    ]
  ) {
    assert.throws(() => parseEgress(text), { code: "FLAG_INVALID" }, text);
  }
});
