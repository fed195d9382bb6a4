/** The memory that an image with one huge layer takes: pull (download, digests, gunzip, unpacking) and push. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { measureOnce, runOrFail } from "./support/measure.ts";
import { formatMiB } from "./support/report.ts";
import { DUGOUT, removal, withDirectory } from "./support/setting.ts";

const MEBIBYTES = Number(process.env["BENCH_LARGE_MIB"] ?? 5120);
const LIMIT_BYTES = 150e6;

await withDirectory(async (path) => {
  const program = join(import.meta.dirname ?? "", "../tests/support/large_registry.ts");
  // a process of its own: measuring blocks this one
  const registry = spawn(process.execPath, [program, String(MEBIBYTES)], { stdio: ["pipe", "pipe", "inherit"] });
  const host = await new Promise<string>((resolve) =>
    registry.stdout.once("data", (line) => resolve(String(line).trim()))
  );
  const env = { HOME: path };
  try {
    const dugout = (name: string, ...args: string[]) => measureOnce({ name, argv: [DUGOUT, ...args], env });
    const pull = dugout("pull", "pull", "-q", `${host}/large`);
    runOrFail(["env", `HOME=${path}`, DUGOUT, "tag", `${host}/large`, `${host}/copy`]);
    const push = dugout("push", "push", "-q", `${host}/copy`);
    console.log(`\n### an image of one layer with a file of ${MEBIBYTES} MiB, half of it noise\n`);
    console.log("| | time | largest process | at most |\n| --- | --- | --- | --- |");
    for (const [name, { ms, peakBytes }] of Object.entries({ pull, push })) {
      const verdict = peakBytes < LIMIT_BYTES ? "kept" : "MISSED";
      console.log(
        `| ${name} | ${(ms / 1000).toFixed(1)} s | ${formatMiB(peakBytes)} | ${formatMiB(LIMIT_BYTES)}: ${verdict} |`,
      );
    }
  } finally {
    registry.stdin.end();
    registry.kill();
    runOrFail(removal(join(path, ".local")));
  }
});
