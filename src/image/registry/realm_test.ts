import assert from "node:assert/strict";
import { test } from "node:test";
import { RegistryError } from "./error.ts";
import { admitRealm, siteOf } from "./realm.ts";

const decide = (realm: string, registry: string, trusted: string[] = []): string => {
  try {
    return admitRealm(realm, new URL(registry), trusted).isTrusted ? "trusted" : "anonymous";
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
};

test("A-015 credentials go to the registry's own origin, host or site, and to Docker's token server", () => {
  assert.equal(decide("https://reg.example/token", "https://reg.example"), "trusted");
  assert.equal(decide("https://reg.example:8443/token", "https://reg.example"), "trusted");
  assert.equal(decide("https://auth.example.com/token", "https://reg.example.com"), "trusted");
  assert.equal(decide("https://gitlab.example.com/jwt", "https://registry.gitlab.example.com"), "trusted");
  assert.equal(decide("https://auth.docker.io/token", "https://registry-1.docker.io"), "trusted");
  assert.equal(decide("http://127.0.0.1:5001/token", "http://127.0.0.1:5000"), "trusted");
});

test("A-015 a realm of another site is asked without credentials, unless the configuration names it", () => {
  assert.equal(decide("https://evil.test/token", "https://reg.example"), "anonymous");
  assert.equal(decide("https://reg.example.evil.test/token", "https://reg.example"), "anonymous");
  assert.equal(decide("https://evilreg.example/token", "https://reg.example"), "anonymous");
  assert.equal(decide("https://b.co.uk/token", "https://a.co.uk"), "anonymous");
  assert.equal(decide("https://mine.azurecr.io/token", "https://yours.azurecr.io"), "anonymous");
  assert.equal(decide("https://10.0.0.2/token", "https://10.0.0.1"), "anonymous");
  assert.equal(decide("https://auth.docker.io/token", "https://reg.example"), "anonymous");
  assert.equal(decide("https://evil.test/token", "https://reg.example", ["evil.test"]), "trusted");
});

test("A-015 a realm without TLS, with a user name, of another scheme or on our loopback is refused", () => {
  assert.equal(decide("http://reg.example/token", "https://reg.example"), "URL_REFUSED");
  assert.equal(decide("https://reg@evil/token", "https://reg.example"), "URL_REFUSED");
  assert.equal(decide("file:///etc/passwd", "https://reg.example"), "URL_REFUSED");
  assert.equal(decide("", "https://reg.example"), "URL_REFUSED");
  assert.equal(decide("https://127.0.0.1/token", "https://reg.example"), "URL_REFUSED");
  assert.equal(decide("http://localhost:8080/token", "http://reg.example"), "URL_REFUSED");
});

test("the site of a host is what somebody registered", () => {
  const table: [string, string][] = [
    ["auth.docker.io", "docker.io"],
    ["a.b.c.example.com", "example.com"],
    ["a.example.co.uk", "example.co.uk"],
    ["localhost", "localhost"],
    ["10.1.2.3", "10.1.2.3"],
    ["x.y.azurecr.io", "x.y.azurecr.io"],
    ["::1", "::1"],
  ];
  for (const [host, site] of table) assert.equal(siteOf(host), site, host);
});
