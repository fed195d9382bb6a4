import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  answer,
  answerJson,
  makeImage,
  type ScriptedServer,
  serveImage,
  startServer,
} from "#image/registry/scripted_server.ts";
import { makePushServer } from "#image/registry/push_server.ts";
import { makeTestStore, type TestStore } from "#storage/test_store.ts";
import { craftTar } from "#tar/testing.ts";
import { type Outcome, startDugout } from "../testing.ts";

function run(store: TestStore, args: readonly string[], input = ""): Promise<Outcome> {
  const where = ["--root", store.root, "--run", `${store.root}-run`, "--config", `${store.root}-config`];
  return startDugout([...where, ...args], { input, env: { HOME: `${store.root}-home` } });
}

async function withServer(script: Parameters<typeof startServer>[0], use: (server: ScriptedServer) => Promise<void>) {
  const server = await startServer(script);
  try {
    await use(server);
  } finally {
    await server.close();
  }
}

const image = makeImage([craftTar([["hello", "file", {}, "hello"]])]);
const layer = [...image.blobs.keys()][1]?.slice(7, 19);

test("pull prints docker's lines, and says when there is nothing new", async () => {
  using store = makeTestStore();
  await withServer(serveImage(image), async ({ host }) => {
    assert.deepEqual(await run(store, ["pull", `${host}/some/app`]), {
      exitCode: 0,
      stdout: "Using default tag: latest\nlatest: Pulling from some/app\n" +
        `${layer}: Pulling fs layer\n${layer}: Download complete\n${layer}: Pull complete\n` +
        `Digest: ${image.digest}\nStatus: Downloaded newer image for ${host}/some/app:latest\n${host}/some/app:latest\n`,
      stderr: "",
    });
    const again = await run(store, ["pull", `${host}/some/app:latest`]);
    assert.match(again.stdout, new RegExp(`: Already exists\nDigest: .*\nStatus: Image is up to date for `));
    const quiet = await run(store, ["pull", "-q", `${host}/some/app@${image.digest}`]);
    assert.equal(quiet.stdout, `${host}/some/app@${image.digest}\n`);
    const list = await run(store, ["images", "--format", "{{.Repository}} {{.Tag}} {{.Size}}"]);
    assert.match(list.stdout, new RegExp(`^${host}/some/app latest [0-9]+B\n$`));
  });
});

test("push prints docker's lines, and says when everything is there", async () => {
  using store = makeTestStore();
  await withServer(serveImage(image), async (from) => {
    await run(store, ["pull", "-q", `${from.host}/some/app`]);
    await withServer(makePushServer().script, async ({ host }) => {
      const name = `${host}/my/app`;
      await run(store, ["tag", `${from.host}/some/app`, name]);
      const head = `Using default tag: latest\nThe push refers to repository [${name}]\n${layer}: Preparing\n`;
      const tail = `latest: digest: ${image.digest} size: ${image.manifest.length}\n`;
      assert.deepEqual(await run(store, ["push", name]), {
        exitCode: 0,
        stdout: `${head}${layer}: Pushed\n${tail}`,
        stderr: "",
      });
      assert.equal((await run(store, ["push", name])).stdout, `${head}${layer}: Layer already exists\n${tail}`);
      assert.equal((await run(store, ["push", "-q", "--disable-content-trust", name])).stdout, `${name}:latest\n`);
      await run(store, ["tag", name, `${name}:two`]);
      const all = await run(store, ["image", "push", "--all-tags", name]);
      assert.match(all.stdout, /^The push refers to repository(?:.|\n)*\nlatest: digest: (?:.|\n)*two: digest: /);
      assert.equal((await run(store, ["push", "-a", "-q", name])).stdout, `${name}\n`);
      const none = await run(store, ["push", `${host}/none`]);
      assert.deepEqual([none.exitCode, none.stderr.split("\n")[0]], [
        1,
        `dugout: An image does not exist locally with the tag: ${host}/none`,
      ]);
    });
  });
});

test("a pull that fails says what the registry said, and exits with 1", async () => {
  using store = makeTestStore();
  const script: Parameters<typeof startServer>[0] = (request, response) =>
    request.url === "/v2/"
      ? answer(response, 200, "{}")
      : answerJson(response, 404, { errors: [{ code: "MANIFEST_UNKNOWN", message: "no \x1b[31msuch\x1b[0m tag" }] });
  await withServer(script, async ({ host }) => {
    const { exitCode, stderr, stdout } = await run(store, ["pull", "-q", `${host}/some/app:1`]);
    assert.equal(exitCode, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^dugout: Cannot get the manifest of .*some\/app:1.*404/);
    assert.doesNotMatch(stdout + stderr, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  });
});

test("search in a registry of one's own lists its repositories", async () => {
  using store = makeTestStore();
  const script: Parameters<typeof startServer>[0] = (request, response) =>
    request.url.startsWith("/v2/_catalog")
      ? answerJson(response, 200, { repositories: ["a/debian", "b/busybox", "debian-slim"] })
      : request.url === "/v2/"
      ? answer(response, 200, "{}")
      : answer(response, 404);
  await withServer(script, async ({ host }) => {
    const table = await run(store, ["search", `${host}/debian`]);
    assert.equal(table.stderr, "");
    assert.match(table.stdout, /^NAME +DESCRIPTION +STARS +OFFICIAL\n/);
    const names = await run(store, [
      "search",
      "--format",
      "{{.Name}} {{.IsOfficial}}",
      "--limit",
      "1",
      `${host}/debian`,
    ]);
    assert.equal(names.stdout, `${host}/a/debian false\n`);
    assert.equal((await run(store, ["search", "--limit", "1000", `${host}/x`])).exitCode, 1);
  });
});

/** Takes only this user name and password. */
function basicScript(): Parameters<typeof startServer>[0] {
  const wanted = `Basic ${Buffer.from("me:secret").toString("base64")}`;
  return ({ headers }, response) =>
    headers["authorization"] === wanted
      ? answer(response, 200, "{}")
      : answer(response, 401, "", { "www-authenticate": 'Basic realm="test"' });
}

test("login keeps what the registry has taken, in a file of the user's alone; logout forgets it", async () => {
  using store = makeTestStore();
  await withServer(basicScript(), async ({ host }) => {
    const wrong = await run(store, ["login", "-u", "me", "--password-stdin", host], "wrong\n");
    assert.equal(wrong.exitCode, 1);
    assert.doesNotMatch(wrong.stdout + wrong.stderr, /secret|Succeeded/);
    const right = await run(store, ["login", "-u", "me", "--password-stdin", host], "secret\n");
    assert.equal(right.stdout, "Login Succeeded\n");
    assert.match(right.stderr, /WARNING! Your credentials are stored unencrypted in '.*config\.json'/);
    const file = join(`${store.root}-config`, "config.json");
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(JSON.parse(readFileSync(file, "utf8")).auths[host].auth, Buffer.from("me:secret").toString("base64"));
    assert.equal((await run(store, ["logout", host])).stdout, `Removing login credentials for ${host}\n`);
    assert.equal((await run(store, ["logout", host])).stdout, `Not logged in to ${host}\n`);
  });
});

test("login has docker's rules for its flags", async () => {
  using store = makeTestStore();
  const cases: [string[], RegExp][] = [
    [["login", "--password-stdin", "127.0.0.1:1"], /^dugout: Must provide --username with --password-stdin\n/],
    [
      ["login", "-u", "a", "-p", "b", "--password-stdin", "127.0.0.1:1"],
      /^dugout: --password and --password-stdin are mutually exclusive\n/,
    ],
    [["login", "127.0.0.1:1"], /^dugout: Cannot perform an interactive login from a non TTY device\n/],
    [["login", "-u", "a", "--password-stdin", "127.0.0.1:1"], /^dugout: password is empty\n/],
  ];
  for (const [args, message] of cases) {
    const { exitCode, stderr } = await run(store, args);
    assert.equal(exitCode, 1);
    assert.match(stderr, message);
  }
});

test("save and load by pipes and by files carry an image over", async () => {
  using from = makeTestStore();
  using to = makeTestStore();
  await withServer(serveImage(image), async ({ host }) => {
    const name = `${host}/some/app:1`;
    await run(from, ["pull", "-q", name]);
    const file = `${from.root}.tar`;
    assert.deepEqual(await run(from, ["save", "-o", file, name]), { exitCode: 0, stdout: "", stderr: "" });
    assert.equal((await run(to, ["load", "-i", file])).stdout, `Loaded image: ${name}\n`);
    const ids = await Promise.all([from, to].map((store) => run(store, ["images", "-q", "--no-trunc"])));
    assert.equal(ids[0]?.stdout, ids[1]?.stdout);
    const failed = await run(from, ["save", "-o", join(from.root, "no/such/folder"), name]);
    assert.equal(failed.exitCode, 1);
    assert.match(failed.stderr, /^dugout: Cannot write the file ".*no\/such\/folder": ENOENT/);
    assert.match(
      (await run(to, ["load", "-i", "/nonexistent"])).stderr,
      /^dugout: Cannot read the file "\/nonexistent": ENOENT/,
    );
  });
});
