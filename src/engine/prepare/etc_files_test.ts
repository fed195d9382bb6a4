import { test } from "node:test";
import assert from "node:assert/strict";
import { hostsText, resolvText } from "./etc_files.ts";

const NONE = { servers: [], searches: [], options: [] };

test("hosts names the container itself and what was added", () => {
  const text = hostsText(undefined, [{ name: "web", address: "10.0.0.2" }], [{ name: "db", address: "10.0.0.3" }]);
  assert.match(text, /^127\.0\.0\.1\tlocalhost\n/);
  assert.match(text, /\n10\.0\.0\.2\tweb\n10\.0\.0\.3\tdb\n$/);
});

test("C-138 with the host's network its own hosts file is seen as it is, added lines after it", () => {
  const text = hostsText("127.0.0.1 localhost\n192.0.2.1 site\n\n", [{ name: "web", address: "127.0.1.1" }], [
    { name: "db", address: "10.0.0.3" },
  ]);
  assert.equal(text, "127.0.0.1 localhost\n192.0.2.1 site\n10.0.0.3\tdb\n");
});

test("resolv.conf is the host's but for what was asked for", () => {
  const host = "# made by hand\nnameserver 192.0.2.53\nsearch corp.example\noptions ndots:2\n";
  assert.equal(resolvText(host, NONE), host);
  assert.equal(
    resolvText(host, { servers: ["192.0.2.1"], searches: ["a.example", "b.example"], options: ["timeout:1"] }),
    "# made by hand\nnameserver 192.0.2.1\nsearch a.example b.example\noptions timeout:1\n",
  );
  assert.equal(
    resolvText(host, { ...NONE, searches: ["."] }),
    "# made by hand\nnameserver 192.0.2.53\noptions ndots:2\n",
  );
});

test("C-093 an empty resolv.conf stays empty", () => {
  assert.equal(resolvText("", NONE), "");
});
