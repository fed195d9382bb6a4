import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { AT_FDCWD, close, O_DIRECTORY, O_PATH, openAt } from "#linux/file.ts";
import { fromText } from "#tar/bytes.ts";
import { makeEntry, type TarEntry, type TarKind } from "#tar/entry.ts";
import { removePath } from "./remove_tree.ts";
import { beneath, ExtractTree } from "./extract_tree.ts";

type Told = readonly [path: string, kind: TarKind, rest?: Partial<TarEntry>, content?: string];

/** Extracts entries beneath a directory that `prepare` has filled; `outside` lies beside it. */
function extract(
  entries: readonly Told[],
  prepare: (dir: string, outside: string) => void,
  check: (dir: string, outside: string) => void,
) {
  const base = mkdtempSync(join(tmpdir(), "dugout-extract-"));
  const [dir, outside] = [join(base, "dir"), join(base, "outside")];
  mkdirSync(dir);
  mkdirSync(outside);
  const fd = openAt(AT_FDCWD, dir, O_PATH | O_DIRECTORY);
  try {
    prepare(dir, outside);
    using tree = new ExtractTree({
      root: beneath(fd),
      prefix: "",
      rename: (path) => path,
      owners: "own",
      isInert: true,
      place: dir,
    });
    for (const [path, kind, rest = {}, content = ""] of entries) {
      const bytes = Buffer.from(content);
      tree.entry(makeEntry(fromText(path), kind, { sizeBytes: kind === "file" ? bytes.length : 0, ...rest }));
      if (kind === "file") {
        if (bytes.length > 0) tree.data(bytes, 0);
        tree.end();
      }
    }
    tree.finish();
    check(dir, outside);
  } finally {
    close(fd);
    removePath(base);
  }
}

const nothing = () => {};

test("files, links and directories are made, modes and times of directories last", () => {
  const link = { linkPath: fromText("d/f") };
  extract(
    [
      ["d", "directory", { mode: 0o500, mtimeSeconds: 1_000_000_000 }],
      ["d/f", "file", { mode: 0o6755 }, "content"],
      ["h", "hardlink", link],
      ["s", "symlink", link],
      ["made/up/x", "file"],
    ],
    nothing,
    (dir) => {
      assert.equal(readFileSync(join(dir, "d/f"), "utf8"), "content");
      assert.equal(lstatSync(join(dir, "d/f")).mode & 0o7777, 0o755);
      assert.equal(lstatSync(join(dir, "h")).nlink, 2);
      assert.equal(lstatSync(join(dir, "d")).mtimeMs, 1e12);
      assert.deepEqual(readdirSync(join(dir, "made/up")), ["x"]);
    },
  );
});

test("a file replaces a file or a link, and what the link leads to is not touched (A-002)", () => {
  extract(
    [["link", "file", {}, "new"], ["old", "symlink", { linkPath: fromText("x") }]],
    (dir, outside) => {
      writeFileSync(join(outside, "victim"), "safe");
      symlinkSync(join(outside, "victim"), join(dir, "link"));
      writeFileSync(join(dir, "old"), "old");
    },
    (dir, outside) => {
      assert.equal(readFileSync(join(outside, "victim"), "utf8"), "safe");
      assert.equal(readFileSync(join(dir, "link"), "utf8"), "new");
      assert.ok(lstatSync(join(dir, "old")).isSymbolicLink());
    },
  );
});

test("no name is reached through a link, nor is a parent made behind one (A-003, A-004)", () => {
  for (
    const entries of [[["link/x", "file"]], [["link/a/b", "file"]], [["link", "directory", { mode: 0o777 }]]] as const
  ) {
    let outsideIs = "";
    assert.throws(() =>
      extract(entries, (dir, outside) => {
        outsideIs = outside;
        symlinkSync(outside, join(dir, "link"));
      }, nothing), /link|directory/);
    assert.equal(existsSync(join(outsideIs, "x")), false);
  }
});

test("a directory is not replaced by a file, nor the other way round", () => {
  const prepare = (dir: string) => {
    mkdirSync(join(dir, "d"));
    writeFileSync(join(dir, "f"), "");
  };
  assert.throws(() => extract([["d", "file"]], prepare, nothing), /Cannot overwrite the directory "d"/);
  assert.throws(() => extract([["f", "directory"]], prepare, nothing), /Cannot overwrite "f", which is no directory/);
  assert.throws(() => extract([["..", "file"]], prepare, nothing), /leaves/);
  assert.throws(() => extract([[".", "file"]], prepare, nothing), /root/);
});

test("a file that does not come whole is not there", () => {
  const base = mkdtempSync(join(tmpdir(), "dugout-extract-"));
  const fd = openAt(AT_FDCWD, base, O_PATH | O_DIRECTORY);
  {
    using tree = new ExtractTree({
      root: beneath(fd),
      prefix: "",
      rename: (path) => path,
      owners: "own",
      isInert: true,
      place: base,
    });
    tree.entry(makeEntry(fromText("half"), "file", { sizeBytes: 10 }));
    tree.data(Buffer.from("half"), 0);
  }
  assert.deepEqual(readdirSync(base), []);
  close(fd);
  rmSync(base, { recursive: true });
});
