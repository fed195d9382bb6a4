import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMANDS } from "../declare/commands.ts";
import { planCompletion } from "./plan.ts";

/** Splits at spaces; a line that ends with one begins a new word. */
function plan(line: string) {
  return planCompletion(COMMANDS, line.split(" "));
}

function words(line: string): string[] {
  const { words, typed } = plan(line);
  return words.map(([word]) => word).filter((word) => word.startsWith(typed));
}

test("commands are completed word by word, groups with them", () => {
  assert.deepEqual(words("sto"), ["stop"]);
  assert.deepEqual(words("container sto"), ["stop"]);
  assert.deepEqual(words("volume "), ["create", "exists", "inspect", "list", "ls", "prune", "remove", "rm"]);
  assert.ok(words("").includes("run") && words("").includes("system") && !words("").includes("ls"));
  assert.deepEqual(words("nonsense "), []);
  assert.deepEqual(words("--debug --root /x --log-level=info vol"), ["volume"]);
});

test("flags are those of the command, and not those that are hidden", () => {
  assert.deepEqual(words("stop --ti"), ["--timeout"]);
  assert.ok(words("run -").includes("-e") && words("run -").includes("--env"));
  assert.ok(!words("rm -").includes("--link"));
  assert.deepEqual(words("--log"), ["--log-level"]);
  // behind the image flags are the program's own
  assert.deepEqual(words("run busybox --e"), []);
  assert.deepEqual(words("rm -- --f"), []);
});

test("a flag's value is completed, behind a blank or an equals sign, and others are passed over", () => {
  assert.deepEqual(plan("run --pull "), { words: [], kinds: [["always", "missing", "never"]], typed: "", before: "" });
  assert.deepEqual(plan("run --pull=al"), {
    words: [],
    kinds: [["always", "missing", "never"]],
    typed: "al",
    before: "--pull=",
  });
  assert.deepEqual(plan("run -it --env-file ").kinds, ["files"]);
  assert.deepEqual(plan("run --rm -e A=b -itv ").kinds, ["directories", "volumes"]);
  assert.deepEqual(plan("run -eA=b -w/x ").kinds, ["images"]);
  assert.deepEqual(plan("run --rm=").kinds, [["true", "false"]]);
  assert.ok(plan("ps -f ").kinds.flat().includes("status=exited"));
  assert.deepEqual(plan("run --name ").kinds, []);
});

test("arguments are what the usage line says", () => {
  assert.deepEqual(plan("stop a ").kinds, ["running containers"]);
  assert.deepEqual(plan("container rm a b ").kinds, ["containers"]);
  assert.deepEqual(plan("rename a ").kinds, []);
  assert.deepEqual(plan("run ").kinds, ["images"]);
  assert.deepEqual(plan("run busybox ").kinds, []);
  assert.deepEqual(plan("tag a ").kinds, ["images"]);
  assert.deepEqual(plan("inspect ").kinds, ["containers", "images", "volumes"]);
  assert.deepEqual(plan("volume rm ").kinds, ["volumes"]);
  assert.deepEqual(plan("logs a ").kinds, []);
  assert.deepEqual(plan("info ").kinds, []);
  assert.deepEqual(plan("completion ").kinds, [["bash", "zsh", "fish"]]);
});

test("no line is too odd to be planned", () => {
  for (
    const line of [
      "-",
      "--",
      "-- ",
      "--=",
      "-=",
      "run -",
      "run --= ",
      "run -e",
      "run ---x ",
      "image",
      "   ",
      "run -\u0000",
    ]
  ) {
    plan(line);
  }
  planCompletion(COMMANDS, []);
});
