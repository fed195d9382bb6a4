import { test } from "node:test";
import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "../../../tests/support/random.ts";
import { LOG_FRAME, LOG_STREAM } from "#runtime/log_frame.ts";
import { readLog, type ReadLogOptions } from "./read_log.ts";
import { repairLog } from "./repair.ts";

/** A directory of a container that goes with the block. */
function makeDirectory(): { path: string; log: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), "dugout-log-"));
  return {
    path,
    log: join(path, "log"),
    [Symbol.dispose]: () => rmSync(path, { recursive: true }),
  };
}

/** A frame as the monitor writes it. */
function frame(stream: keyof typeof LOG_STREAM, text: string | Uint8Array, seconds = 1): Uint8Array {
  const data = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const bytes = new Uint8Array(LOG_FRAME.SIZE + data.length + LOG_FRAME.TRAILER);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(LOG_FRAME.seconds, BigInt(seconds), true);
  view.setUint32(LOG_FRAME.stream, LOG_STREAM[stream], true);
  view.setUint32(LOG_FRAME.length, data.length, true);
  bytes.set(data, LOG_FRAME.SIZE);
  view.setUint32(LOG_FRAME.SIZE + data.length, data.length, true);
  return bytes;
}

async function read(directory: string, options: ReadLogOptions = {}): Promise<{ stdout: string; stderr: string }> {
  const texts = { stdout: "", stderr: "" };
  const decoder = new TextDecoder("latin1");
  for await (const frames of readLog(directory, options)) {
    for (const { stream, bytes } of frames) if (stream !== "lost") texts[stream] += decoder.decode(bytes);
  }
  return texts;
}

test("C-080 what was written comes back byte by byte, both streams apart, without a last line feed too", async () => {
  using t = makeDirectory();
  writeFileSync(t.log, Buffer.concat([frame("stdout", "one\ntw"), frame("stderr", "no\n"), frame("stdout", "o")]));
  assert.deepEqual(await read(t.path), { stdout: "one\ntwo", stderr: "no\n" });
  rmSync(t.log);
  assert.deepEqual(await read(t.path), { stdout: "", stderr: "" });
});

test("C-080 a tail counts lines as they were written, wherever their pieces lie", async () => {
  using t = makeDirectory();
  const long = "x".repeat(20_000);
  writeFileSync(
    t.log,
    Buffer.concat([
      frame("stdout", "a\nb\nc"),
      frame("stderr", "E1\nE2 begins"),
      frame("stdout", "c\n"),
      frame("stderr", " and ends\n"),
      frame("stdout", long),
      frame("stdout", `${long}\nlast`),
    ]),
  );
  const expected: [number, string, string][] = [
    [0, "", ""],
    [1, "last", ""],
    [2, `${long}${long}\nlast`, ""],
    [3, `${long}${long}\nlast`, "E2 begins and ends\n"],
    [4, `cc\n${long}${long}\nlast`, "E2 begins and ends\n"],
    [5, `cc\n${long}${long}\nlast`, "E1\nE2 begins and ends\n"],
    [6, `b\ncc\n${long}${long}\nlast`, "E1\nE2 begins and ends\n"],
    [100, `a\nb\ncc\n${long}${long}\nlast`, "E1\nE2 begins and ends\n"],
  ];
  for (const [tailLines, stdout, stderr] of expected) {
    assert.deepEqual(await read(t.path, { tailLines }), { stdout, stderr }, `the last ${tailLines}`);
  }
});

test("a tail is the end of what there is, for any pieces (law, seeded)", async () => {
  const random = seededRandom(1).fraction;
  for (let round = 0; round < 200; round++) {
    using t = makeDirectory();
    let whole = "";
    const frames: Uint8Array[] = [];
    for (let piece = Math.floor(random() * 12); piece > 0; piece--) {
      let text = "";
      for (let k = Math.floor(random() * 6) + 1; k > 0; k--) text += random() < 0.4 ? "\n" : "a";
      whole += text;
      frames.push(frame("stdout", text));
    }
    writeFileSync(t.log, Buffer.concat(frames));
    const lines = whole.split("\n").map((line, index, all) => index < all.length - 1 ? `${line}\n` : line);
    if (lines.at(-1) === "") lines.pop();
    for (const tailLines of [0, 1, 2, 3, 7, 50]) {
      const expected = tailLines === 0 ? "" : lines.slice(-tailLines).join("");
      assert.equal((await read(t.path, { tailLines })).stdout, expected, JSON.stringify({ round, whole, tailLines }));
    }
  }
});

test("logs that were put aside are read first, and a tail reaches into them", async () => {
  using t = makeDirectory();
  writeFileSync(`${t.log}.2`, frame("stdout", "1\n2\n"));
  writeFileSync(`${t.log}.1`, frame("stdout", "3\n4\n"));
  writeFileSync(t.log, frame("stdout", "5\n"));
  writeFileSync(`${t.log}.new`, frame("stdout", "not there yet\n"));
  assert.equal((await read(t.path)).stdout, "1\n2\n3\n4\n5\n");
  assert.equal((await read(t.path, { tailLines: 4 })).stdout, "2\n3\n4\n5\n");
  assert.equal((await read(t.path, { tailLines: 2 })).stdout, "4\n5\n");
});

test("a follower sees what comes, through files that are put aside, to the end", async () => {
  using t = makeDirectory();
  writeFileSync(t.log, frame("stdout", "old\n"));
  let end = () => {};
  const until = new Promise<void>((resolve) => end = resolve);
  let seen = "";
  const following = (async () => {
    for await (const frames of readLog(t.path, { until, tailLines: 0 })) {
      for (const { bytes } of frames) seen += new TextDecoder().decode(bytes);
    }
  })();
  for (let number = 1; number <= 5; number++) {
    appendFileSync(t.log, frame("stdout", `${number}a `));
    if (number % 2 === 0) {
      appendFileSync(t.log, frame("stdout", `${number}b `));
      writeFileSync(`${t.log}.new`, "");
      if (existsSync(`${t.log}.1`)) renameSync(`${t.log}.1`, `${t.log}.2`);
      renameSync(t.log, `${t.log}.1`);
      renameSync(`${t.log}.new`, t.log);
      appendFileSync(t.log, frame("stdout", `${number}c `));
    }
    while (!seen.includes(`${number}${number % 2 === 0 ? "c" : "a"} `)) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  appendFileSync(t.log, frame("stdout", "last"));
  end();
  await following;
  assert.equal(seen, "1a 2a 2b 2c 3a 4a 4b 4c 5a last");
});

test("what a killed monitor left unfinished is cut off, and what is whole stays", async () => {
  using t = makeDirectory();
  const whole = Buffer.concat([frame("stdout", "one\n"), frame("stderr", "two\n")]);
  const third = frame("stdout", "three\n");
  for (let cut = 0; cut <= third.length; cut++) {
    writeFileSync(t.log, Buffer.concat([whole, third]));
    truncateSync(t.log, whole.length + cut);
    const size = repairLog(t.log);
    assert.equal(size, cut === third.length ? whole.length + cut : whole.length, `${cut} bytes of it`);
    assert.equal(statSync(t.log).size, size);
    appendFileSync(t.log, frame("stdout", "next\n"));
    const text = await read(t.path);
    assert.equal(text.stdout, cut === third.length ? "one\nthree\nnext\n" : "one\nnext\n");
    assert.equal(text.stderr, "two\n");
  }
});

test("a log that is no log is put aside, and the next one is whole", async () => {
  using t = makeDirectory();
  writeFileSync(t.log, Buffer.alloc(100_000, 0xff));
  assert.equal(repairLog(t.log), 0);
  assert.equal(statSync(`${t.log}.damaged`).size, 100_000);
  appendFileSync(t.log, frame("stdout", "good\n"));
  assert.equal((await read(t.path)).stdout, "good\n");
});
