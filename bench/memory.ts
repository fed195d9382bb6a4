/** What a container that runs in the foreground holds besides its own program: summed PSS, beside podman. */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { runOrFail } from "./support/measure.ts";
import { formatMiB } from "./support/report.ts";
import { DUGOUT, REGISTRY } from "./support/setting.ts";

/** The container's own program: not counted. */
const PROGRAM = "sleep";
const PATIENCE_MS = 20_000;

type Process = { pid: number; command: string; pssBytes: number };

/** The processes that this user may look into. */
function listProcesses(): Process[] {
  const found: Process[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const pss = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${name}/smaps_rollup`, "utf8"))?.[1];
      const command = readFileSync(`/proc/${name}/comm`, "utf8").trim();
      if (pss !== undefined) found.push({ pid: Number(name), command, pssBytes: Number(pss) * 1024 });
    } catch {
      // another user's, or it has just ended
    }
  }
  return found;
}

/** Starts one container, and lists what came up with it once its program runs. */
async function measure(argv: readonly string[]): Promise<Process[]> {
  const before = new Set(listProcesses().map(({ pid }) => pid));
  const [program = "", ...args] = argv;
  const child = spawn(program, args, { stdio: "ignore" });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const deadline = performance.now() + PATIENCE_MS;
  const added = () => listProcesses().filter(({ pid }) => !before.has(pid));
  // seen from a container's parent the program may not be readable: its name is enough
  const runs = () =>
    readdirSync("/proc").some((name) => /^\d+$/.test(name) && !before.has(Number(name)) && commandOf(name) === PROGRAM);
  while (!runs()) {
    if (performance.now() > deadline) throw new Error(`${argv.join(" ")} did not come up`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  const processes = added().filter(({ command }) => command !== PROGRAM);
  child.kill("SIGTERM");
  await ended;
  return processes;
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}

const image = `${REGISTRY}/busybox`;
runOrFail([DUGOUT, "pull", "-q", image]);
runOrFail(["podman", "pull", "-q", "--tls-verify=false", image]);
// an init passes SIGTERM on to a program that ignores it as pid 1
const words = ["run", "--rm", "--network", "none", image, "timeout", "-s", "TERM", "8", PROGRAM, "7"];
console.log("\n### a container in the foreground\n\n| | summed PSS | processes |\n| --- | --- | --- |");
for (const [name, program] of [["dugout", DUGOUT], ["podman", "podman"]] as const) {
  const processes = await measure([program, ...words]);
  const sum = processes.reduce((total, { pssBytes }) => total + pssBytes, 0);
  const each = processes.map(({ command, pssBytes }) => `${command} ${formatMiB(pssBytes)}`).join(", ");
  console.log(`| ${name} | ${formatMiB(sum)} | ${each} |`);
}
