/**
 * Layers as a container sees them, against the built binary and the kernel's overlayfs, as both kinds of user: what the
 * unit tests of src/storage cannot see, because it needs ids, mounts or a process that runs in the image.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { asBoth, CACHE, DUGOUT, needs, type Result, type Sandbox } from "./harness.ts";
import { busyboxLayer, craftImage } from "./support/craft_image.ts";
import { type ByteString, fromText } from "#tar/bytes.ts";
import { craftTar } from "#tar/testing.ts";

type Member = Parameters<typeof craftTar>[0][number];

const skip = existsSync(join(CACHE, "tars")) ? false : "needs tests/setup";
const bytes = (text: string) => text as ByteString;
const file = (path: string, content = "", mode = 0o644): Member => [path, "file", { mode }, content];
const dir = (path: string, mode = 0o755): Member => [path, "directory", { mode }];
const link = (path: string, target: string): Member => [path, "symlink", { linkPath: bytes(target) }];
const hard = (path: string, target: string): Member => [path, "hardlink", { linkPath: bytes(target) }];

/** Loads busybox with these layers on top, lowest first. */
async function load(box: Sandbox, name: string, layers: readonly Member[][]): Promise<void> {
  const archive = craftImage(`localhost/${name}:latest`, [busyboxLayer(CACHE), ...layers.map(craftTar)], {
    Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
  });
  await box.succeed(["load", "-q"], { input: archive });
}

/** Runs a script in an image, which unpacks it at the first time. */
function run(box: Sandbox, name: string, script: string, options: LookOptions = {}): Promise<Result> {
  const { driver, user } = options;
  const global = driver === undefined ? [] : ["--storage-driver", driver];
  const flags = ["--rm", "--network", "none", ...(user === undefined ? [] : ["--user", user])];
  return box.succeed([...global, "run", ...flags, `localhost/${name}`, "sh", "-c", script]);
}

type LookOptions = { driver?: string; user?: string };

async function look(box: Sandbox, name: string, script: string, options: LookOptions = {}): Promise<string[]> {
  return (await run(box, name, script, options)).stdout.split("\n").slice(0, -1);
}

/** Why a driver cannot be tried here; false where it can. */
function skipDriver(driver: string): string | false {
  if (skip || driver !== "fuse-overlayfs") return skip;
  const isOpen = existsSync("/dev/fuse") && (statSync("/dev/fuse").mode & 0o006) === 0o006;
  return needs("fuse-overlayfs") || (isOpen ? false : "needs /dev/fuse to be open for users");
}

/** One suite for all drivers: they have to show the same. */
function withEachDriver(name: string, work: (box: Sandbox, driver: string) => Promise<void>): void {
  for (const driver of ["overlay", "fuse-overlayfs", "vfs"]) {
    asBoth(`${name}, ${driver}`, (box) => work(box, driver), { skip: skipDriver(driver) });
  }
}

withEachDriver("C-004 for each pair of kinds the upper layer's entry wins", async (box, driver) => {
  const kinds: Record<string, (path: string, n: number) => Member[]> = {
    file: (path, n) => [file(path, `file ${n}`)],
    directory: (path, n) => [dir(path), file(`${path}/in${n}`)],
    symlink: (path, n) => [link(path, n === 1 ? "/target" : "elsewhere")],
    hardlink: (path, n) => [file(`${path}.other`, `other ${n}`), hard(path, `${path}.other`)],
    fifo: (path) => [[path, "fifo", { mode: 0o600 }]],
  };
  const wanted: Record<string, string> = {
    file: "file 2",
    directory: "in2",
    symlink: "-> elsewhere",
    hardlink: "other 2",
    fifo: "fifo",
  };
  const lower: Member[] = [dir("target"), file("target/kept")];
  const upper: Member[] = [];
  const lines: string[] = [];
  for (const [before, one] of Object.entries(kinds)) {
    for (const [after, two] of Object.entries(kinds)) {
      const path = `m/${before}_${after}`;
      lower.push(...one(path, 1));
      upper.push(...two(path, 2));
      lines.push(`${path} ${before === "directory" && after === "directory" ? "in1 in2" : wanted[after]}`);
    }
  }
  await load(box, "matrix", [lower, upper]);
  const script = `cd / && for p in m/*_*; do case $p in *.other) continue;; esac
    if [ -L $p ]; then echo "$p -> $(readlink $p)"; elif [ -d $p ]; then echo $p $(ls $p)
    elif [ -p $p ]; then echo $p fifo; else echo "$p $(cat $p)"; fi; done; ls target`;
  assert.deepEqual(await look(box, "matrix", script, { driver }), [...lines.sort(), "kept"]);
});

withEachDriver(
  "C-001 C-002 C-005 C-006 C-017 whiteouts hide what is below, and never the layer's own",
  async (box, driver) => {
    await load(box, "white", [
      [
        ...["late", "early"].flatMap((name) => [dir(name), file(`${name}/old`)]),
        file("gone"),
        dir("again"),
        file("again/old"),
        dir("became"),
        file("became/x"),
        dir("to"),
        file("to/x"),
        ["shut", "directory", { mode: 0o711, mtimeSeconds: 1000 }],
        file("shut/in/a"),
        file("shut/in/b"),
      ],
      [
        dir("late"),
        file("late/own"),
        file("late/.wh..wh..opq"),
        file("early/.wh..wh..opq"),
        file("early/own"),
        file(".wh.gone"),
        file(".wh.again"),
        file("again/new"),
        file("became/.wh.x"),
        link("became", "to"),
        file("no/such/.wh.thing"),
        file("shut/in/.wh.a"),
        file("shut/added"),
      ],
    ]);
    const script = "cd /; for d in late early again became/. shut shut/in; do echo $d $(ls $d); done; " +
      "ls -d gone no 2>&1 | wc -l; stat -c '%a %Y' shut";
    const [late, early, again, became, shut, inside, missing, mode] = await look(box, "white", script, { driver });
    assert.deepEqual([late, early, again, became, shut, inside], [
      "late own",
      "early own",
      "again new",
      "became/. x",
      "shut added in",
      "shut/in b",
    ]);
    assert.equal(missing, "2");
    // the upper layer names a file in it only: mode and time are those of the layer below
    assert.equal(mode, "711 1000");
  },
);

withEachDriver(
  "C-003 C-008 hard links are one file, and a replaced name leaves the others alone",
  async (box, driver) => {
    await load(box, "links", [[file("A", "x"), hard("B", "A"), hard("d/C", "/A")], [link("A", "B")]]);
    assert.deepEqual(
      await look(box, "links", "cat /A /B /d/C; echo; readlink /A; stat -c %i /B /d/C | uniq | wc -l", { driver }),
      [
        "xxx",
        "B",
        "1",
      ],
    );
  },
);

asBoth("C-010 a file capability works for a user of the container, where ids are mapped", async (box) => {
  // cap_net_raw+ep, version 2 (capability.h): the effective bit, permitted 1 << 13
  const capability = new Uint8Array([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  const xattrs = new Map([[fromText("security.capability"), capability]]);
  await load(box, "cap", [[["srv/grep", "file", { mode: 0o755, xattrs }, readFileSync("/bin/busybox")]]]);
  await run(box, "cap", "true");
  const found = await box.run(["find", box.store, "-path", "*/diff/srv/grep"]);
  assert.match(found.stdout, /grep\n$/);
  const onDisk = await box.run(["getfattr", "-n", "security.capability", found.stdout.trim()]);
  assert.equal(onDisk.code === 0, box.user.kind === "sub", onDisk.stderr);
  if (box.user.kind !== "sub") return;
  const line = await look(box, "cap", "/srv/grep CapEff /proc/self/status", { user: "1234" });
  assert.deepEqual(line.map((one) => one.split("\t")[1]), ["0000000000002000"]);
}, { skip });

asBoth("C-011 owners far outside of any range: the load succeeds, one line names path and id", async (box) => {
  await load(box, "far", [[
    ["far/one", "file", { uid: 172_761_424 }, "1"],
    ["far/two", "file", { uid: 172_761_424, gid: 3 }, "2"],
  ]]);
  const { stdout, stderr } = await run(box, "far", "cat /far/one /far/two; stat -c ' %u:%g' /far/one /far/two");
  if (box.user.kind === "sub") {
    const lines = stderr.split("\n").filter((line) => line.includes("172761424"));
    assert.equal(lines.length, 1, stderr);
    assert.match(lines[0]!, /"far\/one" and 1 more/);
  }
  assert.equal(stdout, box.user.kind === "sub" ? "12 0:0\n 0:3\n" : "12 0:0\n 0:0\n");
}, { skip });

withEachDriver(
  "C-012 owners are those of the archive where ids are mapped, and root's where there is one",
  async (box, driver) => {
    await load(box, "owners", [[["etc/shadow", "file", { gid: 42, mode: 0o640 }, "s"], ["srv/w", "directory", {
      uid: 33,
      gid: 33,
    }]]]);
    const owners = await look(box, "owners", "stat -c %u:%g /etc/shadow /srv/w", { driver });
    assert.deepEqual(owners, box.user.kind === "sub" ? ["0:42", "33:33"] : ["0:0", "0:0"]);
  },
);

asBoth("C-013 devices have stand-ins, with one warning", async (box) => {
  await load(box, "devices", [[
    ["srv/null", "char", { mode: 0o666, deviceMajor: 1, deviceMinor: 3 }],
    ["srv/white", "char", { mode: 0o666 }],
    ["srv/pipe", "fifo", { mode: 0o600 }],
  ]]);
  const { stdout, stderr } = await run(box, "devices", "stat -c '%n %F' /srv/*");
  assert.equal(stderr.split("\n").filter((line) => line.includes("device")).length, 1, stderr);
  assert.equal(stdout, "/srv/null regular empty file\n/srv/pipe fifo\n/srv/white regular empty file\n");
}, { skip });

withEachDriver(
  "C-014 directories that their owner may not enter or write are unpacked, used and removed",
  async (box, driver) => {
    await load(box, "shut", [[
      dir("a", 0o550),
      file("a/f", "1"),
      dir("z", 0o000),
      dir("z/y", 0o000),
      file("z/y/f", "2", 0o000),
    ]]);
    assert.deepEqual(await look(box, "shut", "cat /a/f /z/y/f; echo; stat -c %a /a /z /z/y", { driver }), [
      "12",
      "550",
      "0",
      "0",
    ]);
    await box.succeed(["rmi", "-f", "localhost/shut"]);
    const left = await box.run(["find", join(box.store, "layers"), "-path", "*/z"]);
    assert.equal(left.stdout, "");
  },
);

asBoth("C-018 links of a layer lead nowhere outside of it while it is unpacked", async (box) => {
  await load(box, "inside", [[
    link("l", box.canary),
    file("l/new", "n"),
    link("up", "../".repeat(20) + "tmp"),
    file("up/x", "x"),
  ]]);
  const where = `cat ${box.canary}/new /tmp/x`;
  assert.deepEqual(await look(box, "inside", `${where}; echo`), ["nx"]);
}, { skip });

asBoth("C-129 a layer that occurs three times is laid once", async (box) => {
  await load(box, "thrice", [[], [file("f", "1")], [], [file("f", "2")], []]);
  assert.deepEqual(await look(box, "thrice", "cat /f; echo"), ["2"]);
}, { skip });

asBoth("A-009 a tree deeper than any path, made inside, goes with its container", async (box) => {
  // from the inside out, as no path may be that long
  const name = "d".repeat(200);
  const script =
    `cd /; mkdir a; for i in $(seq 40); do mkdir b && mv a b/${name} && mv b a || exit 9; done; ls /a | wc -c`;
  await load(box, "deep", []);
  assert.deepEqual(await look(box, "deep", script), ["201"]);
  assert.equal((await box.run(["find", join(box.store, "containers"), "-name", name])).stdout, "");
}, { skip });

withEachDriver("attributes of an image cannot command overlayfs", async (box, driver) => {
  const xattrs = new Map([
    [fromText("user.overlay.opaque"), new Uint8Array([0x79])],
    [fromText("user.overlay.redirect"), new TextEncoder().encode("/etc")],
  ]);
  await load(box, "commands", [[dir("d"), file("d/below")], [["d", "directory", { xattrs }], file("d/own")]]);
  assert.deepEqual(await look(box, "commands", "ls /d", { driver }), ["below", "own"]);
});

/** Runs a script in user and mount namespaces of the user's own, with `$1` the binary and `$2` … as given. */
function inNamespaces(box: Sandbox, script: string, ...args: string[]): Promise<Result> {
  return box.run(["unshare", "-rm", "sh", "-c", script, "sh", DUGOUT, ...args], { timeoutMs: 60_000 });
}

/** The last line of a worker's answer. */
function answerOf(stdout: string): { kind: string; value?: unknown; error?: { code: string; message: string } } {
  return JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
}

function digestOf(content: Uint8Array): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

asBoth("A-093 what is mounted in a tree stops its removal, by name, and nothing behind it goes", async (box) => {
  const tree = join(box.home, "tree");
  await box.run(["mkdir", "-p", `${tree}/a/mount`, `${tree}/z`]);
  const script = `mount --bind "$3" "$4/a/mount" && echo '{"kind":"removeTree","path":"'"$4"'"}' | "$1" "$2"; ls "$3"`;
  const { stdout } = await inNamespaces(box, script, "__worker", box.canary, tree);
  const [answer = "", ...names] = stdout.trimEnd().split("\n");
  const { kind, error } = answerOf(answer);
  assert.equal(kind, "failed");
  assert.equal(error?.code, "MOUNT_IN_TREE");
  assert.match(error?.message ?? "", /"tree\/a\/mount"/);
  assert.ok(names.includes("file"));
  const again = await box.run([
    "sh",
    "-c",
    'echo "$2" | "$1" __worker',
    "sh",
    DUGOUT,
    `{"kind":"removeTree","path":"${tree}"}`,
  ]);
  assert.deepEqual(answerOf(again.stdout), { kind: "done", value: { removed: true } });
}, { skip: needs("unshare") });

asBoth("C-045 a full disk in the middle of a layer is named, and nothing of the layer stays", async (box) => {
  const archive = craftTar([file("small", "x"), ["big", "file", {}, new Uint8Array(6_000_000)]]);
  const blob = join(box.home, "blob");
  writeFileSync(blob, gzipSync(archive));
  const plan = { kind: "unpack", layers: join(box.home, "full"), diffId: digestOf(archive), blob, ownership: "single" };
  const script = 'mkdir "$3" && mount -t tmpfs -o size=4m none "$3" && echo "$4" | "$1" "$2"; ls -A "$3" | wc -l >&2';
  const { stdout, stderr } = await inNamespaces(box, script, "__worker", plan.layers, JSON.stringify(plan));
  const { error } = answerOf(stdout);
  assert.equal(error?.code, "ENOSPC", stdout);
  assert.match(error?.message ?? "", /file system ".*full" is full/);
  assert.equal(stderr.trim(), "0");
}, { skip: needs("unshare") });

asBoth("C-048 a layer is on the disk before it has its name", async (box) => {
  const archive = craftTar([file("f", "x")]);
  const [blob, layers] = [join(box.home, "blob"), join(box.home, "layers")];
  writeFileSync(blob, archive);
  await box.run(["mkdir", layers]);
  const plan = { kind: "unpack", layers, diffId: digestOf(archive), blob, ownership: "single" };
  const script = 'echo "$2" | strace -f -qq -e trace=syncfs,renameat2,rename -e signal=none "$1" __worker';
  const { stderr } = await box.run(["sh", "-c", script, "sh", DUGOUT, JSON.stringify(plan)]);
  const calls = [...stderr.matchAll(/(syncfs|rename)\w*\(/g)].map((match) => match[1]);
  assert.deepEqual(calls.slice(0, 2), ["syncfs", "rename"], stderr);
}, { skip: needs("strace") });

asBoth(
  "C-046 an unpacking that is killed leaves nothing that hinders three at once, and they leave one layer",
  async (box) => {
    const members = Array.from({ length: 3000 }, (_, i): Member => file(`d${i % 50}/f${i}`, "x".repeat(i % 700)));
    const archive = craftTar(members);
    const [blob, layers] = [join(box.home, "blob"), join(box.home, "layers")];
    writeFileSync(blob, gzipSync(archive));
    await box.run(["mkdir", layers]);
    const diffId = digestOf(archive);
    const plan = JSON.stringify({ kind: "unpack", layers, diffId, blob, ownership: "single" });
    for (const after of ["0.02", "0.06", "0.1", "0.15", "0.2"]) {
      await box.run(["sh", "-c", `echo "$2" | timeout -s KILL ${after} "$1" __worker`, "sh", DUGOUT, plan]);
    }
    const one = 'echo "$2" | "$1" __worker | tail -n 1';
    const { stdout } = await box.run(["sh", "-c", `(${one}) & (${one}) & (${one}) & wait`, "sh", DUGOUT, plan]);
    const kinds = stdout.trimEnd().split("\n").map((line) => answerOf(line).kind);
    assert.deepEqual(kinds, ["done", "done", "done"], stdout);
    assert.deepEqual((await box.run(["ls", "-A", layers])).stdout, `${diffId.slice(7)}\n`);
    const found = await box.run(["sh", "-c", `find ${layers}/*/diff -type f | wc -l`]);
    assert.equal(found.stdout, "3000\n");
  },
  { skip: needs("timeout") },
);
