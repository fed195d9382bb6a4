import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "node:test";
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openAt, S_IFCHR } from "#linux/file.ts";
import { makeNode } from "#linux/tree.ts";
import { setXattr } from "#linux/xattr.ts";
import { fromText } from "#tar/bytes.ts";
import { type CompareOptions, compareTrees } from "./compare_trees.ts";
import { OPAQUE_VALUE, OPAQUE_XATTR } from "./whiteout.ts";

/** Paths that end with a slash are directories, those that begin with `!` whiteouts, `=` opaque directories, `@` links. */
function lay(root: string, paths: readonly string[]): void {
  mkdirSync(root);
  for (const text of paths) {
    const kind = /^[!=@]/.exec(text)?.[0];
    const path = join(root, kind === undefined ? text : text.slice(1));
    mkdirSync(dirname(path), { recursive: true });
    if (kind === "!") assert.ok(makeNode(AT_FDCWD, path, S_IFCHR, 0) >= 0);
    else if (kind === "@") symlinkSync("x", path);
    else if (kind === "=" || text.endsWith("/")) {
      mkdirSync(path, { recursive: true });
      if (kind !== "=") continue;
      const fd = openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
      assert.ok(setXattr(fd, OPAQUE_XATTR, OPAQUE_VALUE) >= 0);
      close(fd);
    } else writeFileSync(path, text);
  }
}

/** All times alike, so that a directory has changed only where that is said. */
function settle(root: string, paths: readonly string[]): void {
  for (const text of paths) {
    const parts = text.replace(/^[!=@]/, "").split("/").filter((part) => part !== "");
    for (let length = parts.length; length > 0; length--) {
      try {
        utimesSync(join(root, ...parts.slice(0, length)), 1, 1);
      } catch {
        // a link to nothing
      }
    }
  }
}

function compare(
  upper: readonly string[],
  layers: readonly (readonly string[])[],
  options: Partial<CompareOptions> = {},
): string[] {
  const dir = mkdtempSync(join(tmpdir(), "dugout-compare-"));
  try {
    const roots = [upper, ...layers].map((paths, index) => {
      const root = join(dir, String(index));
      lay(root, paths);
      settle(root, paths);
      return openAt(AT_FDCWD, root, O_RDONLY | O_DIRECTORY);
    });
    const found: string[] = [];
    compareTrees(roots[0]!, roots.slice(1), { isComplete: false, mountPoints: [], ...options }, (change) => {
      const within = change.kind === "D" && change.within !== undefined ? ` (${change.within})` : "";
      found.push(`${change.kind} ${change.path}${within}`);
    });
    roots.forEach(close);
    return found;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test("what is new, changed and gone is told, and the directories on the way", () => {
  assert.deepEqual(compare(["a/b/new", "a/b/old", "!a/gone", "c/d/"], [["a/b/old", "a/gone", "c/d/"]]), [
    "C a",
    "C a/b",
    "A a/b/new",
    "C a/b/old",
    "D a/gone",
  ]);
});

test("a whiteout of what no layer has is no change, nor is one of what another one hides", () => {
  assert.deepEqual(compare(["!x", "!y"], [["!y"], ["y"]]), []);
});

test("an opaque directory hides what is below: what is not there again is gone", () => {
  assert.deepEqual(compare(["=d/", "d/sub/two"], [["d/one", "d/sub/two", "d/sub/three"]]), [
    "C d",
    "D d/one (d)",
    "C d/sub",
    "D d/sub/three (d)",
    "C d/sub/two",
  ]);
});

test("a new directory that is marked opaque is new, and no more", () => {
  assert.deepEqual(compare(["=n/", "n/x"], [["other"]]), ["A n", "A n/x"]);
});

test("one kind of file in the place of another is one change (C-004)", () => {
  assert.deepEqual(compare(["@d", "f/x"], [["d/one", "f"]]), ["C d", "C f", "A f/x"]);
});

test("in a whole copy what is missing is gone, and what is the same is not told", () => {
  const options = { isComplete: true };
  assert.deepEqual(compare(["a/same", "a/new"], [["a/same", "a/lost", "b/x"]], options), [
    "D b",
    "C a",
    "D a/lost",
    "A a/new",
  ]);
});

test("places that were made for mounts are no change, nor are the directories made for them", () => {
  const mountPoints = ["etc/hosts", "v/deep"].map(fromText);
  const made = ["etc/", "v/deep/"];
  assert.deepEqual(compare(made, [["x"]], { mountPoints }), []);
  assert.deepEqual(compare([...made, "v/other"], [["x"]], { mountPoints }), ["A v", "A v/other"]);
  assert.deepEqual(compare(["etc/hosts"], [["x"]], { mountPoints }), ["A etc", "A etc/hosts"]);
});
