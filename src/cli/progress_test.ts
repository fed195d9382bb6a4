import assert from "node:assert/strict";
import { test } from "node:test";
import { displayWidth } from "./format/width.ts";
import { createProgress, type Progress, type ProgressScreen } from "./progress.ts";

/** A screen that understands what we send: cursor up, erase line, erase below, carriage return and line feed. */
function makeScreen(columns: number, rows: number): ProgressScreen & { lines: string[]; clock: { ms: number } } {
  const lines: string[] = [""];
  const clock = { ms: 0 };
  let at = 0;
  const write = (text: string): void => {
    for (const [piece] of text.matchAll(/\x1b\[[0-9]*[A-Z]|\r|\n|[^\x1b\r\n]+/g)) {
      if (piece === "\n") {
        at++;
        lines[at] ??= "";
      } else if (piece === "\x1b[2K") lines[at] = "";
      else if (piece === "\x1b[J") lines.splice(at, lines.length, "");
      else if (piece.startsWith("\x1b[") && piece.endsWith("A")) at -= Number(piece.slice(2, -1));
      else if (piece !== "\r") lines[at] += piece;
      assert.ok(at >= 0, "the cursor left the block");
      assert.ok(displayWidth(lines[at] ?? "") < columns, `a line is as wide as the screen: ${lines[at]}`);
    }
  };
  return { isTerminal: true, columns, rows, write, nowMs: () => clock.ms, lines, clock };
}

test("without a terminal each lasting state is a line, as docker prints them", () => {
  let out = "";
  const screen = {
    isTerminal: false,
    columns: 80,
    rows: 24,
    write: (text: string) => void (out += text),
    nowMs: () => 0,
  };
  const progress = createProgress(screen);
  progress.line("latest: Pulling from library/debian");
  progress.part("aaaaaaaaaaaa", "Pulling fs layer");
  progress.part("bbbbbbbbbbbb", "Already exists");
  progress.part("aaaaaaaaaaaa", "Downloading", 500, 100000);
  progress.part("aaaaaaaaaaaa", "Verifying Checksum");
  progress.part("aaaaaaaaaaaa", "Download complete");
  progress.part("aaaaaaaaaaaa", "Extracting", 500, 100000);
  progress.part("aaaaaaaaaaaa", "Pull complete");
  progress.part("aaaaaaaaaaaa", "Pull complete");
  progress.end();
  assert.equal(
    out,
    "latest: Pulling from library/debian\naaaaaaaaaaaa: Pulling fs layer\nbbbbbbbbbbbb: Already exists\n" +
      "aaaaaaaaaaaa: Download complete\naaaaaaaaaaaa: Pull complete\n",
  );
});

test("on a terminal the parts are drawn in place, with bars", () => {
  const screen = makeScreen(90, 24);
  const progress = createProgress(screen);
  progress.line("latest: Pulling from library/debian");
  progress.part("aaaaaaaaaaaa", "Pulling fs layer");
  progress.part("bbbbbbbbbbbb", "Pulling fs layer");
  progress.part("aaaaaaaaaaaa", "Downloading", 50_000, 100_000);
  assert.deepEqual(screen.lines, [
    "latest: Pulling from library/debian",
    `aaaaaaaaaaaa: Downloading [${"=".repeat(20)}>${" ".repeat(19)}]  50kB/100kB`,
    "bbbbbbbbbbbb: Pulling fs layer",
    "",
  ]);
  progress.part("aaaaaaaaaaaa", "Pull complete");
  progress.part("bbbbbbbbbbbb", "Pull complete");
  progress.end();
  progress.line("Status: Downloaded newer image for debian:latest");
  assert.deepEqual(screen.lines.slice(1), [
    "aaaaaaaaaaaa: Pull complete",
    "bbbbbbbbbbbb: Pull complete",
    "Status: Downloaded newer image for debian:latest",
    "",
  ]);
});

test("bytes are drawn ten times a second at most, and the last ones at the end", () => {
  const screen = makeScreen(90, 24);
  const progress = createProgress(screen);
  progress.part("a", "Downloading", 0, 100);
  progress.part("a", "Downloading", 30, 100);
  assert.match(screen.lines[0] ?? "", / 0B\/100B$/);
  screen.clock.ms = 100;
  progress.part("a", "Downloading", 60, 100);
  assert.match(screen.lines[0] ?? "", / 60B\/100B$/);
  progress.part("a", "Downloading", 90, 100);
  progress.end();
  assert.match(screen.lines[0] ?? "", / 90B\/100B$/);
});

test("more parts than the screen has lines: those at work are shown, and all of them at the end", () => {
  const screen = makeScreen(60, 10);
  const progress = createProgress(screen);
  for (let i = 0; i < 40; i++) progress.part(`layer${i}`, "Pulling fs layer");
  assert.equal(screen.lines.filter((line) => line !== "").length, 8);
  assert.equal(screen.lines[7], "33 more layers");
  for (let i = 0; i < 35; i++) progress.part(`layer${i}`, "Pull complete");
  assert.equal(screen.lines[0], "layer35: Pulling fs layer");
  assert.equal(screen.lines[5], "35 more layers");
  progress.end();
  assert.equal(screen.lines.filter((line) => line !== "").length, 40);
});

function tellEverything(progress: Progress): void {
  for (const id of ["a", "日本語日本語日本語", "x".repeat(300), "\x1b[2J\n\x9b\u202e"]) {
    progress.line(id);
    progress.part(id, "Downloading", 1, 3);
    progress.part(id, "Downloading", 10 ** 12, 3 * 10 ** 12);
    progress.part(id, "Downloading", 5, 3);
    progress.part(id, "Downloading", 5);
    progress.part(id, "Retrying in 5 seconds");
  }
  progress.end();
}

test("A-051 no width and no hostile name breaks the screen", () => {
  for (const columns of [400, 120, 80, 40, 21]) {
    const screen = makeScreen(columns, 5);
    // lines of text may be longer than the screen; the parts may not, which makeScreen checks
    const progress = createProgress(screen);
    tellEverything({ ...progress, line: () => {} });
    assert.doesNotMatch(screen.lines.join("\n"), /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  }
  let out = "";
  tellEverything(
    createProgress({ isTerminal: false, columns: 80, rows: 24, write: (text) => void (out += text), nowMs: () => 0 }),
  );
  assert.doesNotMatch(out, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
});
