import assert from "node:assert/strict";
import { test } from "node:test";
import { isBatch, splitRunWords } from "./batch_options.ts";

test("the words of a job are taken from a run, and no others", () => {
  const words =
    "--batch slurm --nodes=2 -e A=b --ntasks 4 -itv /a:/b --rm --sbatch --mem=1 -eC=d --time 10 image --nodes 3";
  assert.deepEqual(splitRunWords(words.split(" ")), {
    flags: ["-e", "A=b", "-itv", "/a:/b", "--rm", "-eC=d"],
    operands: ["image", "--nodes", "3"],
  });
  assert.deepEqual(splitRunWords(["--rm", "--", "--odd"]), { flags: ["--rm"], operands: ["--odd"] });
});

test("flags of a job are refused without --batch, and systems that are not known", () => {
  assert.equal(isBatch(new Map([["batch", "slurm"]])), true);
  assert.equal(isBatch(new Map([["rm", true]])), false);
  assert.throws(() => isBatch(new Map([["nodes", "2"]])), { code: "USAGE" });
  assert.throws(() => isBatch(new Map([["batch", "pbs"]])), { code: "USAGE" });
});
