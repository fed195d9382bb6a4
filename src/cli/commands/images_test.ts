import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { addTestImage, nameTestTarget, NOW, putTestImage, putTestIndex } from "#image/testing.ts";
import { shortId } from "#image/list.ts";
import { hashBytes } from "#oci/digest.ts";
import { openLease } from "#storage/lease.ts";
import { makeTestStore, type TestStore } from "#storage/test_store.ts";
import { humanDuration } from "../format/units.ts";
import { type Outcome, runDugout } from "../testing.ts";

function run(test: TestStore, line: string | readonly string[], input = ""): Outcome {
  return runDugout([
    "--root",
    test.root,
    "--run",
    `${test.root}-run`,
    ...(typeof line === "string" ? line.split(" ") : line),
  ], { input });
}

/** The sizes in the line of an index: those of its one image. */
const cells = (tree: string): string[] => tree.split("\n")[1]?.split(/ {2,}/).slice(2, 4) ?? [];

const DAY_MS = 86_400_000;
const created = (daysAgo: number): string => new Date(Date.now() - daysAgo * DAY_MS - 60_000).toISOString();

test("images are listed as docker lists them", async () => {
  using store = makeTestStore();
  const config = { created: created(15) };
  const debian = await addTestImage(store.store, "debian:12", { layers: ["a"], config });
  await addTestImage(store.store, "debian:latest", { layers: ["a"], config });
  const other = await addTestImage(store.store, "127.0.0.1:5000/app:1", {
    layers: ["b"],
    config: { created: created(3) },
  });
  const { stdout, stderr, exitCode } = run(store, "images");
  assert.equal(stderr, "");
  assert.equal(exitCode, 0);
  const lines = stdout.split("\n");
  assert.match(lines[0] ?? "", /^REPOSITORY {11}TAG {7}IMAGE ID {7}CREATED {7}SIZE$/);
  assert.match(
    lines[1] ?? "",
    new RegExp(`^127.0.0.1:5000/app   1         ${shortId(other.id)}   3 days ago    [0-9.]+k?B$`),
  );
  assert.match(
    lines[2] ?? "",
    new RegExp(`^debian               12        ${shortId(debian.id)}   2 weeks ago   [0-9.]+k?B$`),
  );
  assert.equal(run(store, "images -q --no-trunc 127.0.0.1:5000/app").stdout, other.id + "\n");
  assert.equal(run(store, "image ls --format {{.Repository}}:{{.Tag}} debian:12").stdout, "debian:12\n");
  assert.equal(run(store, "images --filter bogus=1").exitCode, 1);
  assert.match(run(store, "images --digests").stdout, /^REPOSITORY +TAG +DIGEST +IMAGE ID +CREATED +SIZE\n/);
});

test("images are shown as a tree of their platforms, those that were not fetched too", async () => {
  using store = makeTestStore();
  const one = await addTestImage(store.store, "debian:12", { layers: ["a"] });
  await addTestImage(store.store, "debian:stable", { layers: ["a"] });
  const tree = run(store, "images --tree");
  assert.equal(tree.stderr, "");
  const lines = tree.stdout.split("\n");
  assert.match(lines[0] ?? "", /^IMAGE +ID +DISK USAGE +CONTENT SIZE +EXTRA$/);
  assert.match(lines[1] ?? "", new RegExp(`^debian:12 +${shortId(one.id)} +[0-9.]+k?B +[0-9.]+k?B +$`));
  assert.equal(lines[2], "debian:stable");
  assert.deepEqual(run(store, "images --tree debian:12").stdout.split("\n").slice(2), [""]);
  {
    using lease = openLease(store.store);
    const arm = { os: "linux", architecture: "arm64" };
    const own = await putTestImage(lease, { layers: ["b"] });
    const absent = { mediaType: own.target.mediaType, digest: hashBytes("absent"), size: 7, platform: arm };
    const here = { ...own.target, platform: { os: "linux", architecture: "amd64" } };
    await nameTestTarget(lease, "many:1", await putTestIndex(lease, [here, absent]));
    assert.deepEqual(run(store, "images --tree many").stdout.split("\n").slice(2).map((line) => line.split(/ {2,}/)), [
      ["├─ linux/amd64", shortId(own.id), ...cells(run(store, "images --tree many").stdout), ""],
      ["└─ linux/arm64", shortId(absent.digest), "0B", "0B", ""],
      [""],
    ]);
  }
  for (const flag of ["--quiet", "--no-trunc", "--format=json"]) {
    const refused = run(store, `images --tree ${flag}`);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /is not yet supported with --tree/);
  }
});

test("history, inspect and tag work on names and ids", async () => {
  using store = makeTestStore();
  const config = {
    created: "2026-01-01T00:00:00Z",
    config: { Cmd: ["/bin/sh"], Labels: new Map([["constructor", "c"], ["a", "b\x1b"]]) },
    history: [{
      created: "2026-01-01T00:00:00Z",
      created_by: "RUN\tsomething that is far longer than a row of the list shows",
    }],
  };
  const { id } = await addTestImage(store.store, "x:1", { layers: ["a"], config });
  const age = humanDuration(Date.now() - NOW + (NOW - Date.parse("2026-01-01T00:00:00Z")));
  const [heading = "", row = ""] = run(store, "history x:1").stdout.split("\n");
  assert.match(heading, /^IMAGE {10}CREATED +CREATED BY {38}SIZE {6}COMMENT$/);
  assert.ok(row.startsWith(`${shortId(id)}   ${age} ago`), row);
  assert.ok(row.includes("RUN something that is far longer than a row …"), row);
  assert.equal(run(store, `tag ${shortId(id)} y/z:2`).exitCode, 0);
  assert.equal(run(store, "inspect -f {{.Id}} y/z:2").stdout, id + "\n");
  assert.equal(run(store, "image exists y/z:2").exitCode, 0);
  assert.equal(run(store, "image exists nope").exitCode, 1);
  const [object] = JSON.parse(run(store, "inspect x:1").stdout);
  assert.deepEqual(object.RepoTags, ["x:1", "y/z:2"]);
  assert.deepEqual(object.Config.Labels, { constructor: "c", a: "b\x1b" });
  assert.equal(object.Architecture, "amd64");
  const template = '{{.Config.Labels.a}}{{index .Config.Labels "constructor"}}';
  assert.equal(run(store, ["inspect", "-f", template, "x:1"]).stdout, "b\\x1bc\n");
});

test("inspect prints what is there and complains of what is not", async () => {
  using store = makeTestStore();
  await addTestImage(store.store, "x:1");
  assert.deepEqual(run(store, "inspect nope"), {
    exitCode: 1,
    stdout: "[]\n",
    stderr: "dugout: No such object: nope\n",
  });
  assert.deepEqual(run(store, "inspect -f {{.Os}} x:1 nope"), {
    exitCode: 1,
    stdout: "linux\n",
    stderr: "dugout: No such object: nope\n",
  });
});

test("rmi goes on after an error and fails then; image prune asks first", async () => {
  using store = makeTestStore();
  const first = await addTestImage(store.store, "x:1", { layers: ["a"] });
  await addTestImage(store.store, "x:2", { layers: ["b"] });
  const removed = run(store, "rmi nope x:1");
  assert.equal(removed.exitCode, 1);
  assert.match(removed.stderr, /^dugout: No such image: nope/);
  assert.match(removed.stdout, new RegExp(`^Untagged: x:1\n(Untagged: .*\n)?Deleted: ${first.id}\n`));
  assert.equal(run(store, "images -q").stdout.split("\n").length, 2);
  const asked = run(store, "image prune -a", "n\n");
  assert.equal(asked.exitCode, 0);
  assert.match(
    asked.stdout,
    /^WARNING! This will remove all images .*\nAre you sure you want to continue\? \[y\/N\] $/,
  );
  const pruned = run(store, "image prune -a", "y\n");
  assert.match(
    pruned.stdout,
    /Deleted Images:\nuntagged: x:2\ndeleted: sha256:[0-9a-f]{64}\n\nTotal reclaimed space: /,
  );
  assert.equal(run(store, "images -q").stdout, "");
});

test("C-047 an image whose name is damaged is told of, and the others are listed", async () => {
  using store = makeTestStore();
  await addTestImage(store.store, "x:1");
  writeFileSync(join(store.root, "images/names/broken.json"), "{");
  const { stdout, stderr, exitCode } = run(store, "images");
  assert.equal(exitCode, 0);
  assert.match(stdout, /\nx +1 /);
  assert.match(stderr, /^dugout: warning: the image "broken.json" cannot be used: /);
});
