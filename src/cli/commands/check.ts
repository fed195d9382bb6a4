import { type CheckReport, type Finding, judgeMachine } from "#engine/check/check.ts";
import { probeMachine } from "#engine/check/check_probe.ts";
import { dataRootPath } from "#engine/paths.ts";
import { escapeText } from "#oci/text.ts";
import { formatObject } from "../format/inspect.ts";
import { wrapWords } from "../format/wrap.ts";
import type { Invocation } from "../invocation.ts";
import { textOption } from "../options.ts";
import { printOut } from "../output.ts";

/** `dugout check`: fails where containers cannot run. */
export function runCheck({ options, global }: Invocation): number {
  const root = dataRootPath({ root: global.root, run: global.run, env: process.env, uid: process.getuid?.() ?? 0 });
  const report = judgeMachine(probeMachine(root));
  printOut(formatObject(describeForPrograms(report), textOption(options, "format"), () => describeForPeople(report)));
  return report.canRun ? 0 : 1;
}

/** Fields begin with capitals, as those of docker's own JSON do. */
function describeForPrograms({ canRun, kernel, findings }: CheckReport): Record<string, unknown> {
  return {
    CanRun: canRun,
    KernelVersion: kernel,
    Findings: findings.map(({ id, title, status, detail, advice, attachment }) => ({
      Id: id,
      Title: title,
      Status: status,
      Detail: detail,
      Advice: advice ?? "",
      Attachment: attachment ?? "",
    })),
  };
}

const COLUMNS = 100;

/** A line for each thing; below them, ready to be sent, what is to be asked for. */
export function describeForPeople({ canRun, kernel, findings }: CheckReport): string {
  const titleWidth = Math.max(...findings.map(({ title }) => title.length));
  const indent = " ".repeat("missing  ".length + titleWidth + 2);
  const lines = findings.flatMap((finding) => {
    const [first = "", ...more] = wrapWords(escapeText(finding.detail), COLUMNS - indent.length);
    return [
      `${finding.status.padEnd(9)}${finding.title.padEnd(titleWidth)}  ${first}`.trimEnd(),
      ...more.map((line) => indent + line),
    ];
  });
  lines.push(
    "",
    canRun ? `Containers can run here (kernel ${escapeText(kernel)}).` : "Containers cannot run here yet.",
  );
  const wishes = collectWishes(findings);
  if (wishes.length > 0) lines.push("", "To send to an administrator:", "", ...wishes);
  return lines.join("\n") + "\n";
}

/** Each sentence once, however many findings it would help. */
function collectWishes(findings: readonly Finding[]): string[] {
  const seen = new Set<string>();
  return findings.flatMap(({ advice, attachment }) => {
    if (advice === undefined || seen.has(advice)) return [];
    seen.add(advice);
    const [first = "", ...more] = wrapWords(escapeText(advice), COLUMNS - 2);
    const text = (attachment ?? "").trimEnd().split("\n").filter((line, i) => line !== "" || i > 0);
    return [
      `- ${first}`,
      ...more.map((line) => `  ${line}`),
      ...(text.length === 0 ? [] : ["", ...text.map((line) => line === "" ? "" : `      ${escapeText(line)}`), ""]),
    ];
  });
}
