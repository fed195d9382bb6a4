import { checkStore, type StoreProblem } from "#engine/store/check_store.ts";
import { openEngine } from "#engine/engine.ts";
import { escapeText } from "#oci/text.ts";
import { warn } from "../context.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch } from "../options.ts";
import { printOut } from "../output.ts";
import { reportError } from "../report.ts";

/** `dugout system check`: fails where something is left that is not as it should be. */
export async function runCheckStore({ options, global }: Invocation): Promise<number> {
  const engine = openEngine({ ...global, warn: (message) => warn(global, message) });
  const { blobs, layers, containers, volumes, problems } = await checkStore(engine, hasSwitch(options, "quick"));
  let exitCode = 0;
  for (const problem of problems) {
    const { object, repair } = problem;
    printOut(`${escapeText(object)}: ${escapeText(problem.problem)}\n`);
    if (repair === undefined || !hasSwitch(options, "repair")) {
      exitCode = 1;
      printOut(describeAdvice(problem));
      continue;
    }
    try {
      await repair();
      printOut(`  repaired${problem.advice === "" ? "" : `: ${escapeText(problem.advice)}`}\n`);
    } catch (error) {
      exitCode = reportError(error, { failureExitCode: 1, debug: global.debug });
    }
  }
  const counts = `${blobs} blobs, ${layers} layers, ${containers} containers, ${volumes} volumes`;
  printOut(problems.length === 0 ? `All is as it should be: ${counts}.\n` : `Looked at ${counts}.\n`);
  return exitCode;
}

function describeAdvice({ advice, repair }: StoreProblem): string {
  const lines = [
    ...(repair === undefined ? [] : ["--repair puts it right"]),
    ...(advice === "" ? [] : [advice]),
  ];
  return lines.map((line) => `  ${escapeText(line)}\n`).join("");
}
