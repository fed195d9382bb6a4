/** Our tar beside GNU tar and Python's tarfile: what one writes the other reads, and nobody sees another tree. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type ByteString, fromBytes, fromText } from "#tar/bytes.ts";
import { makeEntry, type TarEntry } from "#tar/entry.ts";
import { TarError } from "#tar/error.ts";
import { BLOCK } from "#tar/layout.ts";
import { concat, craftContent, craftPax, craftTar, readAll } from "#tar/testing.ts";
import { encodeHeader, paddingFor, TRAILER } from "#tar/write.ts";
import { seededRandom } from "../support/random.ts";

type Member = Parameters<typeof craftTar>[0][number];

const has = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;
const noTar = has("tar", "--version") ? false : "GNU tar is not installed";
const noPython = has("python3", "-c", "import tarfile") ? false : "Python is not installed";

function run(program: string, args: string[], input?: Uint8Array): { status: number | null; stdout: Buffer } {
  const result = spawnSync(program, args, {
    input,
    maxBuffer: 1 << 28,
    env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
  });
  return { status: result.status, stdout: result.stdout };
}

function withDirectory(work: (dir: string) => void): void {
  const dir = fs.mkdtempSync(join(tmpdir(), "dugout-tar-"));
  try {
    work(dir);
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

for (const format of ["v7", "ustar", "oldgnu", "gnu", "pax"]) {
  test(`what GNU tar writes in its ${format} format we read`, { skip: noTar }, () => {
    withDirectory((dir) => {
      const src = join(dir, "src");
      fs.mkdirSync(join(src, "d"), { recursive: true });
      const contents = new Map<string, string>();
      const add = (name: string, size: number) => {
        contents.set(name, "x".repeat(size));
        fs.writeFileSync(join(src, name), "x".repeat(size));
      };
      add("empty", 0);
      add("d/block", 512);
      add("d/more", 100_000);
      const long = "l".repeat(90);
      if (format !== "v7") {
        fs.mkdirSync(join(src, long));
        add(`${long}/${"m".repeat(90)}`, 5);
      }
      if (format !== "v7" && format !== "ustar") {
        fs.mkdirSync(join(src, long, long));
        add(`${long}/${long}/${"é".repeat(60)}`, 6);
        fs.symlinkSync("t".repeat(300), join(src, "link"));
      } else fs.symlinkSync("target", join(src, "link"));
      fs.linkSync(join(src, "empty"), join(src, "hard"));
      fs.chmodSync(join(src, "d"), 0o1750);
      fs.utimesSync(join(src, "empty"), 12.5, 12.5);
      const args = ["-C", src, "--sort=name", `--format=${format}`, "--owner=ann:1234", "--group=grp:5678", "-c", "."];
      const { stdout } = run("tar", args);
      const seen = readAll(stdout, [10_000]);
      const byPath = new Map(seen.map((one) => [Buffer.from(one.entry.path, "latin1").toString().slice(2), one]));
      for (const [name, content] of contents) {
        const one = byPath.get(name)!;
        if (one.entry.kind === "file") assert.equal(Buffer.from(one.content).toString(), content, name);
        assert.deepEqual([one.entry.uid, one.entry.gid], [1234, 5678]);
      }
      assert.deepEqual([byPath.get("d")!.entry.kind, byPath.get("d")!.entry.mode], ["directory", 0o1750]);
      assert.equal(byPath.get("link")!.entry.linkPath, fs.readlinkSync(join(src, "link")));
      assert.deepEqual([byPath.get("hard")!.entry.kind, byPath.get("hard")!.entry.linkPath], ["hardlink", "./empty"]);
      const { mtimeSeconds, mtimeNanoseconds } = byPath.get("empty")!.entry;
      assert.deepEqual([mtimeSeconds, mtimeNanoseconds], [12, format === "pax" ? 500_000_000 : 0]);
    });
  });
}

for (
  const [format, version] of [["oldgnu", ""], ["gnu", ""], ["pax", "0.0"], ["pax", "0.1"], ["pax", "1.0"]] as const
) {
  test(`C-009 GNU tar's sparse files, ${format} ${version}, are read with their holes`, { skip: noTar }, () => {
    withDirectory((dir) => {
      const path = join(dir, "sparse");
      const fd = fs.openSync(path, "w");
      // More runs than one header holds, and than one block of form 1.0.
      for (let i = 0; i < 90; i++) fs.writeSync(fd, Buffer.alloc(4096, i + 1), 0, 4096, i * 65_536);
      fs.ftruncateSync(fd, 10_000_000);
      fs.closeSync(fd);
      const args = [
        "-C",
        dir,
        `--format=${format}`,
        "-S",
        ...(version ? [`--sparse-version=${version}`] : []),
        "-c",
        "sparse",
      ];
      const { stdout } = run("tar", args);
      assert.ok(stdout.length < 1_000_000);
      const [one] = readAll(stdout, [7000]);
      assert.equal(one!.entry.path, "sparse");
      assert.equal(one!.entry.sizeBytes, 10_000_000);
      assert.equal(one!.entry.sparse!.length, 90);
      const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
      assert.equal(digest(one!.content), digest(fs.readFileSync(path)));
    });
  });
}

test("what we write GNU tar unpacks, with names, times, modes and links as they were", { skip: noTar }, () => {
  withDirectory((dir) => {
    const entries: [string, Partial<TarEntry>][] = [
      ["short", { mtimeSeconds: 1 }],
      [`${"p".repeat(150)}/${"n".repeat(100)}`, { mtimeSeconds: 2, mtimeNanoseconds: 5 }],
      [`${"p".repeat(156)}/n`, { mtimeSeconds: -5, mtimeNanoseconds: 250_000_000 }],
      ["n".repeat(101), { mtimeSeconds: 2 ** 33 + 5 }],
      ["bytes\xff\xfe", {}],
      [fromText("日本語".repeat(20)), {}],
    ];
    const archive = craftTar([
      ...entries.map(([path, rest]): Member => [path, "file", { mode: 0o640, ...rest }, path]),
      ["dir", "directory", { mode: 0o750, mtimeSeconds: 77 }],
      ["hard", "hardlink", { linkPath: "n".repeat(101) as ByteString }],
      ["soft", "symlink", { linkPath: "s".repeat(500) as ByteString }],
    ]);
    assert.equal(run("tar", ["-C", dir, "-xpf", "-"], archive).status, 0);
    for (const [path, rest] of entries) {
      const stat = fs.statSync(Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(path, "latin1")]), { bigint: true });
      assert.equal(Number(stat.mode) & 0o7777, 0o640);
      const nanoseconds = BigInt(rest.mtimeSeconds ?? 0) * 1_000_000_000n + BigInt(rest.mtimeNanoseconds ?? 0);
      assert.equal(stat.mtimeNs, nanoseconds, path);
    }
    assert.equal(fs.statSync(join(dir, "dir")).mode & 0o7777, 0o750);
    assert.equal(fs.statSync(join(dir, "hard")).ino, fs.statSync(join(dir, "n".repeat(101))).ino);
    assert.equal(fs.readlinkSync(join(dir, "soft")), "s".repeat(500));
  });
});

test("large ids and attributes that we write Python reads as they were", { skip: noPython }, () => {
  const xattrs = new Map([[fromText("user.x"), new Uint8Array([0x61, 0x0a, 0x3d])]]);
  const archive = concat([
    encodeHeader(makeEntry(fromText("f"), "file", { uid: 172_761_424, gid: 524_288, sizeBytes: 3, xattrs })),
    new Uint8Array(3),
    paddingFor(3),
    TRAILER,
  ]);
  const script = "import tarfile,sys,io\nfor m in tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read())):" +
    " print(m.name,m.uid,m.gid,m.size,repr(m.pax_headers['SCHILY.xattr.user.x']))";
  assert.equal(run("python3", ["-c", script], archive).stdout.toString(), "f 172761424 524288 3 'a\\n='\n");
});

/** The names that GNU tar lists, in latin1; undefined where it refuses. */
function listByGnu(archive: Uint8Array): string[] | undefined {
  const { status, stdout } = run("tar", ["--quoting-style=escape", "-tf", "-"], archive);
  if (status !== 0) return undefined;
  const escapes: Record<string, string> = { a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };
  const unescape = (name: string) =>
    name.replace(
      /\\([0-7]{3}|.)/g,
      (_, code: string) => code.length === 3 ? String.fromCharCode(parseInt(code, 8)) : escapes[code] ?? code,
    );
  return fromBytes(stdout).split("\n").slice(0, -1).map(unescape);
}

const PYTHON_LIST = `
import sys, io, json, tarfile, struct
data = sys.stdin.buffer.read(); at = 0; out = []
while at < len(data):
    size = struct.unpack_from('<I', data, at)[0]; at += 4
    one = data[at:at+size]; at += size
    try:
        out.append([m.name for m in tarfile.open(fileobj=io.BytesIO(one), mode='r:', encoding='latin1')])
    except Exception as e:
        out.append([])
print(json.dumps(out))
`;

/** The names that Python lists for each, in latin1. Where it refuses an archive it ends the list there, without a word. */
function listByPython(archives: Uint8Array[]): string[][] {
  const framed = concat(archives.flatMap((archive) => {
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, archive.length, true);
    return [size, archive];
  }));
  return JSON.parse(run("python3", ["-c", PYTHON_LIST], framed).stdout.toString()) as string[][];
}

test(
  "A-001 differential: whatever we accept, GNU tar and Python see the same entries",
  { skip: noTar || noPython },
  () => {
    const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 32));
    const random = seededRandom(seed);
    const inner = craftTar([["smuggled", "file", {}, "content"]]);
    const archives: Uint8Array[] = [];
    for (let round = 0; round < 300; round++) {
      const parts: Uint8Array[] = [];
      for (let i = 1 + random.below(4); i > 0; i--) {
        const content = random.pick([inner.subarray(0, 1024), new Uint8Array(0), random.bytes(random.below(600))]);
        const path = random.pick(["a", "b/c", "n".repeat(120), `${"p".repeat(120)}/x`]);
        if (random.below(4) === 0) parts.push(craftPax([["size", String(content.length)], ["comment", "x"]]));
        parts.push(encodeHeader(makeEntry(fromText(path), "file", { sizeBytes: content.length })));
        parts.push(craftContent(content));
        if (random.below(3) === 0) parts.push(encodeHeader(makeEntry(fromText("d"), "directory")));
        if (random.below(3) === 0) {
          parts.push(
            encodeHeader(makeEntry(fromText("l"), "symlink", { linkPath: fromText("t") })),
          );
        }
      }
      parts.push(TRAILER);
      const archive = concat(parts);
      // Change some bytes of headers, and make the checksums right again so that it matters.
      const headers = [];
      for (let at = 0; at + BLOCK <= archive.length; at += BLOCK) {
        if (fromBytes(archive, at + 257, at + 262) === "ustar") headers.push(at);
      }
      for (let i = 1 + random.below(3); i > 0; i--) {
        const at = random.pick(headers);
        const block = Buffer.from(archive.buffer, archive.byteOffset + at, BLOCK);
        const field = random.pick([[100, 8], [108, 8], [124, 12], [124, 12], [136, 12], [156, 1], [157, 2], [257, 8], [
          345,
          3,
        ]]);
        block[field[0]! + random.below(field[1]!)] = random.pick([
          0x30,
          0x31,
          0x32,
          0x37,
          0x38,
          0x20,
          0,
          0x78,
          0x4c,
          0x80,
          0xff,
          0x67,
          0x35,
        ]);
        block.fill(0x20, 148, 156);
        block.write(block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0") + "\0 ", 148, "latin1");
      }
      archives.push(archive);
    }
    const byPython = listByPython(archives);
    let accepted = 0;
    archives.forEach((archive, i) => {
      let ours: string[];
      try {
        ours = readAll(archive).map(({ entry }) => entry.path);
      } catch (error) {
        assert.ok(error instanceof TarError, `SEED=${seed}`);
        return;
      }
      accepted++;
      const strip = (names: string[]) => names.map((name) => name.replace(/\/+$/, "") || "/");
      const gnu = listByGnu(archive);
      const python = strip(byPython[i]!);
      // A reader that refuses shows no other tree; one that accepts has to show ours.
      if (gnu !== undefined) assert.deepEqual(strip(gnu), ours, `GNU tar, SEED=${seed} archive ${i}`);
      assert.deepEqual(python, ours.slice(0, python.length), `Python, SEED=${seed} archive ${i}`);
    });
    assert.ok(accepted > 20, `only ${accepted} archives of SEED=${seed} were accepted`);
  },
);
