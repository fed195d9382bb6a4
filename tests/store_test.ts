/** The store against the built binary: unusual file systems, many commands at once, other users, and what images or registries should not reach. */
import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { asBoth, CACHE, DUGOUT, listTestUsers, needs, runCommand, type Sandbox } from "./harness.ts";
import { busyboxLayer, craftImage, type Entry } from "./support/craft_image.ts";

const skip = existsSync(join(CACHE, "tars")) ? false : "needs tests/setup";
const skipMount = skip || (process.getuid?.() === 0 ? false : "needs root to mount a file system");
const isFuseOpen = existsSync("/dev/fuse") && (statSync("/dev/fuse").mode & 0o006) === 0o006;
const skipFuse = skip || needs("fuse-overlayfs") || (isFuseOpen ? false : "needs /dev/fuse to be open for users");

async function load(
  box: Sandbox,
  name: string,
  entries: readonly Entry[],
  global: readonly string[] = [],
): Promise<void> {
  const archive = craftImage(`localhost/${name}:latest`, [busyboxLayer(CACHE), entries], {
    Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
  });
  await box.succeed([...global, "load", "-q"], { input: archive });
}

const RUN = ["run", "--rm", "--network", "none"];

/** Files of several owners, so that a plain user cannot remove them where ids are mapped. */
const OWNED: readonly Entry[] = [
  { name: "owned", type: "directory", uid: 7, gid: 8, mode: 0o700 },
  { name: "owned/file", content: "kept", uid: 7, gid: 8, mode: 0o4755 },
  { name: "fifo", type: "fifo", mode: 0o644 },
  { name: "link", type: "symlink", link: "owned/file" },
];

asBoth(
  "C-055 on a file system without user attributes layers are copied, which is said once with another place; owners come back",
  async (box) => {
    const room = join(box.path, "room");
    mkdirSync(room);
    // no attributes, and no count of what is free
    const mounted = await runCommand(["/bin/mount", "-t", "ramfs", "-o", "mode=755", "dugout-test", room]);
    assert.equal(mounted.code, 0, mounted.stderr);
    try {
      chownSync(room, box.user.uid, box.user.gid);
      const root = ["--root", join(room, "store")];
      await load(box, "owned", OWNED, root);
      const script = "stat -c '%u %g %a' /owned/file; rm -r /owned; ls /owned 2>&1 | wc -l; echo x >/new; cat /new";
      const first = await box.succeed([...root, ...RUN, "localhost/owned", "sh", "-c", script]);
      const owner = box.user.kind === "one" ? "0 0 755" : "7 8 4755";
      assert.equal(first.stdout, `${owner}\n1\nx\n`);
      const said = first.stderr.split("\n").filter((line) => line.includes("vfs"));
      assert.equal(said.length, 1, first.stderr);
      assert.match(said[0] ?? "", /takes no user attributes.*--root \/(var\/)?tmp\//);
      const second = await box.succeed([...root, ...RUN, "localhost/owned", "cat", "/link"]);
      assert.equal(second.stdout, "kept");
      assert.equal(second.stderr, "");
      const { stdout: info } = await box.succeed([...root, "info", "-f", "{{.Driver}} {{.Dugout.DriverReason}}"]);
      assert.match(info, /^vfs overlay: the store's file system takes no user attributes/);
      const forced = await box.dugout([...root, "--storage-driver", "overlay", ...RUN, "localhost/owned", "true"]);
      assert.equal(forced.code, 125);
      assert.match(forced.stderr, /^dugout: Cannot use the storage driver "overlay" here: .*no user attributes/);
      const archive = await box.succeed([...root, "save", "localhost/owned"]);
      const { stdout: listed } = await box.run(["sh", "-c", LIST_LAYERS], { input: archive.stdoutBytes });
      assert.match(listed, /^-rwsr-xr-x 7\/8 .* owned\/file$/m);
      await box.succeed([...root, "rmi", "localhost/owned"]);
      assert.deepEqual(listLayers(join(room, "store")), []);
    } finally {
      const unmounted = await runCommand(["/bin/umount", "-l", room]);
      assert.equal(unmounted.code, 0, unmounted.stderr);
    }
  },
  { skip: skipMount },
);

/** Lists the members of all layers of the archive on standard input, with the numbers of their owners. */
const LIST_LAYERS =
  `mkdir x && cd x && tar x && for f in blobs/sha256/* ; do tar tvf "$f" --numeric-owner 2>/dev/null; done; true`;

function listLayers(store: string): string[] {
  const folder = join(store, "layers");
  return readdirSync(folder).flatMap((map) =>
    readdirSync(join(folder, map)).filter((name) => /^[0-9a-f]{64}$/.test(name))
  );
}

asBoth(
  "C-053 the store can be removed by hand with unshare, whoever owns its files, and what is damaged does not hinder it",
  async (box) => {
    await load(box, "owned", OWNED);
    await box.succeed([...RUN, "localhost/owned", "true"]);
    writeFileSync(join(box.store, "images/oci-layout"), "rubbish");
    assert.notEqual((await box.dugout(["images"])).code, 0);
    if (box.user.kind === "sub") assert.notEqual((await box.run(["rm", "-rf", box.store])).code, 0);
    const { stdout } = await box.succeed(["unshare", "id", "-u"]);
    assert.equal(stdout, "0\n");
    await box.succeed(["unshare", "rm", "-rf", box.store]);
    assert.equal(existsSync(box.store), false);
    await load(box, "owned", OWNED);
    assert.equal((await box.dugout(["unshare", "no-such-program"])).code, 127);
    assert.equal((await box.dugout(["unshare", "/etc"])).code, 126);
    assert.equal((await box.dugout(["unshare", "sh", "-c", "cat; exit 7"], { input: "x" })).code, 7);
  },
  { skip },
);

asBoth("C-054 fuse-overlayfs leaves no process behind, however a container ends", async (box) => {
  await load(box, "plain", []);
  const global = ["--storage-driver", "fuse-overlayfs"];
  const ends = ["true", "exit 3", "sh -c 'kill -9 $$'; exit $?", "sleep 100 & exit 0", "rm -rf /bin; exit 0"];
  await box.succeed([...global, ...RUN, "localhost/plain", "true"]);
  for (let round = 0; round < 8; round++) {
    const results = await Promise.all(
      ends.map((script) => box.dugout([...global, ...RUN, "localhost/plain", "sh", "-c", script])),
    );
    assert.deepEqual(results.map(({ code }) => code), [0, 3, 137, 0, 0], results.map(({ stderr }) => stderr).join());
  }
  // it ends when the kernel has let go of its mount, a moment after the container; other tests' are in other groups
  const isLeft = () =>
    readdirSync("/proc").some((pid) =>
      /fuse-overlayfs.*lowerdir=/.test(readCommandLine(pid)) && readCommandLine(pid).includes(box.home)
    );
  for (let tries = 0; tries < 100 && isLeft(); tries++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(isLeft(), false);
}, { skip: skipFuse });

asBoth("two stores share a runtime directory, and each leaves the containers of the other alone", async (box) => {
  const other = ["--root", join(box.home, "other")];
  await load(box, "plain", []);
  await load(box, "plain", [], other);
  const shared = join(box.path, "shared");
  mkdirSync(shared);
  const script = "while [ ! -e /shared/go ]; do sleep 0.1; done; exit 5";
  const flags = ["--name", "first", "-v", `${shared}:/shared`];
  const first = box.dugout([...RUN, ...flags, "localhost/plain", "sh", "-c", script], { timeoutMs: 120_000 });
  while ((await box.succeed(["ps", "-q"])).stdout === "");
  assert.equal((await box.succeed([...other, "ps", "-aq"])).stdout, "");
  await box.succeed([...other, ...RUN, "localhost/plain", "true"]);
  const { stdout } = await box.succeed(["ps", "--format", "{{.Names}} {{.State}}"]);
  assert.equal(stdout, "first running\n");
  writeFileSync(join(shared, "go"), "");
  assert.equal((await first).code, 5);
}, { skip });

asBoth("C-049 200 runs at once, the first of which unpacks, all exit with their own code", async (box) => {
  await load(box, "many", OWNED);
  const runs = Array.from(
    { length: 200 },
    (_, at) => box.dugout([...RUN, "localhost/many", "sh", "-c", `exit ${at % 100}`], { timeoutMs: 180_000 }),
  );
  const results = await Promise.all(runs);
  for (const [at, { code, stderr }] of results.entries()) assert.equal(code, at % 100, stderr);
  assert.equal(listLayers(box.store).length, 2);
  const left = readdirSync(join(box.store, "containers"));
  assert.deepEqual(left.filter((name) => /^[0-9a-f]{64}$/.test(name)), []);
}, { skip });

/** Every name that we have in the store and beside a container, and some that others had. */
const OUR_NAMES = [
  ..."images layers containers volumes blobs names ingest lock index.json oci-layout diff record.json upper work merged"
    .split(" "),
  ..."root rootfs config.json state.json log exit pid driver.json identity.json container.json metadata.yaml link"
    .split(" "),
  ".probe.tmp",
  ".wh.upper",
];

for (const driver of ["overlay", "fuse-overlayfs", "vfs"]) {
  asBoth(`A-011 files of an image that are called as ours are files of the image alone, ${driver}`, async (box) => {
    const kinds: Record<string, (name: string) => Entry[]> = {
      file: (name) => [{ name, content: "evil" }],
      link: (name) => [{ name, type: "symlink", link: box.canary }],
      directory: (name) => [
        { name, type: "directory", mode: 0o755 },
        // below a whiteout there can be nothing
        ...(name.startsWith(".wh.") ? [] : [{ name: `${name}/in`, content: "evil" }]),
      ],
    };
    for (const [kind, make] of Object.entries(kinds)) {
      await load(box, `names-${kind}`, OUR_NAMES.flatMap(make));
      const script =
        "cd /; for n in *; do echo mine >$n/added 2>/dev/null || echo mine >$n; done 2>/dev/null; echo done";
      const global = ["--storage-driver", driver];
      const { stdout } = await box.succeed([...global, ...RUN, `localhost/names-${kind}`, "sh", "-c", script]);
      assert.equal(stdout, "done\n");
      const look = "ls -d /*/added; cat /upper /work; true";
      const { stdout: again } = await box.succeed([...global, ...RUN, `localhost/names-${kind}`, "sh", "-c", look]);
      assert.doesNotMatch(again, /added|mine/);
      await box.succeed(["images"]);
      await box.succeed(["rmi", `localhost/names-${kind}`]);
    }
    assert.deepEqual(listLayers(box.store), []);
  }, { skip: driver === "fuse-overlayfs" ? skipFuse : skip });
}

asBoth(
  "A-012 another user of the machine sees nothing of the store, wherever it is and however it was before",
  async (box) => {
    const other = listTestUsers().find(({ uid }) => uid !== box.user.uid);
    assert.ok(other);
    const asOther = (...argv: string[]) =>
      runCommand(["/usr/bin/setpriv", `--reuid=${other.uid}`, `--regid=${other.gid}`, "--clear-groups", "--", ...argv]);
    const shared = join(box.path, "shared");
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    chmodSync(box.home, 0o755);
    chownSync(shared, box.user.uid, box.user.gid);
    for (const store of [box.store, join(shared, "store")]) {
      const root = ["--root", store];
      await load(box, "owned", OWNED, root);
      await box.succeed([...root, ...RUN, "localhost/owned", "true"]);
      // an older version, or a careless user, may have left it open
      chmodSync(store, 0o755);
      await box.succeed([...root, "images"]);
      for (const below of ["", "images", "layers", "containers"]) {
        const { code, stdout } = await asOther("ls", join(store, below));
        assert.notEqual(code, 0);
        assert.equal(stdout, "");
      }
      const found = await asOther("sh", "-c", `find ${box.path} -perm /6000 -type f 2>/dev/null | grep -v canary`);
      assert.equal(found.stdout, "");
      const { code, stderr } = await asOther(DUGOUT, "--root", store, "--run", "/nonexistent", "images");
      assert.notEqual(code, 0);
      assert.match(stderr, /^dugout: /);
    }
  },
  { skip: skip || (listTestUsers().length < 2 ? "needs two users" : false) },
);

asBoth(
  "A-084 passwords, tokens and values of variables are in no output, process list, or file but their own",
  async (box) => {
    const [password, token] = ["MARKpassword0", "MARKtoken0"];
    const secret = new RegExp(`${password}|${token}|${Buffer.from(`me:${password}`).toString("base64")}`);
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization ?? "");
      const url = request.url ?? "";
      const words = `{"errors":[{"code":"X","message":"you said ${
        request.headers.authorization?.slice(0, 0) ?? ""
      }no"}]}`;
      if (url.startsWith("/token")) {
        response.writeHead(200, { "content-type": "application/json" });
        return void response.end(JSON.stringify({ token, expires_in: 300 }));
      }
      if (request.headers.authorization !== `Bearer ${token}`) {
        const realm = `http://${request.headers.host}/token`;
        response.writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="s"` });
        return void response.end(words);
      }
      response.writeHead(url === "/v2/" ? 200 : 403, { "content-type": "application/json" });
      response.end(url === "/v2/" ? "{}" : words);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      await load(box, "plain", []);
      await box.succeed(["tag", "localhost/plain", `${host}/plain`]);
      const login = await box.succeed(["--debug", "login", "-u", "me", "--password-stdin", host], { input: password });
      assert.ok(seen.some((value) => value.startsWith("Basic ")), "the password was never asked for");
      const results = [
        login,
        await box.dugout(["--debug", "pull", `${host}/some/image`], { env: { DUGOUT_TRACE: "net,api" } }),
        await box.dugout(["--debug", "push", `${host}/plain`], { env: { DUGOUT_TRACE: "net,api" } }),
        await box.dugout(["--debug", "pull", `http://me:${password}@${host}/x`]),
        await box.dugout(["--debug", "pull", `me:${password}@${host}/x`]),
        await box.dugout(["--debug", "info"]),
        await box.dugout([
          "--debug",
          "--log-level",
          "debug",
          ...RUN,
          "-e",
          "SECRET",
          "localhost/plain",
          "cat",
          "/proc/self/cmdline",
        ], {
          env: { SECRET: token },
        }),
        await box.dugout(["--debug", "logout", host]),
      ];
      assert.ok(seen.includes(`Bearer ${token}`));
      for (const [at, { stdout, stderr }] of results.entries()) {
        // what the user typed as a name is shown back in words, and is the user's own
        if (at === 3 || at === 4) assert.doesNotMatch(stderr, new RegExp(token));
        else assert.doesNotMatch(stdout + stderr, secret, String(at));
      }
      await box.succeed(["login", "-u", "me", "--password-stdin", host], { input: password });
      const found = await box.run(["grep", "-rlaE", secret.source, box.home, box.runtimeDirectory]);
      assert.deepEqual(found.stdout.trim().split("\n").map((path) => path.slice(box.home.length)), [
        "/.docker/config.json",
      ]);
      assert.equal(statSync(join(box.home, ".docker/config.json")).mode & 0o777, 0o600);
      // what a container's variables are is not in the arguments of any process of ours
      const running = box.dugout([...RUN, "-e", "SECRET", "localhost/plain", "sleep", "2"], { env: { SECRET: token } });
      for (let tries = 0; tries < 20; tries++) {
        for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
          assert.doesNotMatch(readCommandLine(pid), secret);
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      assert.equal((await running).code, 0);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  },
  { skip },
);

function readCommandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}
