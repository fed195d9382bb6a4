/** Volumes, mounts of images and tmpfs from outside: what a person sees, as both kinds of user. */
import assert from "node:assert/strict";
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, CACHE, DUGOUT, type Result, type Sandbox } from "./harness.ts";
import { busyboxLayer, type Config, craftImage, type Entry } from "./support/craft_image.ts";

const skip = existsSync(join(CACHE, "tars")) ? false : "needs tests/setup";

/** Loads an image of busybox with these layers on top, lowest first. */
async function load(box: Sandbox, name: string, layers: readonly Entry[][], config: Config = {}): Promise<void> {
  const path = { Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], ...config };
  await box.succeed(["load", "-q"], {
    input: craftImage(`localhost/${name}:latest`, [busyboxLayer(CACHE), ...layers], path),
  });
}

function run(box: Sandbox, name: string, line: string, flags: readonly string[] = []): Promise<Result> {
  return box.dugout(["run", "--rm", "--network", "none", ...flags, `localhost/${name}`, "sh", "-c", line], {
    timeoutMs: 30_000,
  });
}

async function output(box: Sandbox, name: string, line: string, flags: readonly string[] = []): Promise<string> {
  const { code, stdout, stderr } = await run(box, name, line, flags);
  assert.equal(code, 0, `${line}\nstdout: ${stdout}\nstderr: ${stderr}`);
  return stdout;
}

/** An image whose /srv/data is made up of three layers: files, links, a whiteout, modes and owners of its own. */
async function loadData(box: Sandbox, config: Config = {}): Promise<void> {
  await load(box, "data", [
    [
      { name: "srv", type: "directory" },
      { name: "srv/data", type: "directory", mode: 0o755 },
      { name: "srv/data/gone", content: "gone" },
      { name: "srv/data/old", content: "old" },
      { name: "srv/data/closed", content: "closed", mode: 0o000 },
      { name: "srv/data/link", type: "symlink", link: "/etc/passwd" },
    ],
    [{ name: "srv/data/.wh.gone", content: "" }, { name: "srv/data/old", content: "new" }],
    [{ name: "srv/data", type: "directory", mode: 0o2750, uid: 1000, gid: 1001 }],
  ], config);
}

const LOOK = "stat -c '%a %u:%g' /srv/data; ls /srv/data; cat /srv/data/old; readlink /srv/data/link";

asBoth(
  "C-083 the first use of a volume fills it with what the image has there: content, owner and mode",
  async (box) => {
    await loadData(box);
    const inside = await output(box, "data", LOOK);
    assert.equal(await output(box, "data", LOOK, ["-v", "vol:/srv/data"]), inside);
    assert.match(inside, /closed\nlink\nold\nnew/);
    assert.doesNotMatch(inside, /gone/);
    if (box.user.kind === "sub") assert.match(inside, /^2?750 1000:1001\n/);
  },
  { skip },
);

asBoth("C-083 a volume is filled once: not when it is used again, nor when it was emptied", async (box) => {
  await loadData(box);
  await output(box, "data", "rm -rf /srv/data/*; echo mine >/srv/data/mine", ["-v", "vol:/srv/data"]);
  assert.equal(await output(box, "data", "ls /srv/data", ["-v", "vol:/srv/data"]), "mine\n");
  await output(box, "data", "rm /srv/data/mine", ["-v", "vol:/srv/data"]);
  assert.equal(await output(box, "data", "ls -A /srv/data", ["-v", "vol:/srv/data"]), "");
}, { skip });

asBoth("C-084 nocopy copies no content, but owner and mode", async (box) => {
  await loadData(box);
  const inside = await output(box, "data", "stat -c '%a %u:%g' /srv/data");
  const flags = ["-v", "vol:/srv/data:nocopy"];
  assert.equal(await output(box, "data", "stat -c '%a %u:%g' /srv/data; ls -A /srv/data", flags), inside);
}, { skip });

asBoth("ten first uses of one volume at once see it whole, all of them", async (box) => {
  await loadData(box);
  const flags = ["-v", "vol:/srv/data"];
  const all = await Promise.all(
    Array.from(
      { length: 10 },
      (_, index) =>
        output(box, "data", `ls /srv/data | grep -v mine | tr '\\n' ' '; echo >/srv/data/mine${index}`, flags),
    ),
  );
  assert.deepEqual(new Set(all), new Set(["closed link old "]));
  assert.equal(await output(box, "data", "ls /srv/data | grep -c mine", flags), "10\n");
  const names = readdirSync(join(box.store, "volumes"));
  assert.deepEqual(names.filter((name) => name !== ".lock"), ["vol"]);
}, { skip });

asBoth("A-032 volumes of the image lead through links to nothing outside of its root", async (box) => {
  const up = "../".repeat(20);
  await load(box, "linked", [[
    { name: "l", type: "symlink", link: box.canary },
    { name: "m", type: "symlink", link: `${up}${box.canary.slice(1)}` },
  ]], { Volumes: { "/l/x": {}, "/m": {} } });
  const { code, stdout, stderr } = await run(box, "linked", "find /l/x /m/; echo mine >/l/x/f; echo mine >/m/f");
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stdout, /file|hardlink|inner/);

  await load(box, "proc", [[]], { Volumes: { "/proc/1/root": {} } });
  const refused = await run(box, "proc", "true");
  assert.ok(refused.code === 125, `${refused.code} ${refused.stderr}`);
  assert.deepEqual(readdirSync(join(box.store, "volumes")).filter((name) => name !== ".lock"), []);
}, { skip });

asBoth("A-032 links of the image are copied as links, whatever they lead to", async (box) => {
  await load(box, "links", [[
    { name: "d", type: "directory" },
    { name: "d/absolute", type: "symlink", link: join(box.canary, "file") },
    { name: "d/up", type: "symlink", link: `${"../".repeat(20)}${box.canary.slice(1)}` },
  ]]);
  const stdout = await output(box, "links", "readlink /d/absolute; readlink /d/up; cat /d/absolute /d/up/file; true", [
    "-v",
    "v1:/d",
  ]);
  assert.equal(stdout, `${join(box.canary, "file")}\n${"../".repeat(20)}${box.canary.slice(1)}\n`);
}, { skip });

asBoth("A-030 a volume whose directories turn into links meanwhile leads no mount outside", async (box) => {
  await load(box, "swap", [[]]);
  await output(box, "swap", `mkdir -p /v/a/b; ln -s ${box.canary} /v/link`, ["-v", "shared:/v"]);
  const swap =
    `cd /v; end=$(($(date +%s)+8)); while [ $(date +%s) -lt $end ]; do mv a tmp; mv link a; mv a link; mv tmp a; done`;
  const attacker = run(box, "swap", swap, ["-v", "shared:/v"]);
  let started = 0;
  const mounts = ["-v", "shared:/v", "--tmpfs", "/v/a/c", "-v", "other:/v/a/b"];
  const stop = performance.now() + 6000;
  while (performance.now() < stop) {
    const { code, stdout } = await run(box, "swap", "grep -c canary /proc/self/mountinfo; true", mounts);
    if (code === 0) {
      started++;
      assert.equal(stdout, "0\n");
    }
    const part = ["--mount", "type=volume,source=shared,target=/part,volume-subpath=a"];
    const { stdout: seen } = await run(box, "swap", "ls /part", part);
    assert.doesNotMatch(seen, /hardlink|setuid/);
  }
  await attacker;
  assert.ok(started > 0, "none was started");
  // what the harness looks at afterwards is the canary
}, { skip });

asBoth("a part of a volume is mounted, and none is a clear error", async (box) => {
  await load(box, "plain", [[]]);
  await output(box, "plain", "mkdir -p /v/a/b; echo f >/v/a/b/f; ln -s a/b /v/l; ln -s / /v/out", ["-v", "vol:/v"]);
  const part = (path: string) => ["--mount", `type=volume,source=vol,target=/p,volume-subpath=${path}`];
  assert.equal(await output(box, "plain", "cat /p/f", part("a/b")), "f\n");
  assert.equal(await output(box, "plain", "cat /p/f", part("l")), "f\n");
  assert.equal(await output(box, "plain", "cat /p", part("a/b/f")), "f\n");
  for (const path of ["nowhere", "out"]) {
    const { code, stderr } = await run(box, "plain", "true", part(path));
    assert.equal(code, 125, path);
    assert.match(stderr, new RegExp(path));
  }
}, { skip });

asBoth("an image's files are mounted, read-only, of one layer and of several, and parts of them", async (box) => {
  await load(box, "plain", [[]]);
  await loadData(box);
  const { stdout, code } = await run(box, "plain", "ls /i/srv/data; cat /i/srv/data/old; touch /i/x", [
    "--mount",
    "type=image,source=localhost/data,target=/i",
  ]);
  assert.notEqual(code, 0);
  assert.equal(stdout, "closed\nlink\nold\nnew");
  const part = ["--mount", "type=image,source=localhost/data,target=/i,image-subpath=srv/data/old"];
  assert.equal(await output(box, "plain", "cat /i", part), "new");
  const single = ["--mount", "type=image,source=localhost/plain,target=/i"];
  assert.match(await output(box, "data", "ls /i; touch /i/x 2>&1 || true", single), /^bin\n[^]*Read-only/);
  const missing = await run(box, "plain", "true", ["--mount", "type=image,source=localhost/none,target=/i"]);
  assert.equal(missing.code, 125);
}, { skip });

asBoth("an image that a container mounts is in use", async (box) => {
  await load(box, "plain", [[]]);
  await loadData(box);
  const mount = ["--mount", "type=image,source=localhost/data,target=/i"];
  await box.succeed(["run", "--name", "user", "--network", "none", ...mount, "localhost/plain", "true"]);
  const { code, stderr } = await box.dugout(["rmi", "localhost/data"]);
  assert.equal(code, 1);
  assert.match(stderr, /container/);
  await box.succeed(["rm", "user"]);
  await box.succeed(["rmi", "localhost/data"]);
}, { skip });

asBoth("volumes are made, listed, inspected, filtered, removed and pruned", async (box) => {
  await load(box, "plain", [[]]);
  assert.equal((await box.succeed(["volume", "create", "--label", "a=b", "one"])).stdout, "one\n");
  assert.equal((await box.succeed(["volume", "create", "one"])).stdout, "one\n");
  const random = (await box.succeed(["volume", "create"])).stdout.trim();
  assert.match(random, /^[0-9a-f]{64}$/);
  await box.succeed([
    "run",
    "--name",
    "user",
    "--network",
    "none",
    "-v",
    "two:/t",
    "-v",
    "/anon",
    "localhost/plain",
    "true",
  ]);
  const list = (await box.succeed(["volume", "ls"])).stdout.split("\n");
  assert.equal(list[0], "DRIVER    VOLUME NAME");
  assert.equal(list.length, 6);
  assert.ok(list.includes("local     one"));
  const names = async (...filters: string[]) =>
    (await box.succeed(["volume", "ls", "-q", ...filters.flatMap((filter) => ["--filter", filter])])).stdout;
  assert.equal(await names("label=a"), "one\n");
  assert.equal(await names("label=a=c"), "");
  assert.equal(await names("dangling=false", "name=two"), "two\n");
  assert.equal((await box.dugout(["volume", "ls", "--filter", "bogus=1"])).code, 1);
  const [object] = JSON.parse((await box.succeed(["volume", "inspect", "one"])).stdout);
  assert.deepEqual(object.Labels, { a: "b" });
  assert.equal(object.Mountpoint, join(box.store, "volumes/one/_data"));
  assert.equal((await box.dugout(["volume", "inspect", "none"])).stdout, "[]\n");

  const used = await box.dugout(["volume", "rm", "two", "one"]);
  assert.equal(used.code, 1);
  assert.equal(used.stdout, "one\n");
  assert.match(used.stderr, /in use/);
  assert.equal((await box.dugout(["volume", "rm", "none"])).code, 1);
  await box.succeed(["volume", "rm", "-f", "none"]);

  // only those without a name, and only those that nobody uses
  const pruned = (await box.succeed(["volume", "prune", "-f"])).stdout;
  assert.match(pruned, new RegExp(`^Deleted Volumes:\n${random}\n\nTotal reclaimed space: `));
  await box.succeed(["rm", "-v", "user"]);
  assert.equal(await names(), "two\n");
  assert.match((await box.succeed(["volume", "prune", "-af"])).stdout, /^Deleted Volumes:\ntwo\n/);
}, { skip });

asBoth("volumes without a name go with --rm, and with rm -v, and with nothing else", async (box) => {
  await load(box, "plain", [[]], { Volumes: { "/image": {} } });
  const count = async () => (await box.succeed(["volume", "ls", "-q"])).stdout.split("\n").length - 1;
  await output(box, "plain", "touch /image/a /own/a", ["-v", "/own"]);
  assert.equal(await count(), 0);
  const words = [
    "--network",
    "none",
    "-v",
    "/own",
    "localhost/plain",
    "sh",
    "-c",
    "mkdir -m 0 /own/d /image/d; chown 7:7 /own/d; true",
  ];
  await box.succeed(["run", "--name", "first", ...words]);
  await box.succeed(["run", "--name", "second", ...words]);
  assert.equal(await count(), 4);
  await box.succeed(["rm", "first"]);
  assert.equal(await count(), 4);
  await box.succeed(["rm", "-v", "second"]);
  assert.equal(await count(), 2);
  // a run that fails leaves none
  assert.equal((await box.dugout(["run", "--rm", "--network", "none", "localhost/plain", "no-such"])).code, 127);
  assert.equal(await count(), 2);
}, { skip });

asBoth("--volumes-from takes the mounts of another container, running or not", async (box) => {
  await load(box, "plain", [[]]);
  const words = ["-v", "vol:/v", "-v", "/anon", "localhost/plain", "sh", "-c", "echo v >/v/f; echo a >/anon/f"];
  await box.succeed(["run", "--name", "first", "--network", "none", ...words]);
  assert.equal(await output(box, "plain", "cat /v/f /anon/f", ["--volumes-from", "first"]), "v\na\n");
  assert.notEqual((await run(box, "plain", "touch /v/x", ["--volumes-from", "first:ro"])).code, 0);
  assert.equal((await run(box, "plain", "true", ["--volumes-from", "none"])).code, 125);
  assert.equal((await box.succeed(["volume", "ls", "-q"])).stdout.split("\n").length, 3);
}, { skip });

asBoth("C-061 the caller's umask has no say in volumes and images", async (box) => {
  await load(box, "plain", [[{ name: "given", type: "directory", mode: 0o777 }]]);
  const words = ["-u", "0", "-v", "new:/new", "-v", "given:/given", "localhost/plain"];
  const line = "stat -c %a / /new /given; umask";
  const { stdout, code, stderr } = await box.run([
    "sh",
    "-c",
    'umask 077; exec "$@"',
    "sh",
    DUGOUT,
    ...["run", "--rm", "--network", "none", ...words, "sh", "-c", line],
  ]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "755\n755\n777\n0022\n");
}, { skip });

asBoth("C-062 a directory for a group of the caller's is open in the container", async (box) => {
  if (process.getuid?.() !== 0) return;
  await load(box, "plain", [[]]);
  const project = join(box.path, "project");
  mkdirSync(project);
  writeFileSync(join(project, "f"), "of the group\n");
  chownSync(join(project, "f"), 0, 4242);
  chmodSync(join(project, "f"), 0o640);
  chownSync(project, 0, 4242);
  chmodSync(project, 0o2770);
  const words = ["run", "--rm", "--network", "none", "-v", `${project}:/p`, "localhost/plain", "sh", "-c"];
  const [set, ...rest] = box.prefix().slice(-5);
  const prefix = box.prefix();
  const at = prefix.indexOf("--init-groups");
  assert.ok(at >= 0, `${set} ${rest}`);
  const argv = [...prefix.slice(0, at), "--groups=4242", ...prefix.slice(at + 1)];
  const { runCommand } = await import("./harness.ts");
  const { code, stdout, stderr } = await runCommand([...argv, DUGOUT, ...words, "cat /p/f; echo x >/p/new"], {
    cwd: box.home,
    env: box.environment,
  });
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "of the group\n");
  assert.equal(readFileSync(join(project, "new"), "utf8"), "x\n");
}, { skip });

asBoth(
  "C-088 files that a container gave to another id in a bind are the caller's to remove by a container",
  async (box) => {
    await load(box, "plain", [[]]);
    mkdirSync(join(box.home, "b"));
    if (process.getuid?.() === 0) chownSync(join(box.home, "b"), box.user.uid, box.user.gid);
    const bind = ["-v", `${join(box.home, "b")}:/b`];
    await output(box, "plain", "mkdir /b/d; touch /b/d/f; chown -R 5:5 /b/d; chmod 700 /b/d", bind);
    await output(box, "plain", "rm -r /b/d", bind);
    assert.deepEqual(readdirSync(join(box.home, "b")), []);
    await output(box, "plain", "mkdir /b/d; touch /b/d/f; chown -R 5:5 /b/d; chmod 700 /b/d", bind);
    await box.succeed(["unshare", "rm", "-r", join(box.home, "b/d")]);
    assert.deepEqual(readdirSync(join(box.home, "b")), []);
  },
  { skip },
);

asBoth("C-127 a tmpfs has the size, the mode, the owner and the flags that were asked for", async (box) => {
  await load(box, "plain", [[{ name: "run", type: "directory", mode: 0o750 }]]);
  const flags = (text: string) => ["--tmpfs", text];
  const look = "df -k /t | tail -1 | awk '{print $2}'; stat -c %a /t; grep ' /t ' /proc/mounts";
  const plain = await output(box, "plain", look, flags("/t"));
  assert.match(plain, /^\d+\n1777\n/);
  assert.match(plain, /noexec/);
  const own = await output(box, "plain", look, flags("/t:size=1m,mode=0700,exec,ro"));
  assert.match(own, /^1024\n700\n/);
  assert.doesNotMatch(own, /noexec/);
  assert.match(own, / ro,/);
  assert.equal((await run(box, "plain", "true", flags("/t:size=bogus"))).code, 125);
  const mounted = await output(box, "plain", look, ["--mount", "type=tmpfs,target=/t,tmpfs-size=2m,tmpfs-mode=1770"]);
  assert.match(mounted, /^2048\n1770\n/);
}, { skip });

asBoth("C-132 a read-only bind of what is mounted with locked flags works, and keeps them", async (box) => {
  await load(box, "plain", [[]]);
  // /proc/sys is no place for files, /dev/shm is mounted nosuid, nodev nearly everywhere
  const { stdout: flags } = await box.run(["findmnt", "-no", "OPTIONS", "--target", "/dev/shm"]);
  const mounted = await output(box, "plain", "grep ' /m ' /proc/mounts", ["-v", "/dev/shm:/m:ro"]);
  assert.match(mounted, / ro,/);
  for (const flag of ["nosuid", "nodev", "noexec"]) {
    if (flags.split(/[,\n]/).includes(flag)) assert.ok(mounted.includes(flag), `${flag} of ${mounted}`);
  }
}, { skip });

asBoth("C-133 /dev/shm has the size that was asked for, 64 MB else", async (box) => {
  await load(box, "plain", [[]]);
  const look =
    "df -k /dev/shm | tail -1 | awk '{print $2}'; stat -c %a /dev/shm; grep -c '/dev/shm tmpfs' /proc/mounts";
  assert.equal(await output(box, "plain", look), "65536\n1777\n1\n");
  assert.equal(await output(box, "plain", look, ["--shm-size", "1g"]), "1048576\n1777\n1\n");
}, { skip });

asBoth("C-134 --read-only is of the root alone: /dev, /dev/shm, volumes and tmpfs are written to", async (box) => {
  await load(box, "plain", [[{ name: "tmp", type: "directory", mode: 0o1777 }]]);
  const line =
    "for d in / /tmp /etc /dev/shm /v /t; do touch $d/x 2>/dev/null && echo $d yes || echo $d no; done; cat /etc/hosts | grep -c .";
  const stdout = await output(box, "plain", line, ["--read-only", "-v", "v1:/v", "--tmpfs", "/t"]);
  assert.match(stdout, /^\/ no\n\/tmp no\n\/etc no\n\/dev\/shm yes\n\/v yes\n\/t yes\n[1-9]/);
  assert.notEqual((await run(box, "plain", "touch /v/y", ["-v", "v1:/v:ro"])).code, 0);
}, { skip });

asBoth("a run that is explained makes no volume", async (box) => {
  await load(box, "plain", [[]], { Volumes: { "/image": {} } });
  const words = ["-v", "vol:/vol", "-v", "/own", "localhost/plain", "true"];
  const { stdout } = await box.succeed(["run", "--rm", "--network", "none", "--explain", ...words]);
  for (const place of ["/vol", "/own", "/image"]) assert.ok(stdout.includes(`mount at ${place} `), place);
  assert.match(stdout, /volumes\/vol\/_data/);
  assert.doesNotMatch(stdout, /make file \/(vol|own|image)/);
  assert.equal(existsSync(join(box.store, "volumes")), false);
}, { skip });

asBoth("kill -9 while a volume is filled leaves it to be filled by the next", async (box) => {
  const files = Array.from({ length: 400 }, (_, index) => ({ name: `d/${index}`, content: "x".repeat(20_000) }));
  await load(box, "many", [[{ name: "d", type: "directory" }, ...files]]);
  await output(box, "many", "true");
  for (let round = 0; round < 4; round++) {
    const words = ["run", "--rm", "--network", "none", "-v", "vol:/d", "localhost/many", "true"];
    const kill = `"$@" & pid=$!; sleep 0.0${3 * round + 2}; kill -KILL $pid 2>/dev/null; wait $pid; true`;
    await box.run(["sh", "-c", kill, "sh", DUGOUT, ...words], { timeoutMs: 20_000 });
  }
  assert.equal(await output(box, "many", "ls /d | wc -l; cat /d/* | wc -c", ["-v", "vol:/d"]), "400\n8000000\n");
  const names = readdirSync(join(box.store, "volumes/vol")).sort();
  assert.deepEqual(names, ["_data", "filled", "lock", "volume.json"]);
}, { skip });
