/** `diff`, `commit` and `export`: what a container has changed, and images of it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, CACHE, DUGOUT, needs, needsRegistry, REGISTRY, type Sandbox } from "./harness.ts";
import { busyboxLayer, craftImage, type Entry } from "./support/craft_image.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

/** A container that has ended, of busybox or of an image that was loaded. */
async function stopped(box: Sandbox, name: string, script: string, flags: readonly string[] = [], image = IMAGE) {
  await box.succeed(["run", "-q", "--network", "none", "--name", name, ...flags, image, "sh", "-c", script]);
}

async function lines(box: Sandbox, ...args: string[]): Promise<string[]> {
  return (await box.succeed(args)).stdout.split("\n").slice(0, -1);
}

/** Loads an image of busybox and one layer with a tree in it. */
async function loadTree(box: Sandbox): Promise<void> {
  const entries = [
    { name: "t", type: "directory" },
    { name: "t/keep", content: "keep" },
    { name: "t/gone", content: "gone" },
    { name: "t/sub", type: "directory" },
    { name: "t/sub/a", content: "a" },
    { name: "t/sub/b", content: "b" },
    { name: "t/owned", content: "o", uid: 33, gid: 44, mode: 0o4755 },
    { name: "t/far", content: "far", uid: 2_000_000, gid: 7 },
    { name: "t/null", type: "char", device: [1, 3] },
    { name: "t/link", type: "symlink", link: "keep" },
  ] satisfies Entry[];
  await box.succeed(["load", "-q"], { input: craftImage("tree:1", [busyboxLayer(CACHE), entries]) });
}

/** The entries of the topmost layer of an image, as tar lists them. */
async function topLayer(box: Sandbox, image: string): Promise<string[]> {
  const [object] = JSON.parse((await box.succeed(["image", "inspect", image])).stdout);
  const hex = object.RootFS.Layers.at(-1).slice("sha256:".length);
  const listed = await box.run(["tar", "tvnf", join(box.store, "images/blobs/sha256", hex)]);
  return listed.stdout.split("\n").slice(0, -1).map((line) => line.replace(/ +[0-9,]+ [0-9-]+ [0-9:]+ /, " "));
}

asBoth("diff lists A, C and D as docker does, parents as C, and nothing that the engine has made", async (box) => {
  await loadTree(box);
  await stopped(box, "nothing", "true", ["-v", "vol:/vol/deep", "-v", "/anon"], "tree:1");
  assert.deepEqual(await lines(box, "diff", "nothing"), []);
  const script =
    "cd /t; rm gone; echo more >>keep; rm -rf sub; mkdir sub; echo b >sub/b; mkdir -p new/dir; ln -s x new/link; rm link; mkdir link";
  await stopped(box, "some", script, [], "tree:1");
  assert.deepEqual(await lines(box, "diff", "some"), [
    "C /t",
    "D /t/gone",
    "C /t/keep",
    "C /t/link",
    "A /t/new",
    "A /t/new/dir",
    "A /t/new/link",
    "C /t/sub",
    "D /t/sub/a",
    "C /t/sub/b",
  ]);
  assert.deepEqual(await lines(box, "container", "diff", "some"), await lines(box, "diff", "some"));
  assert.equal((await box.dugout(["diff", "nobody"])).code, 1);
}, { skip });

asBoth("A-051 names in diff play no tricks", async (box) => {
  await stopped(box, "odd", "cd /root; touch \"$(printf 'a\\nb\\033[2J')\" \"$(printf '\\377')\"");
  const { stdout } = await box.succeed(["diff", "odd"]);
  assert.match(stdout, /^[ -~\n]*$/);
  assert.equal(stdout.split("\n").length, 4);
}, { skip });

asBoth("commit makes an image of the changes: files, whiteouts, links, settings", async (box) => {
  const script =
    "mkdir -p /w; echo hi >/w/f; ln /w/f /w/h; ln -s f /w/l; rm -rf /etc/passwd; rm -rf /root; mkdir /root; echo new >/root/new; echo v >/v/x";
  await stopped(box, "cc", script, ["-e", "A=1", "--label", "k=v", "-v", "/v"]);
  const { stdout } = await box.succeed(
    ["commit", "-a", "me", "-m", "words", "-c", 'CMD ["cat","/w/f"]', "-c", "ENV B=2", "cc", "mine:1"],
  );
  assert.match(stdout, /^sha256:[0-9a-f]{64}\n$/);
  assert.equal((await box.succeed(["run", "--rm", "--network", "none", "mine:1"])).stdout, "hi\n");
  const seen = await box.succeed(
    [
      "run",
      "--rm",
      "--network",
      "none",
      "mine:1",
      "sh",
      "-c",
      "ls /root; ls /etc/passwd /v 2>&1; stat -c %h /w/f; readlink /w/l; echo $A$B",
    ],
  );
  assert.equal(
    seen.stdout,
    "new\nls: /etc/passwd: No such file or directory\nls: /v: No such file or directory\n2\nf\n12\n",
  );
  const [object] = JSON.parse((await box.succeed(["image", "inspect", "mine:1"])).stdout);
  assert.equal(object.Id, stdout.trim());
  assert.equal(object.Author, "me");
  assert.deepEqual(object.Config.Cmd, ["cat", "/w/f"]);
  assert.deepEqual(object.Config.Labels, { k: "v" });
  assert.match((await lines(box, "history", "mine:1"))[1] ?? "", /sh -c mkdir -p .* words *$/);
  // of another container of it
  await box.succeed(["run", "--network", "none", "--name", "second", "mine:1", "rm", "/w/f"]);
  const second = (await box.succeed(["commit", "-q", "second"])).stdout.trim();
  assert.equal((await box.dugout(["run", "--rm", "--network", "none", second, "ls", "/w"])).stdout, "h\nl\n");
}, { skip });

asBoth("C-020 a container that has changed nothing adds no layer", async (box) => {
  await stopped(box, "same", "true", ["-v", "vol:/made/for/it", "--user", "1000"]);
  await box.succeed(["commit", "same", "same:1"]);
  const layers = async (name: string) =>
    (await box.succeed(["image", "inspect", "-f", "{{len .RootFS.Layers}}", name])).stdout;
  assert.equal(await layers("same:1"), await layers(IMAGE));
  assert.match((await lines(box, "history", "same:1"))[1] ?? "", /0B/);
}, { skip });

asBoth(
  "C-010 C-011 C-012 C-013 owners, rights and devices that the disk could not hold are in the layer",
  async (box) => {
    await loadTree(box);
    // files that are copied up: by their times, by their content, by a link
    await stopped(
      box,
      "cc",
      "cd /t; touch -r owned owned; chmod 755 owned 2>/dev/null; echo x >>far; ln null null2; true",
      [],
      "tree:1",
    );
    await box.succeed(["commit", "cc", "new:1"]);
    const listed = await topLayer(box, "new:1");
    const far = listed.find((line) => line.endsWith(" t/far")) ?? "";
    assert.match(far, / 2000000\/7 /);
    const exported = await box.run(["sh", "-c", `${DUGOUT} export cc | tar tvn`]);
    assert.match(exported.stdout, /2000000\/7 .* t\/far\n/);
    assert.match(exported.stdout, /crwxr-xr-x .* 1,3 .* t\/null\n/);
  },
  { skip },
);

asBoth("C-018 C-119 a file with a whiteout's name is refused, and nothing of the image is left", async (box) => {
  await stopped(box, "cc", "mkdir /d; echo k >/d/keep; touch /d/.wh.keep");
  const before = readdirSync(join(box.store, "images/blobs/sha256")).length;
  const { code, stderr } = await box.dugout(["commit", "cc", "bad:1"]);
  assert.equal(code, 1);
  assert.match(stderr, /"\/d\/\.wh\.keep"/);
  assert.equal(readdirSync(join(box.store, "images/blobs/sha256")).length, before);
  assert.equal((await box.dugout(["image", "exists", "bad:1"])).code, 1);
}, { skip });

asBoth("C-118 a directory that became a link has one entry in the layer, and nothing below it", async (box) => {
  await loadTree(box);
  await stopped(
    box,
    "cc",
    "rm -rf /t/sub; ln -s keep /t/sub; rm /t/keep; mkdir /t/keep; touch /t/keep/x",
    [],
    "tree:1",
  );
  await box.succeed(["commit", "cc", "new:1"]);
  const names = (await topLayer(box, "new:1")).map((line) => line.split(" ")[2]);
  assert.deepEqual(names, ["t/", "t/keep/", "t/keep/x", "t/sub"]);
  assert.equal((await box.succeed(["run", "--rm", "--network", "none", "new:1", "ls", "/t/sub/"])).stdout, "x\n");
}, { skip });

asBoth("C-008 C-018 an export holds all files by their names, and import makes the same of it", async (box) => {
  await stopped(box, "cc", "cd /root; echo a >\"$(printf 'b\\377')\"; echo x >x; ln x y; mkfifo p; echo v >/v/x", [
    "-v",
    "/v",
  ]);
  const script =
    `D=${DUGOUT}; $D export cc >a.tar && $D export -o b.tar cc && cmp a.tar b.tar && tar tf a.tar v/ | wc -l &&
    $D import -c 'CMD ["sh"]' a.tar again:1 >/dev/null && $D run --rm --network none again:1 sh -c 'cat /root/b*; stat -c %h /root/x; test -p /root/p && echo fifo'
    $D export -o nowhere/x cc; echo $?; ls *.part 2>/dev/null; $D export cc | head -c 10 >/dev/null; echo end`;
  const { stdout } = await box.run(["sh", "-c", script]);
  assert.equal(stdout, "1\na\n2\nfifo\n1\nend\n");
}, { skip });

asBoth("what runs is committed and exported as it is; --pause says that it cannot be", async (box) => {
  await box.succeed([
    "run",
    "-d",
    "-q",
    "--network",
    "none",
    "--name",
    "cc",
    IMAGE,
    "sh",
    "-c",
    "echo x >/x; sleep 600",
  ]);
  await box.run(["sh", "-c", `until ${DUGOUT} cp cc:/x - >/dev/null 2>&1; do sleep 0.1; done`]);
  const { stderr } = await box.succeed(["commit", "cc", "live:1"]);
  assert.match(stderr, /runs on while it is committed/);
  assert.equal((await box.succeed(["commit", "--pause=false", "cc", "live:1"])).stderr, "");
  assert.equal((await box.dugout(["commit", "-p", "cc"])).code, 1);
  assert.match((await box.succeed(["diff", "cc"])).stdout, /^A \/x$/m);
  assert.equal((await box.run(["sh", "-c", `${DUGOUT} export cc | tar xO x`])).stdout, "x\n");
  await box.succeed(["rm", "-f", "cc"]);
  assert.equal((await box.succeed(["run", "--rm", "--network", "none", "live:1", "cat", "/x"])).stdout, "x\n");
}, { skip });

asBoth("commits that cannot be are refused before anything is made", async (box) => {
  await stopped(box, "cc", "true");
  for (const args of [["-c", "RUN x", "cc"], ["cc", "Bad/NAME"], ["nobody"], ["cc", "a:1@sha256:" + "0".repeat(64)]]) {
    assert.equal((await box.dugout(["commit", ...args])).code, 1, args.join(" "));
  }
  // an image that a container is of loses its name alone
  await box.succeed(["rmi", "-f", IMAGE]);
  await box.succeed(["commit", "cc"]);
}, { skip });

asBoth("A-009 trees deeper than a path can say are listed, and refused by name where a name is needed", async (box) => {
  const deep =
    "p=; i=0; while [ $i -lt 900 ]; do p=$p/d; i=$((i+1)); done; mkdir -p /x$p /y$p /z$p; mv /z /y$p/; mv /y /x$p/; mv /x /d";
  await stopped(box, "cc", deep);
  assert.equal((await lines(box, "diff", "cc")).length, 2703);
  for (const args of [["commit", "cc"], ["export", "-o", "x.tar", "cc"]]) {
    const { code, stderr } = await box.dugout(args);
    assert.equal(code, 1, args.join(" "));
    assert.match(stderr, /more than 4095/);
  }
  await box.succeed(["rm", "cc"]);
  assert.deepEqual(readdirSync(box.home).filter((name) => name.startsWith("x.tar")), []);
}, { skip });

asBoth("with copies in place of an overlay diff and commit say the same", async (box) => {
  await loadTree(box);
  const vfs = ["--storage-driver", "vfs"];
  const script = "cd /t; rm gone; echo more >>keep; rm -rf sub; mkdir -p new/dir; rm link; mkdir link";
  await box.succeed([...vfs, "run", "--network", "none", "--name", "cc", "tree:1", "sh", "-c", script]);
  assert.deepEqual((await box.succeed([...vfs, "diff", "cc"])).stdout.split("\n").slice(0, -1), [
    "C /t",
    "D /t/gone",
    "D /t/sub",
    "C /t/keep",
    "C /t/link",
    "A /t/new",
    "A /t/new/dir",
  ]);
  await box.succeed([...vfs, "commit", "cc", "copy:1"]);
  assert.equal(
    (await box.succeed([...vfs, "run", "--rm", "--network", "none", "copy:1", "ls", "-A", "/t"])).stdout,
    "far\nkeep\nlink\nnew\nnull\nowned\n",
  );
  assert.equal(
    (await box.run([
      "sh",
      "-c",
      `echo f >f; ${DUGOUT} ${vfs.join(" ")} cp f cc:/t/ && ${DUGOUT} cp cc:/t/f - | tar xO`,
    ])).stdout,
    "f\n",
  );
}, { skip });

asBoth("mount and umount work inside of unshare, and say so elsewhere", async (box) => {
  await stopped(box, "cc", "echo x >/x; chown 5:6 /x");
  for (const command of ["mount", "umount"]) {
    const { code, stderr } = await box.dugout([command, "cc"]);
    assert.equal(code, 125);
    assert.match(stderr, /dugout unshare/);
  }
  const script =
    `D=${DUGOUT}; p=$($D mount cc); cat $p/x; stat -c %u:%g $p/x; echo y >$p/y; $D mount | wc -l; $D umount cc | wc -c; $D umount cc 2>/dev/null; echo $?; ls $p; $D mount cc >/dev/null`;
  const { stdout } = await box.succeed(["unshare", "sh", "-c", script]);
  assert.equal(stdout, `x\n${box.user.kind === "sub" ? "5:6" : "0:0"}\n1\n65\n125\n`);
  assert.equal((await box.run(["sh", "-c", `${DUGOUT} cp cc:/y - | tar xO`])).stdout, "y\n");
}, { skip });

asBoth("C-045 a full disk ends commit and cp with its name, and nothing half made is left", async (box) => {
  const small = join(box.path, "small");
  mkdirSync(small);
  const mounted = spawnSync("mount", [
    "-t",
    "tmpfs",
    "-o",
    `size=24m,mode=700,uid=${box.user.uid},gid=${box.user.gid}`,
    "none",
    small,
  ]);
  assert.equal(mounted.status, 0, String(mounted.stderr));
  try {
    const root = ["--root", join(small, "store")];
    const make = "head -c 14000000 /dev/zero | tr '\\0' x >/big";
    await box.succeed([...root, "run", "-q", "--network", "none", "--name", "cc", IMAGE, "sh", "-c", make]);
    const full = await box.dugout([...root, "commit", "cc", "full:1"]);
    assert.equal(full.code, 1, full.stderr);
    assert.match(full.stderr, /ENOSPC|space/);
    assert.equal((await box.dugout([...root, "image", "exists", "full:1"])).code, 1);
    await box.run(["sh", "-c", "head -c 30000000 /dev/zero | tr '\\0' x >in"]);
    const copied = await box.dugout([...root, "cp", "in", "cc:/in"]);
    assert.equal(copied.code, 1);
    assert.match(copied.stderr, /ENOSPC|space/);
    assert.equal((await box.succeed([...root, "diff", "cc"])).stdout, "A /big\n");
    await box.succeed([...root, "image", "prune", "-f"]);
    await box.succeed([...root, "rm", "cc"]);
  } finally {
    spawnSync("umount", ["-l", small]);
  }
}, { skip: skip || (process.getuid?.() === 0 ? false : "needs root, to mount a small file system") });

asBoth("with fuse-overlayfs cp, diff and commit work, and its server ends with them", async (box) => {
  await loadTree(box);
  const fuse = ["--storage-driver", "fuse-overlayfs"];
  const script = "cd /t; rm gone; echo more >>keep; rm -rf sub; mkdir sub; echo b >sub/b; mkdir -p new/dir";
  await box.succeed([
    ...fuse,
    "run",
    "--network",
    "none",
    "--name",
    "cc",
    "-v",
    "vol:/v",
    "tree:1",
    "sh",
    "-c",
    script,
  ]);
  assert.deepEqual((await box.succeed([...fuse, "diff", "cc"])).stdout.split("\n").slice(0, -1), [
    "C /t",
    "D /t/gone",
    "C /t/keep",
    "A /t/new",
    "A /t/new/dir",
    "C /t/sub",
    "D /t/sub/a",
    "C /t/sub/b",
  ]);
  const words = `${DUGOUT} ${fuse.join(" ")}`;
  const copy =
    `echo f >f; ${words} cp f cc:/t/ && ${words} cp f cc:/v/ && ${words} cp cc:/t/f - | tar xO && ${words} cp cc:/v/f - | tar xO`;
  assert.equal((await box.run(["sh", "-c", copy])).stdout, "f\nf\n");
  await box.succeed([...fuse, "commit", "cc", "fuse:1"]);
  const seen = await box.succeed(["run", "--rm", "--network", "none", "fuse:1", "sh", "-c", "ls /t /t/sub"]);
  assert.equal(seen.stdout, "/t:\nf\nfar\nkeep\nlink\nnew\nnull\nowned\nsub\n\n/t/sub:\nb\n");
}, { skip: skip || needs("fuse-overlayfs") });

asBoth("kill -9 of commit at any moment shows no half image, and prune removes what it left", async (box) => {
  await stopped(
    box,
    "cc",
    "head -c 30000000 /dev/zero | tr '\\0' x >/big; i=0; while [ $i -lt 500 ]; do echo $i >/root/$i; i=$((i+1)); done",
  );
  const script = `D=${DUGOUT}
    for i in $(seq 20); do $D commit -q cc img:1 >/dev/null 2>&1 & pid=$!; sleep 0.$(printf %02d $((i * 13 % 40))); kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
      if $D image exists img:1; then $D run --rm --network none img:1 cat /root/499 | grep -vx 499; fi
    done
    sleep 0.3; $D commit -q cc img:1 >/dev/null && $D run --rm --network none img:1 cat /root/499; $D rmi img:1 >/dev/null; $D image prune -f >/dev/null`;
  const { stdout, stderr } = await box.run(["sh", "-c", script], { timeoutMs: 110_000 });
  assert.equal(stdout, "499\n", stderr);
  assert.deepEqual(readdirSync(join(box.store, "images/ingest")), []);
}, { skip });

asBoth(
  "podman loads what was committed and saved, skopeo reads it from the store, with the same digests",
  async (box) => {
    await stopped(box, "cc", "rm -rf /root; echo hi >/w; chown 5:6 /w", ["-e", "A=1"]);
    const id = (await box.succeed(["commit", "cc", "127.0.0.1:5000/mine:1"])).stdout.trim();
    await box.succeed(["save", "-o", "mine.tar", "127.0.0.1:5000/mine:1"]);
    const store = join(box.store, "images");
    const config = await box.run(["skopeo", "inspect", "--config", "--raw", `oci:${store}:127.0.0.1:5000/mine:1`]);
    assert.equal(config.code, 0, config.stderr);
    const raw = readFileSync(join(store, "blobs/sha256", id.slice("sha256:".length)), "utf8");
    assert.equal(config.stdout.trim(), raw.trim());
    const podman = ["podman", "--root", join(box.home, "p"), "--runroot", join(box.runtimeDirectory, "p")];
    // its process that holds a user namespace ends with the shell's own
    const script =
      `"$@" --storage-driver vfs load -q -i mine.tar && "$@" --storage-driver vfs image inspect -f '{{.Id}}' 127.0.0.1:5000/mine:1
      podman unshare rm -rf ${box.home}/p; kill -9 $(cat ${box.runtimeDirectory}/libpod/tmp/pause.pid); sleep 0.2`;
    const { stdout, stderr } = await box.run(["sh", "-c", script, "sh", ...podman], { timeoutMs: 60_000 });
    assert.match(stdout, new RegExp(id.slice("sha256:".length)), stderr);
  },
  { skip: skip || needs("podman", "skopeo"), only: "sub" },
);
