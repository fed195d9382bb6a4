import { test } from "node:test";
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OsError } from "#linux/errno.ts";
import { playTape } from "#tape/play.ts";
import {
  ANSWER_BUFFER,
  askContent,
  askExistence,
  askFileSystem,
  askIdentity,
  askMountFlags,
  askNamespace,
  askPlace,
  askText,
  changedMs,
  type Fact,
  factSteps,
  learn,
} from "./facts.ts";

function withDirectory(work: (path: string) => void): void {
  const path = mkdtempSync(join(tmpdir(), "dugout-facts-"));
  try {
    work(path);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

/** Whether the facts hold, as a tape sees it. */
function hold(facts: readonly Fact[]): boolean {
  try {
    playTape({ steps: factSteps(facts), buffers: new Map([ANSWER_BUFFER]), errorFd: 4 });
    return true;
  } catch (error) {
    if (error instanceof OsError && error.code === "ESTALE") return false;
    throw error;
  }
}

test("facts hold while nothing has changed, those of things that are not there too", () => {
  withDirectory((path) => {
    writeFileSync(join(path, "file"), "text");
    const facts = [
      askContent(join(path, "file")),
      askContent(join(path, "missing")),
      askContent(path),
      askPlace(path),
      askFileSystem(path),
      askMountFlags(path),
      askExistence(join(path, "file")),
      askExistence(join(path, "missing")),
      askText(join(path, "file")),
      askText(join(path, "missing")),
      askText("/proc/sys/kernel/random/boot_id"),
      ...["mnt", "user", "pid", "net"].map(askNamespace),
      ...askIdentity(),
    ].map(learn);
    assert.equal(hold(facts), true);
    assert.equal(hold([]), true);
  });
});

test("a fact holds no more when what it tells of has changed", () => {
  const cases: readonly (readonly [string, (path: string) => Fact, (path: string) => void])[] = [
    [
      "content of a file",
      (p) => learn(askContent(join(p, "file"))),
      (p) => writeFileSync(join(p, "file"), "longer text"),
    ],
    ["time of a file", (p) => learn(askContent(join(p, "file"))), (p) => utimesSync(join(p, "file"), 1, 1)],
    ["another file", (p) => learn(askContent(join(p, "file"))), (p) => {
      writeFileSync(join(p, "new"), "text");
      renameSync(join(p, "new"), join(p, "file"));
    }],
    ["a file that comes", (p) => learn(askContent(join(p, "missing"))), (p) => writeFileSync(join(p, "missing"), "")],
    ["a file that goes", (p) => learn(askContent(join(p, "file"))), (p) => rmSync(join(p, "file"))],
    ["a name in a directory", (p) => learn(askContent(p)), (p) => writeFileSync(join(p, "new"), "")],
    ["a text", (p) => learn(askText(join(p, "file"))), (p) => writeFileSync(join(p, "file"), "TEXT")],
    ["a text that comes", (p) => learn(askText(join(p, "missing"))), (p) => writeFileSync(join(p, "missing"), "")],
    ["existence", (p) => learn(askExistence(join(p, "file"))), (p) => rmSync(join(p, "file"))],
    ["absence", (p) => learn(askExistence(join(p, "missing"))), (p) => mkdirSync(join(p, "missing"))],
    ["mode of a place", (p) => learn(askPlace(p)), (p) => chmodSync(p, 0o755)],
    ["a link in a place", (p) => learn(askPlace(join(p, "place"))), (p) => {
      renameSync(join(p, "place"), join(p, "moved"));
      symlinkSync("moved", join(p, "place"));
    }],
  ];
  for (const [name, ask, change] of cases) {
    withDirectory((path) => {
      writeFileSync(join(path, "file"), "text");
      mkdirSync(join(path, "place"), { mode: 0o700 });
      const fact = ask(path);
      assert.equal(hold([fact]), true, name);
      change(path);
      assert.equal(hold([fact]), false, name);
    });
  }
});

test("what lies in a place may change", () => {
  withDirectory((path) => {
    const fact = learn(askPlace(path));
    writeFileSync(join(path, "new"), "");
    assert.equal(hold([fact]), true);
  });
});

test("facts of content tell when it was changed", () => {
  withDirectory((path) => {
    writeFileSync(join(path, "file"), "text");
    assert.ok(Math.abs(changedMs(learn(askContent(join(path, "file")))) - Date.now()) < 60_000);
    assert.equal(changedMs(learn(askContent(join(path, "missing")))), 0);
    assert.equal(changedMs(learn(askPlace(path))), 0);
  });
});
