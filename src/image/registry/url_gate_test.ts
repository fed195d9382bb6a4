import assert from "node:assert/strict";
import { test } from "node:test";
import { RegistryError } from "./error.ts";
import { admitUrl, isLoopbackHost, isSameOrigin, showUrl } from "./url_gate.ts";

test("A-016 only http and https pass the gate, without user names, spaces and control characters", () => {
  assert.equal(admitUrl("https://h/x?y#z", "it").href, "https://h/x?y");
  assert.equal(admitUrl("/x", "it", new URL("https://h:1/a/b")).href, "https://h:1/x");
  assert.equal(admitUrl("//evil/x", "it", new URL("https://h:1/a/b")).href, "https://evil/x");
  for (
    const text of [
      "file:///etc/hostname",
      "data:text/plain,x",
      "blob:https://h/1",
      "ftp://h/x",
      "javascript:1",
      "unix:/run/x.sock",
      "https://user@h/",
      "https://user:password@h/",
      "https://reg@evil/",
      "ht\ttps://h/",
      "https://h/a b",
      "https://h/\r\nX: y",
      "https:\\\\h\\x",
      "https://",
      "",
      "/relative",
      "https://h:99999/",
      "https://" + "x".repeat(20_000),
    ]
  ) assert.throws(() => admitUrl(text, "it"), (error: RegistryError) => error.code === "URL_REFUSED", text);
  assert.throws(() => admitUrl("file:///x", "it", new URL("https://h/")), RegistryError);
});

test("the loopback is known in all its spellings", () => {
  for (
    const url of [
      "http://localhost",
      "http://LOCALHOST",
      "http://a.localhost",
      "http://127.0.0.1",
      "http://127.1",
      "http://2130706433",
      "http://0x7f.1",
      "http://[::1]",
      "http://[0:0:0:0:0:0:0:1]",
      "http://[::ffff:127.0.0.1]",
    ]
  ) {
    assert.equal(isLoopbackHost(new URL(url).hostname), true, url);
  }
  for (
    const url of [
      "http://localhost.evil",
      "http://127.0.0.1.evil",
      "http://128.0.0.1",
      "http://[::2]",
      "http://evil",
      "http://[::ffff:8.8.8.8]",
    ]
  ) {
    assert.equal(isLoopbackHost(new URL(url).hostname), false, url);
  }
});

test("an origin is scheme, host and port", () => {
  const same = (one: string, other: string) => isSameOrigin(new URL(one), new URL(other));
  assert.equal(same("https://h/x", "https://h:443/y"), true);
  assert.equal(same("https://h", "https://h:444"), false);
  assert.equal(same("https://h", "http://h"), false);
  assert.equal(same("https://h", "https://i"), false);
});

test("a URL is shown without its query", () => {
  assert.equal(showUrl(new URL("https://h:1/x?signature=secret")), "https://h:1/x?…");
});
