/** A command in a container that runs, from exec to exit, beside podman. */
import { type Contender, measureInTurn, runOrFail } from "./support/measure.ts";
import { printSamples, printTargets } from "./support/report.ts";
import { DUGOUT, REGISTRY } from "./support/setting.ts";

const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 30);
const IMAGE = `${REGISTRY}/busybox`;
const ENGINES = [["dugout", DUGOUT], ["podman", "podman"]] as const;

runOrFail([DUGOUT, "pull", "-q", IMAGE]);
runOrFail(["podman", "pull", "-q", "--tls-verify=false", IMAGE]);
try {
  for (const [, program] of ENGINES) {
    runOrFail([program, "run", "-d", "--name", "bench-exec", "--network", "none", IMAGE, "sleep", "3600"]);
  }
  const contenders = ENGINES.map(([name, program]): Contender => ({
    name,
    argv: [program, "exec", "bench-exec", "true"],
  }));
  const samples = measureInTurn(contenders, ROUNDS);
  printSamples("`exec CONTAINER true`", samples);
  printTargets(samples, [{ ours: "dugout", peer: "podman", atMost: 0.15 }]);
} finally {
  for (const [, program] of ENGINES) runOrFail([program, "rm", "-f", "bench-exec"]);
}
