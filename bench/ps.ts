/** Lists of containers: `ps -a` with 100 of them beside podman, and with 1,000. */
import { measureInTurn, runOrFail } from "./support/measure.ts";
import { printSamples, printTargets } from "./support/report.ts";
import { DUGOUT, REGISTRY } from "./support/setting.ts";

const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 20);
const MANY = Number(process.env["BENCH_MANY"] ?? 1000);

const IMAGE = `${REGISTRY}/busybox`;
const ENGINES = [["dugout", DUGOUT], ["podman", "podman"]] as const;

runOrFail([DUGOUT, "pull", "-q", IMAGE]);
runOrFail(["podman", "pull", "-q", "--tls-verify=false", IMAGE]);
try {
  for (const [, program] of ENGINES) makeContainers(program, 100);
  const samples = measureInTurn(ENGINES.map(([name, program]) => ({ name, argv: [program, "ps", "-a"] })), ROUNDS);
  printSamples("`ps -a` of 100 containers", samples);
  printTargets(samples, [{ ours: "dugout", peer: "podman", atMost: 0.3 }]);

  makeContainers(DUGOUT, MANY - 100);
  const many = { name: `${MANY} containers`, argv: [DUGOUT, "ps", "-a"] };
  const none = { name: "of them, those that run: none", argv: [DUGOUT, "ps"] };
  printSamples(`dugout's \`ps\` of ${MANY} containers`, measureInTurn([many, none], ROUNDS));
} finally {
  for (const [, program] of ENGINES) runOrFail([program, "rm", "--all", "--force"]);
}

function makeContainers(program: string, count: number): void {
  runOrFail([
    "sh",
    "-c",
    `for i in $(seq ${count}); do "$0" create --network none ${IMAGE} true >/dev/null || exit; done`,
    program,
  ]);
}
