/** From exec to the first useful work: `dugout --version` beside a compiled program that is empty. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { measureInTurn, runOrFail } from "./support/measure.ts";
import { printSamples, printTargets } from "./support/report.ts";
import { DUGOUT, withDirectory } from "./support/setting.ts";

const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 60);

await withDirectory((path) => {
  const empty = join(path, "empty");
  const source = join(path, "empty.ts");
  writeFileSync(source, "");
  runOrFail(["bun", "build", "--compile", "--bytecode", "--minify", source, "--outfile", empty]);
  const samples = measureInTurn([
    { name: "an empty program", argv: [empty] },
    { name: "dugout --version", argv: [DUGOUT, "--version"] },
  ], ROUNDS);
  printSamples("start of the binary", samples);
  printTargets(samples, [{ ours: "dugout --version", peer: "an empty program", atMost: 1.5 }]);
});
