import assert from "node:assert/strict";
import { test } from "node:test";
import { DugoutError } from "#oci/error.ts";
import { findProxy, isProxyExcluded } from "./proxy.ts";

const find = (url: string, env: Record<string, string>) => findProxy(new URL(url), env);

test("the proxy is chosen by the scheme of the address, lower-case names first", () => {
  assert.deepEqual(find("https://h/", { HTTPS_PROXY: "http://p:3128" }), { hostname: "p", port: 3128 });
  assert.deepEqual(find("https://h/", { HTTPS_PROXY: "http://p:3128", https_proxy: "q" }), { hostname: "q", port: 80 });
  assert.equal(find("http://h/", { HTTPS_PROXY: "http://p:3128" }), undefined);
  assert.deepEqual(find("https://h/", { HTTPS_PROXY: "http://u:p%40@p" }), {
    hostname: "p",
    port: 80,
    authorization: `Basic ${btoa("u:p@")}`,
  });
  assert.equal(find("http://127.0.0.1:5000/", { HTTP_PROXY: "http://p" }), undefined);
  assert.equal(find("https://h/", {}), undefined);
});

test("a proxy of another scheme is refused, without showing its password", () => {
  assert.throws(() => find("https://h/", { HTTPS_PROXY: "socks5://u:secret@p" }), (error: DugoutError) => {
    assert.equal(error.code, "PROXY_INVALID");
    assert.ok(!error.message.includes("secret"));
    return true;
  });
  assert.throws(() => find("https://h/", { HTTPS_PROXY: "http://:::" }), DugoutError);
});

test("NO_PROXY names hosts, what is below them, addresses, ranges and ports", () => {
  const excluded = (host: string, noProxy: string) => isProxyExcluded(new URL(`https://${host}/`), noProxy);
  assert.equal(excluded("h", "*"), true);
  assert.equal(excluded("a.example.com", "example.com"), true);
  assert.equal(excluded("a.example.com", ".example.com"), true);
  assert.equal(excluded("a.example.com", "*.example.com"), true);
  assert.equal(excluded("aexample.com", "example.com"), false);
  assert.equal(excluded("H.example", " x, h.example ,"), true);
  assert.equal(excluded("h:5000", "h:5000"), true);
  assert.equal(excluded("h:5001", "h:5000"), false);
  assert.equal(excluded("10.1.2.3", "10.0.0.0/8"), true);
  assert.equal(excluded("11.1.2.3", "10.0.0.0/8"), false);
  assert.equal(excluded("10.1.2.3", "10.0.0.0/33"), false);
  assert.equal(excluded("[fd00::1]", "fd00::1"), true);
  assert.equal(excluded("h", ""), false);
});
