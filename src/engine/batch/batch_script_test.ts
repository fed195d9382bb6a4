import assert from "node:assert/strict";
import { test } from "node:test";
import { spawnSync } from "node:child_process";
import { batchScript, quoteWord } from "./batch_script.ts";

const NOTHING = { name: undefined, nodes: undefined, tasks: undefined, array: undefined, time: undefined, others: [] };

test("a job's script has what was asked for, and one line that runs the container", () => {
  const script = batchScript({
    request: { ...NOTHING, nodes: "2", tasks: "16", array: "0-3", time: "10", others: ["--partition=long"] },
    image: "registry.example/team/solver:2",
    output: "/data/batch/%A_%a.out",
    command: ["/usr/bin/dugout", "run", "--rm", "solver", "a b"],
  });
  assert.equal(
    script,
    [
      "#!/bin/sh",
      "#SBATCH --job-name=solver",
      "#SBATCH --nodes=2",
      "#SBATCH --ntasks=16",
      "#SBATCH --array=0-3",
      "#SBATCH --time=10",
      "#SBATCH --output=/data/batch/%A_%a.out",
      "#SBATCH --partition=long",
      "# dugout: registry.example/team/solver:2",
      "exec srun /usr/bin/dugout run --rm solver 'a b'",
      "",
    ].join("\n"),
  );
});

test("no value begins a line of its own", () => {
  for (const others of [["--x\nrm -rf ~"], ["--x\r#SBATCH"]]) {
    assert.throws(
      () => batchScript({ request: { ...NOTHING, others }, image: "i", output: "o", command: [] }),
      { code: "BATCH_INVALID" },
    );
  }
});

test("a shell reads every word back as it was", () => {
  const words = ["plain", "", "two words", "it's", "$HOME `id`", "a\nb", "*", "\\", '"', "-e", "ünï"];
  const { stdout } = spawnSync("/bin/sh", ["-c", `printf '%s\\0' ${words.map(quoteWord).join(" ")}`], {
    encoding: "utf8",
  });
  assert.deepEqual(stdout.split("\0").slice(0, -1), words);
});
