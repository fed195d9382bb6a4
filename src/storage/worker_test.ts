import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { craftTar } from "#tar/testing.ts";
import { makeTestLayers } from "./test_layer.ts";
import { parseWorkerLine, parseWorkerPlan, serveWorker, unpackError, type WorkerLine } from "./worker.ts";

async function serve(plan: unknown): Promise<{ code: number; lines: WorkerLine[] }> {
  const lines: WorkerLine[] = [];
  async function* input() {
    const text = new TextEncoder().encode(typeof plan === "string" ? plan : JSON.stringify(plan));
    for (const byte of [text.subarray(0, 5), text.subarray(5)]) yield await Promise.resolve(byte);
  }
  const code = await serveWorker(input(), (line) => {
    assert.ok(line.endsWith("\n") && line.indexOf("\n") === line.length - 1);
    lines.push(parseWorkerLine(line)!);
  }, () => 0);
  return { code, lines };
}

test("a plan comes on stdin, progress and the outcome go out as lines", async () => {
  using t = makeTestLayers();
  const archive = craftTar([["f", "file", {}, "x"]]);
  const diffId = `sha256:${createHash("sha256").update(archive).digest("hex")}`;
  const blob = join(t.path, "b");
  writeFileSync(blob, archive);
  const plan = { kind: "unpack", layers: t.layers, diffId, blob, ownership: "single" };
  const { code, lines } = await serve(plan);
  assert.equal(code, 0);
  assert.deepEqual(lines.at(0), { kind: "progress", doneBytes: archive.length, totalBytes: archive.length });
  assert.deepEqual(lines.at(-1), {
    kind: "done",
    value: { status: "unpacked", sizeBytes: 1, entries: 1, compression: "none", warnings: [] },
  });
  assert.deepEqual((await serve({ kind: "removeLayer", layers: t.layers, diffId })).lines, [
    { kind: "done", value: { removed: true } },
  ]);
  mkdirSync(join(t.path, "tree/d"), { recursive: true });
  await serve({ kind: "removeTree", path: join(t.path, "tree") });
  assert.ok(!existsSync(join(t.path, "tree")));
});

test("an error keeps its code, its hint and its exit code on the way between processes", async () => {
  using t = makeTestLayers();
  const blob = join(t.path, "b");
  writeFileSync(blob, new Uint8Array([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0]));
  const plan = { kind: "unpack", layers: t.layers, diffId: `sha256:${"0".repeat(64)}`, blob, ownership: "single" };
  const { code, lines } = await serve(plan);
  assert.equal(code, 1);
  const line = lines.at(-1)!;
  assert.ok(line.kind === "failed");
  const error = unpackError(line.error);
  assert.equal(error.code, "LAYER_UNSUPPORTED");
  assert.match(error.message, /xz/);
  assert.match(error.hint!, /xz -d/);
  assert.equal(error.exitCode, 125);
});

test("several plans come one after another, and one that fails is not the end", async () => {
  using t = makeTestLayers();
  for (const name of ["a", "b"]) mkdirSync(join(t.path, name));
  const remove = (name: string) => JSON.stringify({ kind: "removeTree", path: join(t.path, name) });
  const { code, lines } = await serve(`${remove("a")}\n{"kind":"other"}\n${remove("b")}\n`);
  assert.deepEqual(lines.map(({ kind }) => kind), ["done", "failed", "done"]);
  assert.equal(code, 0);
  assert.deepEqual(await serve(""), { code: 0, lines: [] });
});

test("what is no plan is refused", async () => {
  const bad: unknown[] = ["\n", "{", "null", {}, { kind: "other" }, { kind: "removeTree", path: "relative" }];
  bad.push({ kind: "unpack", layers: "/l", diffId: "sha256:../../x", blob: "/b", ownership: "single" });
  for (const plan of bad) {
    const { code, lines } = await serve(plan);
    assert.equal(code, 1);
    assert.ok(lines[0]!.kind === "failed" && lines[0]!.error.code === "PLAN_INVALID", JSON.stringify(plan));
  }
  assert.equal(parseWorkerPlan('{"kind":"sweepLayers","layers":"/l"}').kind, "sweepLayers");
  assert.equal(parseWorkerLine("rubbish"), undefined);
});
