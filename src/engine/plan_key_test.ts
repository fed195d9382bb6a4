import { test } from "node:test";
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type KeyInput, makePlanKey } from "./plan_key.ts";

async function withStore(work: (input: KeyInput, program: string) => void | Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "dugout-key-"));
  try {
    mkdirSync(join(root, "images/names"), { recursive: true });
    writeFileSync(join(root, "program"), "built");
    await work(
      { dataRoot: root, runRoot: join(root, "run"), storageDriver: undefined, words: ["--rm", "image", "true"] },
      join(root, "program"),
    );
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

test("the key is the same as long as nothing changes", async () => {
  await withStore((input, program) => {
    const { hash } = makePlanKey(input, program);
    assert.match(hash, /^[0-9a-f]{64}$/);
    assert.equal(makePlanKey({ ...input, words: [...input.words] }, program).hash, hash);
  });
});

test("the key changes with every part of what is asked for, and where", async () => {
  await withStore((input, program) => {
    const other = join(input.dataRoot, "other");
    mkdirSync(join(other, "images/names"), { recursive: true });
    const keys = [
      input,
      { ...input, words: ["--rm", "image", "false"] },
      { ...input, words: ["--rm", "image true"] },
      { ...input, words: [] },
      { ...input, storageDriver: "overlay" },
      { ...input, runRoot: "/elsewhere" },
      { ...input, dataRoot: other },
    ].map((changed) => makePlanKey(changed, program).hash);
    assert.equal(new Set(keys).size, keys.length);
  });
});

test("the key changes with the names of images, and with another build", async () => {
  await withStore((input, program) => {
    const names = join(input.dataRoot, "images/names");
    const keys = [makePlanKey(input, program).hash];
    const changed = () => keys.push(makePlanKey(input, program).hash);
    writeFileSync(join(names, "a.json"), "1");
    // as if it had been a while ago: the clock of the file system may be coarse
    utimesSync(names, 1000, 1000);
    changed();
    writeFileSync(join(names, ".new"), "2");
    renameSync(join(names, ".new"), join(names, "a.json"));
    utimesSync(names, 1001, 1001);
    changed();
    writeFileSync(program, "built again");
    changed();
    rmSync(program);
    changed();
    assert.equal(new Set(keys).size, keys.length);
  });
});

test("the key changes with a batch system's job around it", async () => {
  await withStore((input, program) => {
    const before = process.env["SLURM_JOB_ID"];
    delete process.env["SLURM_JOB_ID"];
    const without = makePlanKey(input, program).hash;
    process.env["SLURM_JOB_ID"] = "17";
    assert.notEqual(makePlanKey(input, program).hash, without);
    if (before === undefined) delete process.env["SLURM_JOB_ID"];
    else process.env["SLURM_JOB_ID"] = before;
  });
});

test("what has just changed is not settled: another change at the same moment could leave no trace", async () => {
  await withStore((input, program) => {
    chmodSync(join(input.dataRoot, "images/names"), 0o700);
    assert.equal(makePlanKey(input, program).isSettled, false);
  });
});
