import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { AT_FDCWD, close, O_RDONLY, openAt } from "#linux/file.ts";
import { DT_REG, readDirectory } from "#linux/directory.ts";
import { getXattr } from "#linux/xattr.ts";
import { type ByteString, fromText } from "#tar/bytes.ts";
import { makeEntry, type TarKind } from "#tar/entry.ts";
import { concat, craftContent, craftHeader, craftPax, craftTar } from "#tar/testing.ts";
import { encodeHeader, TRAILER } from "#tar/write.ts";
import { LayerError } from "./layer_error.ts";
import { listLayer, makeTestLayers, type Members } from "./test_layer.ts";

type Member = Members[number];
const bytes = (text: string) => text as ByteString;
const file = (path: string, content = "", mode = 0o644): Member => [path, "file", { mode }, content];
const dir = (path: string, mode = 0o755): Member => [path, "directory", { mode }];
const link = (path: string, target: string): Member => [path, "symlink", { linkPath: bytes(target) }];
const hard = (path: string, target: string): Member => [path, "hardlink", { linkPath: bytes(target) }];

function xattrOf(path: string, name: string): string | undefined {
  const fd = openAt(AT_FDCWD, path, O_RDONLY);
  const value = getXattr(fd, name);
  close(fd);
  return typeof value === "number" ? undefined : Buffer.from(value).toString("latin1");
}

async function list(members: Members | Uint8Array): Promise<string[]> {
  using t = makeTestLayers();
  return listLayer((await t.unpack(members)).diff);
}

test("C-001 an opaque marker hides what lower layers have and keeps this layer's own files, wherever it stands", async () => {
  using t = makeTestLayers();
  for (
    const members of [
      [dir("d"), file("d/own", "x"), file("d/.wh..wh..opq")],
      [file("d/.wh..wh..opq"), dir("d"), file("d/own", "x")],
      [dir("d"), file("d/.wh..wh..opq"), file("d/own", "x")],
      [file("d/own", "x"), file("d/.wh..wh..opq")],
    ]
  ) {
    const { diff } = await t.unpack(members);
    assert.deepEqual(listLayer(diff), ["d/ 755", 'd/own 644 "x"']);
    assert.equal(xattrOf(join(diff, "d"), "user.overlay.opaque"), "y");
  }
});

test("C-002 an opaque marker is no whiteout of a file called .wh..opq", async () => {
  using t = makeTestLayers();
  const { diff, tree } = await t.unpack([
    dir("d"),
    file("d/.wh..wh..opq"),
    file(".wh..wh.plnk/1.2", "aufs"),
    file("d/.wh.x"),
  ]);
  assert.deepEqual(listLayer(diff), ["d/ 755", "d/x whiteout"]);
  assert.deepEqual(tree.whiteouts, []);
});

test("C-003 a hard link's target is a path from the layer's root, and all names are one file", async () => {
  using t = makeTestLayers();
  const { diff } = await t.unpack([
    file("bin/busybox", "b"),
    hard("bin/sh", "bin/busybox"),
    hard("bin/ls", "/bin/sh"),
    hard("bin/ls", "./bin/ls"),
  ]);
  assert.deepEqual(listLayer(diff), [
    "bin/ 755",
    'bin/busybox 644 "b"',
    "bin/ls = bin/busybox",
    "bin/sh = bin/busybox",
  ]);
  assert.equal(statSync(join(diff, "bin/ls")).nlink, 3);
});

test("C-004 C-007 of two entries of one path in a layer the later wins, for each pair of kinds", async () => {
  using t = makeTestLayers();
  const kinds: Record<string, (n: number) => Member[]> = {
    file: (n) => [file("x", `file ${n}`)],
    directory: (n) => [dir("x"), file(`x/in${n}`, "")],
    symlink: (n) => [link("x", n === 1 ? "target" : "canary")],
    hardlink: () => [hard("x", "other")],
    fifo: () => [["x", "fifo", { mode: 0o600 }]],
  };
  const wanted: Record<string, string[]> = {
    file: ['x 644 "file 2"'],
    directory: ["x/ 755", 'x/in2 644 ""'],
    symlink: ["x -> canary"],
    hardlink: ["x = other"],
    fifo: ["x fifo 600"],
  };
  for (const [before, one] of Object.entries(kinds)) {
    for (const [after, two] of Object.entries(kinds)) {
      const common = [
        dir("canary"),
        file("canary/file", "kept"),
        file("other", "o"),
        dir("target"),
        file("target/f", "t"),
      ];
      const { diff } = await t.unpack([...common, ...one(1), ...two(2)]);
      const lines = listLayer(diff).filter((line) => line.startsWith("x"));
      const merged = before === "directory" && after === "directory"
        ? ["x/ 755", 'x/in1 644 ""', 'x/in2 644 ""']
        : wanted[after];
      assert.deepEqual(lines, merged, `${before} then ${after}`);
      assert.equal(readFileSync(join(diff, "target/f"), "utf8"), "t");
      assert.equal(readFileSync(join(diff, "other"), "utf8"), "o");
      assert.deepEqual(readdirSync(join(diff, "canary")), ["file"]);
    }
  }
});

test("C-005 whiteouts below a path that is a symlink have no effect on what it leads to", async () => {
  for (
    const members of [
      [file("a/.wh.x"), dir("b"), file("b/x", "kept"), link("a", "b")],
      [dir("b"), file("b/x", "kept"), link("a", "b"), file("a/.wh.x"), file("a/.wh..wh..opq")],
    ]
  ) assert.deepEqual(await list(members), ["a -> b", "b/ 755", 'b/x 644 "kept"']);
});

test("C-006 a whiteout below directories that this layer has not makes none, and is kept for the layers below", async () => {
  using t = makeTestLayers();
  const { diff, tree } = await t.unpack([file("usr/x/y/.wh.z"), file("etc/.wh.motd"), file(".wh.top")]);
  assert.deepEqual(listLayer(diff), ["top whiteout"]);
  assert.deepEqual(tree.detached, ["usr/x/y/z", "etc/motd"]);
});

test("C-007 of a path that occurs twice content, mode and time are those of the last", async () => {
  using t = makeTestLayers();
  const { diff } = await t.unpack([
    ["etc/conf", "file", { mode: 0o600, mtimeSeconds: 1 }, "first, and longer"],
    ["etc/conf", "file", { mode: 0o640, mtimeSeconds: 2 }, "last"],
  ]);
  assert.deepEqual(listLayer(diff), ["etc/ 755", 'etc/conf 640 "last"']);
  assert.equal(statSync(join(diff, "etc/conf")).mtimeMs, 2000);
});

test("C-008 a name that is replaced leaves the other names of its file alone", async () => {
  assert.deepEqual(await list([file("A", "x"), hard("B", "A"), link("A", "B")]), ["A -> B", 'B 644 "x"']);
});

test("C-009 a sparse file has its real name, size and content, and its holes", async () => {
  using t = makeTestLayers();
  const archive = concat([
    craftPax([
      ["GNU.sparse.major", "1"],
      ["GNU.sparse.minor", "0"],
      ["GNU.sparse.name", "real"],
      ["GNU.sparse.realsize", "5000000"],
    ]),
    craftHeader({ name: "GNUSparseFile.1/real", size: (512 + 4).toString(8) }),
    craftContent(concat([craftContent("1\n4000000\n4\n"), Buffer.from("data")])),
    TRAILER,
  ]);
  const { diff } = await t.unpack(archive);
  assert.deepEqual(readdirSync(diff), ["real"]);
  const stat = statSync(join(diff, "real"));
  assert.equal(stat.size, 5_000_000);
  assert.ok(stat.blocks * 512 < 1_000_000, `${stat.blocks} blocks`);
  const content = readFileSync(join(diff, "real"));
  assert.equal(content.toString("latin1", 4_000_000, 4_000_004), "data");
  assert.equal(content.filter((byte) => byte !== 0).length, 4);
});

test("C-010 C-012 A-012 with a single id owners, set-id bits and capabilities are recorded, and not on disk", async () => {
  using t = makeTestLayers();
  const capability = new Uint8Array([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  const { diff, tree } = await t.unpack([
    ["etc/shadow", "file", { gid: 42, mode: 0o640 }, "s"],
    ["bin/su", "file", { mode: 0o4755 }, "su"],
    ["bin/wall", "file", { mode: 0o2755, gid: 5 }, "wall"],
    ["bin/ping", "file", { mode: 0o755, xattrs: new Map([[fromText("security.capability"), capability]]) }, "ping"],
    ["srv", "directory", { mode: 0o2775, uid: 33, gid: 33 }],
    hard("bin/su2", "bin/su"),
    ["l", "symlink", { linkPath: bytes("x"), uid: 7 }],
  ]);
  const paths = Object.fromEntries(tree.paths);
  assert.deepEqual(paths, {
    "etc/shadow": { gid: 42 },
    "bin/su": { mode: 0o4755 },
    "bin/su2": { mode: 0o4755 },
    "bin/wall": { gid: 5, mode: 0o2755 },
    "bin/ping": { xattrs: { "security.capability": Buffer.from(capability).toString("base64") } },
    "srv": { uid: 33, gid: 33, mode: 0o2775 },
    "l": { uid: 7 },
  });
  assert.equal(execFileSync("find", [diff, "-perm", "/6000"]).toString(), "");
  assert.equal(xattrOf(join(diff, "bin/ping"), "security.capability"), undefined);
  assert.equal(lstatSync(join(diff, "srv")).mode & 0o7777, 0o775);
  assert.deepEqual(tree.warnings, []);
});

test("C-013 a device has an empty stand-in and is recorded; a fifo is a fifo; one warning for all", async () => {
  using t = makeTestLayers();
  const { diff, tree } = await t.unpack([
    ["srv/null", "char", { mode: 0o666, deviceMajor: 1, deviceMinor: 3 }],
    ["srv/sda", "block", { mode: 0o660, deviceMajor: 8, deviceMinor: 0 }],
    ["srv/whiteout", "char", { mode: 0o600, deviceMajor: 0, deviceMinor: 0 }],
    ["srv/pipe", "fifo", { mode: 0o666 }],
  ]);
  assert.deepEqual(listLayer(diff), [
    "srv/ 755",
    'srv/null 666 ""',
    "srv/pipe fifo 666",
    'srv/sda 660 ""',
    'srv/whiteout 600 ""',
  ]);
  assert.deepEqual(tree.paths.get(bytes("srv/null")), { device: { kind: "char", major: 1, minor: 3 } });
  assert.deepEqual(tree.paths.get(bytes("srv/sda")), { device: { kind: "block", major: 8, minor: 0 } });
  assert.equal(tree.warnings.length, 1);
  assert.match(tree.warnings[0]!, /^"srv\/null" and 2 more: /);
});

test("C-014 files in a directory that may not be entered or written are unpacked, and it has its mode and time at the end", async () => {
  using t = makeTestLayers();
  const { diff, tree } = await t.unpack([
    ["root", "directory", { mode: 0o550, mtimeSeconds: 1000 }],
    ["root/shut", "directory", { mode: 0o000, mtimeSeconds: 2000 }],
    ["root/shut/file", "file", { mode: 0o000 }, "x"],
    ["root/late", "file", { mtimeSeconds: 3000 }, "x"],
  ]);
  assert.equal(tree.entries, 4);
  assert.equal(lstatSync(join(diff, "root")).mode & 0o7777, 0o550);
  assert.equal(lstatSync(join(diff, "root")).mtimeMs, 1_000_000);
  assert.equal(lstatSync(join(diff, "root/shut")).mode & 0o7777, 0);
  assert.equal(lstatSync(join(diff, "root/shut")).mtimeMs, 2_000_000);
});

test("C-017 a directory that is whited out and brought again shows this layer's children only", async () => {
  using t = makeTestLayers();
  for (
    const members of [
      [file(".wh.a"), file("a/b", "x")],
      [dir("a"), file("a/b", "x"), file(".wh.a")],
    ]
  ) {
    const { diff } = await t.unpack(members);
    assert.deepEqual(listLayer(diff), ["a/ 755", 'a/b 644 "x"']);
    assert.equal(xattrOf(join(diff, "a"), "user.overlay.opaque"), "y");
  }
  assert.deepEqual(await list([file(".wh.f"), file("f", "own")]), ['f 644 "own"']);
});

test("C-017 a directory that gave way to something else gets no time", async () => {
  using t = makeTestLayers();
  const { diff } = await t.unpack([dir("a"), dir("a/b"), file("c", "x"), link("a", "c"), ["c", "file", {
    mtimeSeconds: 5,
  }, "y"]]);
  assert.deepEqual(listLayer(diff), ["a -> c", 'c 644 "y"']);
  assert.equal(statSync(join(diff, "c")).mtimeMs, 5000);
});

test("C-018 entries land inside of the layer, or are refused by name", async () => {
  using t = makeTestLayers();
  const inside = await t.unpack([
    file("/abs", "1"),
    file("./dot/../up", "2"),
    link("l", "/"),
    file("l/etc/x", "3"),
    link("far", "../".repeat(12) + "tmp"),
    file("far/y", "4"),
    file("new\nline", "5"),
    link("run", "/var/run"),
    file("run/pid", "7"),
  ]);
  assert.deepEqual(
    listLayer(inside.diff).filter((line) => / "\d"$/.test(line)),
    [
      'abs 644 "1"',
      'etc/x 644 "3"',
      'new\nline 644 "5"',
      'tmp/y 644 "4"',
      'up 644 "2"',
      'var/run/pid 644 "7"',
    ],
  );
  const odd = await t.unpack([file("not\xffutf8", "6")]);
  const fd = openAt(AT_FDCWD, odd.diff, O_RDONLY);
  assert.deepEqual(readDirectory(fd), [{ name: "not\xffutf8", type: DT_REG }]);
  close(fd);
  for (
    const member of [
      file("../x"),
      file("a/../../x"),
      hard("h", "../../etc/passwd"),
      hard("h", "nowhere"),
      file("x".repeat(256)),
      file("d/.wh."),
      file("d/.wh..."),
      file("d/.wh.a/b"),
    ]
  ) {
    let error: unknown;
    try {
      const archive = member[0].length > 255
        ? concat([craftPax([["path", member[0]]]), craftHeader({}), TRAILER])
        : craftTar([member]);
      await t.unpack(archive);
    } catch (caught) {
      error = caught;
    }
    assert.ok(error instanceof Error && error.message.includes(member[0].slice(0, 100)), `${member[0]}: ${error}`);
  }
});

test("a link in the place of a parent that leads in a circle is refused", async () => {
  using t = makeTestLayers();
  await assert.rejects(t.unpack([link("a", "b"), link("b", "a"), file("a/x")]), { code: "ELOOP" });
});

test("A-002 A-003 no entry is made or changed through a link that leads outside", async () => {
  using t = makeTestLayers();
  const before = JSON.stringify([lstatSync(t.canary), lstatSync(join(t.canary, "file"))]);
  const targets = [
    t.canary,
    `${t.canary}/file`,
    "../".repeat(12) + t.canary.slice(1),
    "/proc/self/root",
    "/proc/self/cwd",
    "/proc/1/cwd",
    ".",
  ];
  const kinds: TarKind[] = ["file", "directory", "hardlink", "fifo"];
  for (const target of targets) {
    for (const kind of kinds) {
      const rest = kind === "hardlink" ? { linkPath: bytes("own") } : {};
      for (const path of ["x", "x/file", "x/canary/file", "x/new", "x/q/r/made"]) {
        const members: Member[] = [file("own", "o"), link("x", target), [path, kind, { mode: 0o777, ...rest }]];
        // refused or made inside: either is right
        await t.unpack(members).catch((error) => assert.ok(error instanceof Error));
      }
    }
    for (const path of ["x/.wh.file", ".wh.x", "x/.wh..wh..opq"]) await t.unpack([link("x", target), file(path)]);
    await t.unpack([hard("h", "own"), link("own", target)]).catch((error) => assert.ok(error instanceof LayerError));
    await t.unpack([link("own", target), hard("h", "own"), file("h", "over")]);
    await t.unpack([link("p", ".."), link("p/q", ".."), file("p/q/r/made")]).catch(() => {});
  }
  assert.equal(JSON.stringify([lstatSync(t.canary), lstatSync(join(t.canary, "file"))]), before);
  assert.deepEqual(readdirSync(t.canary), ["file"]);
});

test("A-004 modes, times and attributes do not go through a link that took a directory's place", async () => {
  using t = makeTestLayers();
  const before = JSON.stringify(lstatSync(t.canary));
  const xattrs = new Map([[fromText("user.evil"), new Uint8Array([1])]]);
  await t.unpack([["x", "directory", { mode: 0o777, mtimeSeconds: 1, xattrs }], link("x", t.canary)]);
  await t.unpack([link("x", t.canary), ["x", "directory", { mode: 0o777, mtimeSeconds: 1, xattrs }]]);
  const { diff, tree } = await t.unpack([["x", "symlink", {
    linkPath: bytes(t.canary),
    xattrs,
    mode: 0o777,
    mtimeSeconds: 1,
  }]]);
  assert.equal(lstatSync(join(diff, "x")).mtimeMs, 1000);
  assert.ok(tree.paths.get(bytes("x"))?.xattrs?.["user.evil"] !== undefined);
  assert.equal(JSON.stringify(lstatSync(t.canary)), before);
});

test("A-005 a directory that alternates with a link never lets a file out", async () => {
  using t = makeTestLayers();
  for (const names of [1, 32]) {
    const members: Member[] = [];
    for (let round = 0; round < 250; round++) {
      const name = `a${round % names}`;
      members.push(dir(name), file(`${name}/x`, "in"), link(name, t.canary), [`${name}/new`, "file", {}, "n"]);
    }
    await t.unpack(members);
  }
  assert.deepEqual(readdirSync(t.canary), ["file"]);
});

test("A-006 an entry for the root may only be a directory, whose mode counts", async () => {
  using t = makeTestLayers();
  for (const path of [".", "/", "./", "a/..", "./."]) {
    for (const kind of ["file", "symlink", "hardlink", "fifo", "char"] as TarKind[]) {
      const isLink = kind === "symlink" || kind === "hardlink";
      const name = path.replace(/\/$/, "") || "/";
      const header = kind === "file" && path.endsWith("/") ? craftHeader({ name: path }) : encodeHeader({
        ...makeEntry(bytes("n"), kind, isLink ? { linkPath: bytes("t") } : {}),
        path: bytes(name === "/" ? "." : name),
      });
      await assert.rejects(t.unpack(concat([header, TRAILER])), `${path} ${kind}`);
    }
    const { diff, tree } = await t.unpack([[path, "directory", { mode: 0o711, mtimeSeconds: 9 }], file("f")]);
    assert.equal(lstatSync(diff).mode & 0o7777, 0o711);
    assert.equal(lstatSync(diff).mtimeMs, 9000);
    assert.ok(tree.hasRoot);
  }
  const { diff, tree } = await t.unpack([file("f")]);
  assert.equal(lstatSync(diff).mode & 0o7777, 0o755);
  assert.ok(!tree.hasRoot);
});

test("A-097 the limits on entries and sizes end the unpacking", async () => {
  using t = makeTestLayers();
  const isLimit = (error: unknown) => error instanceof LayerError && error.code === "LAYER_LIMIT";
  await assert.rejects(t.unpack([file("a"), file("b"), file("c")], { maxEntries: 2 }), isLimit);
  await assert.rejects(t.unpack([file("a", "12345")], { maxFileBytes: 4 }), isLimit);
  await assert.rejects(t.unpack([file("a", "123"), file("b", "123")], { maxTotalBytes: 5 }), isLimit);
  const sparse = concat([
    craftPax([["GNU.sparse.size", String(2 ** 52)], ["GNU.sparse.map", "0,1"]]),
    craftHeader({ size: "1" }),
    craftContent("x"),
    TRAILER,
  ]);
  await assert.rejects(t.unpack(sparse), isLimit);
});

test("attributes that overlay file systems read as commands never reach the disk", async () => {
  using t = makeTestLayers();
  const names = [
    "user.overlay.opaque",
    "user.overlay.redirect",
    "user.overlay.whiteout",
    "user.fuseoverlayfs.opaque",
    "user.containers.override_stat",
    "trusted.overlay.opaque",
  ];
  const xattrs = new Map([...names, "user.mine"].map((name) => [fromText(name), new Uint8Array([0x79])] as const));
  const { diff, tree } = await t.unpack([["d", "directory", { xattrs }], ["f", "file", { xattrs, mode: 0o444 }, "x"]]);
  for (const path of ["d", "f"]) {
    for (const name of names) assert.equal(xattrOf(join(diff, path), name), undefined, `${path} ${name}`);
    assert.equal(xattrOf(join(diff, path), "user.mine"), "y");
    assert.deepEqual(Object.keys(tree.paths.get(bytes(path))!.xattrs!).sort(), [...names].sort());
  }
  assert.equal(lstatSync(join(diff, "f")).mode & 0o7777, 0o444);
});

test("modes are those of the archive whatever the umask", async () => {
  using t = makeTestLayers();
  const old = process.umask(0o077);
  try {
    const { diff } = await t.unpack([file("a", "", 0o666), file("b", "", 0o1755), dir("d", 0o1777), ["p", "fifo", {
      mode: 0o622,
    }]]);
    assert.deepEqual(listLayer(diff), ['a 666 ""', 'b 1755 ""', "d/ 1777", "p fifo 622"]);
  } finally {
    process.umask(old);
  }
});
