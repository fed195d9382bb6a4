import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DugoutError } from "#oci/error.ts";
import { formatReference, parseReference, parseTypedReference } from "#oci/reference.ts";
import { hasCode } from "./error.ts";
import { listRegistriesConf, loadRegistriesConf } from "./load_registries_conf.ts";
import { parseOwnConf } from "./own_conf.ts";
import { expandName, matchPrefix, planEndpoints } from "./plan_endpoints.ts";
import { EMPTY_REGISTRIES_CONF, mergeRegistriesConf, parseRegistriesConf } from "./registries_conf.ts";

const conf = async (...texts: string[]) =>
  mergeRegistriesConf(
    await Promise.all(
      texts.map(async (text, at) => ({ file: `file${at}`, parsed: await parseRegistriesConf(text, `file${at}`) })),
    ),
  );
const plan = (from: Awaited<ReturnType<typeof conf>>, name: string, options = {}) =>
  planEndpoints(from, parseReference(name), options).map(({ host, repository, isInsecure }) =>
    `${host}/${repository}${isInsecure ? " insecure" : ""}`
  );
const DIGEST = "@sha256:" + "a".repeat(64);

test("without configuration an image is asked for where its name says, and a short name is Docker's", () => {
  assert.deepEqual(plan(EMPTY_REGISTRIES_CONF, "debian"), ["docker.io/library/debian"]);
  assert.deepEqual(plan(EMPTY_REGISTRIES_CONF, "h:5000/x"), ["h:5000/x"]);
  assert.deepEqual(plan(EMPTY_REGISTRIES_CONF, "h:5000/x", { tlsVerify: false }), ["h:5000/x insecure"]);
  assert.deepEqual(expandName(EMPTY_REGISTRIES_CONF, parseTypedReference("debian:12")).map(formatReference), [
    "docker.io/library/debian:12",
  ]);
});

test("the example of containers-registries.conf(5): mirrors in order, then the location", async () => {
  const example = await conf(`
    unqualified-search-registries = ["example.com"]
    [[registry]]
    prefix = "example.com/foo"
    insecure = false
    location = "internal.example.net/bar"
    [[registry.mirror]]
    location = "mirror-0.local/mirror-for-foo"
    [[registry.mirror]]
    location = "mirror-1.local/mirrors/foo"
    insecure = true
    [[registry]]
    location = "registry.com"
    [[registry.mirror]]
    location = "mirror.registry.com"
  `);
  assert.deepEqual(plan(example, "example.com/foo/image"), [
    "mirror-0.local/mirror-for-foo/image",
    "mirror-1.local/mirrors/foo/image insecure",
    "internal.example.net/bar/image",
  ]);
  assert.deepEqual(plan(example, "registry.com/image"), ["mirror.registry.com/image", "registry.com/image"]);
  assert.deepEqual(plan(example, "example.com/foobar"), ["example.com/foobar"]);
  assert.deepEqual(expandName(example, parseTypedReference("image")).map(formatReference), [
    "example.com/image:latest",
  ]);
});

test("a prefix covers whole parts of a name, a wildcard whole hosts", () => {
  const table: [string, string, boolean][] = [
    ["h.example/a/b:1", "h.example", true],
    ["h.example/a/b:1", "h.example/a", true],
    ["h.example/a/b:1", "h.example/a/b", true],
    ["h.example/a/b:1", "h.example/a/b:1", true],
    ["h.example/a/b:1", "h.example/a/b:", false],
    ["h.example/ab", "h.example/a", false],
    ["h.example.evil/a", "h.example", false],
    ["h.example:5000/a", "h.example", true],
    ["a.h.example/x", "*.h.example", true],
    ["a.b.h.example/x", "*.h.example", true],
    ["a.h.example:5000/x", "*.h.example", true],
    ["h.example/x", "*.h.example", false],
    ["ah.example/x", "*.h.example", false],
    ["evil/a.h.example/x", "*.h.example", false],
    ["a.h.example.evil/x", "*.h.example", false],
  ];
  for (const [name, prefix, matches] of table) {
    assert.equal(matchPrefix(name, prefix) > 0, matches, `${name} ${prefix}`);
  }
});

test("the longest prefix counts; wildcards can be moved, blocked or be insecure", async () => {
  const rules = await conf(`
    [[registry]]
    prefix = "h.example"
    blocked = true
    [[registry]]
    prefix = "h.example/free"
    [[registry]]
    prefix = "*.w.example"
    insecure = true
    [[registry]]
    prefix = "*.moved.example"
    location = "new.example/old"
  `);
  assert.throws(() => plan(rules, "h.example/x"), (error: DugoutError) => {
    assert.equal(error.code, "BLOCKED");
    assert.match(error.message, /blocked by "file0"/);
    return true;
  });
  assert.deepEqual(plan(rules, "h.example/free/x"), ["h.example/free/x"]);
  assert.deepEqual(plan(rules, "a.w.example/x"), ["a.w.example/x insecure"]);
  assert.deepEqual(plan(rules, "a.moved.example/x/y"), ["new.example/old/x/y"]);
});

test("mirrors for digests alone and for tags alone", async () => {
  const rules = await conf(`
    [[registry]]
    location = "a.example"
    mirror-by-digest-only = true
    [[registry.mirror]]
    location = "m.example"
    [[registry]]
    location = "b.example"
    [[registry.mirror]]
    location = "digest.example"
    pull-from-mirror = "digest-only"
    [[registry.mirror]]
    location = "tag.example"
    pull-from-mirror = "tag-only"
  `);
  assert.deepEqual(plan(rules, "a.example/x:1"), ["a.example/x"]);
  assert.deepEqual(plan(rules, `a.example/x${DIGEST}`), ["m.example/x", "a.example/x"]);
  assert.deepEqual(plan(rules, "b.example/x:1"), ["tag.example/x", "b.example/x"]);
  assert.deepEqual(plan(rules, `b.example/x:1${DIGEST}`), ["digest.example/x", "b.example/x"]);
});

test("Docker's names are matched in full, and a location there gets its library", async () => {
  const rules = await conf(
    '[[registry]]\nprefix = "docker.io"\nlocation = "cache.example/hub"\n[[registry]]\nprefix = "r.example"\nlocation = "docker.io"',
  );
  assert.deepEqual(plan(rules, "debian"), ["cache.example/hub/library/debian"]);
  assert.deepEqual(plan(rules, "r.example/debian"), ["docker.io/library/debian"]);
});

test("A-022 short names: an alias, else the search registries in order, else an error where one meaning is demanded", async () => {
  const text =
    'unqualified-search-registries = ["a.example", "b.example:5000"]\n[aliases]\n"debian" = "c.example/os/debian"\n"__proto__" = "p.example/x"\n';
  const names = async (more: string, name: string) =>
    expandName(await conf(text, more), parseTypedReference(name)).map(formatReference);
  assert.deepEqual(await names("", "debian:12"), ["c.example/os/debian:12"]);
  assert.deepEqual(await names("", "me/x"), ["a.example/me/x:latest", "b.example:5000/me/x:latest"]);
  assert.deepEqual(await names("", "docker.io/me/x"), ["docker.io/me/x:latest"]);
  assert.deepEqual(await names('[aliases]\n"debian" = ""', "debian"), [
    "a.example/debian:latest",
    "b.example:5000/debian:latest",
  ]);
  assert.deepEqual(await names('short-name-mode = "enforcing"', "debian"), ["c.example/os/debian:latest"]);
  await assert.rejects(
    names('short-name-mode = "enforcing"', "me/x"),
    (error) => hasCode(error, "SHORT_NAME_AMBIGUOUS"),
  );
  assert.deepEqual(await names('unqualified-search-registries = ["d.example"]\nshort-name-mode = "enforcing"', "x"), [
    "d.example/x:latest",
  ]);
  assert.deepEqual(await names("unqualified-search-registries = []", "x"), ["docker.io/library/x:latest"]);
});

test("version 1 lists are understood, mixtures are not", async () => {
  const rules = await conf(
    "[registries.search]\nregistries = ['a.example']\n[registries.insecure]\nregistries = ['i.example']\n[registries.block]\nregistries = ['b.example']",
  );
  assert.deepEqual(rules.searchRegistries, ["a.example"]);
  assert.deepEqual(plan(rules, "i.example/x"), ["i.example/x insecure"]);
  assert.throws(() => plan(rules, "b.example/x"), DugoutError);
  await assert.rejects(conf("[registries.search]\nregistries = []\n[[registry]]\nlocation = 'x.example'"), DugoutError);
});

test("A-099 what is no registries.conf is refused with the file's name, and deep nesting ends at once", async () => {
  const started = performance.now();
  for (
    const text of [
      "x = ",
      "[[registry]]",
      "[[registry]]\nlocation = 5",
      "[[registry]]\nlocation = 'http://h.example'",
      "[[registry]]\nlocation = 'h.example/../x'",
      "[[registry]]\nprefix = '*.h.example/x'",
      "[[registry]]\nlocation = 'h.example'\n[[registry.mirror]]\nlocation = 'm.example/x:tag'",
      "unqualified-search-registries = 'h'",
      "unqualified-search-registries = ['h e']",
      "short-name-mode = 'x'",
      "[aliases]\nx = 5",
      "x = " + "[".repeat(100_000),
      "x = " + "{a=".repeat(100_000),
      "x".repeat(1024 * 1024 + 1),
    ]
  ) {
    await assert.rejects(conf(text), (error) => {
      assert.ok(hasCode(error, "REGISTRIES_CONF_INVALID"), text.slice(0, 100));
      assert.match((error as Error).message, /"file0"/);
      return true;
    });
  }
  assert.ok(performance.now() - started < 20_000);
});

test("the user's file stands in place of the system's; else drop-ins of both are read in order", async () => {
  const root = mkdtempSync(join(tmpdir(), "dugout-conf-"));
  try {
    const systemDir = join(root, "etc");
    const home = join(root, "home");
    const user = join(home, ".config", "containers");
    for (const dir of [join(systemDir, "registries.conf.d"), join(user, "registries.conf.d")]) {
      mkdirSync(dir, { recursive: true });
    }
    const search = (host: string) => `unqualified-search-registries = ["${host}"]\n`;
    writeFileSync(join(systemDir, "registries.conf"), search("system.example"));
    writeFileSync(join(systemDir, "registries.conf.d", "10-a.conf"), '[aliases]\nx = "a.example/x"\n');
    writeFileSync(join(systemDir, "registries.conf.d", "20-b.conf"), '[aliases]\nx = "b.example/x"\n');
    writeFileSync(join(systemDir, "registries.conf.d", "30-c.txt"), "not read");
    writeFileSync(join(user, "registries.conf.d", "05.conf"), search("user-drop-in.example"));
    const places = { systemDir, home, env: {} };
    const both = await loadRegistriesConf(places);
    assert.deepEqual(both.searchRegistries, ["user-drop-in.example"]);
    assert.equal(both.aliases.get("x"), "b.example/x");
    writeFileSync(join(user, "registries.conf"), search("user.example"));
    assert.deepEqual(listRegistriesConf(places).length, 2);
    const own = await loadRegistriesConf(places);
    assert.deepEqual(own.searchRegistries, ["user-drop-in.example"]);
    assert.equal(own.aliases.size, 0);
    const forced = await loadRegistriesConf({
      ...places,
      env: { CONTAINERS_REGISTRIES_CONF: join(user, "registries.conf") },
    });
    assert.deepEqual(forced.searchRegistries, ["user.example"]);
    assert.equal(
      await loadRegistriesConf({ systemDir: join(root, "none"), home: join(root, "none"), env: {} }),
      EMPTY_REGISTRIES_CONF,
    );
    await assert.rejects(
      loadRegistriesConf({ ...places, env: { CONTAINERS_REGISTRIES_CONF: join(root, "absent") } }),
      DugoutError,
    );
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("dugout's own registry.toml: hosts of foreign layers and trusted realms", async () => {
  const own = await parseOwnConf(
    'foreign-layer-hosts = ["d.example"]\n[trusted-realms]\n"r.example" = ["a.example"]',
    "f",
  );
  assert.deepEqual(own.foreignLayerHosts, ["d.example"]);
  assert.deepEqual(own.trustedRealms.get("r.example"), ["a.example"]);
  await assert.rejects(parseOwnConf("trusted-realms = 5", "f"), (error) => hasCode(error, "REGISTRY_CONF_INVALID"));
});
