import { parseCopy } from "#docker/copy_arguments.ts";
import { findContainer } from "#engine/record/containers.ts";
import { copyIn, copyOut, type OutsideEnd } from "#engine/files/copy.ts";
import type { Fd } from "#linux/call.ts";
import { isTerminal } from "#linux/terminal.ts";
import type { CopyResult } from "#storage/copy_trees.ts";
import { openContainerContext } from "../context.ts";
import { recordOf } from "./containers.ts";
import { humanSize } from "../format/units.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, switchOption } from "../options.ts";
import { PipeClosedError, printError } from "../output.ts";
import { escapeText } from "#oci/text.ts";

/** `dugout cp` */
export async function runCopy({ options, args, global }: Invocation): Promise<number> {
  const request = parseCopy(args[0] ?? "", args[1] ?? "", process.cwd());
  const engine = await openContainerContext(global);
  const record = recordOf(findContainer(engine, request.name));
  const rules = { keepsOwners: hasSwitch(options, "archive"), follow: hasSwitch(options, "follow-link") };
  const end = (argument: { kind: "path"; path: string } | { kind: "stream" }, fd: number): OutsideEnd =>
    argument.kind === "path" ? argument : { kind: "stream", fd: fd as Fd };
  let result: CopyResult;
  try {
    result = request.way === "out"
      ? await copyOut(engine, record, request.path, end(request.to, 1), rules)
      : await copyIn(engine, record, end(request.from, 0), request.path, rules);
  } catch (error) {
    if ((error as { code?: string }).code === "EPIPE") throw new PipeClosedError();
    throw error;
  }
  result.warnings.forEach(engine.warn);
  const isStream = request.way === "out" ? request.to.kind === "stream" : false;
  const quiet = switchOption(options, "quiet") ?? !isTerminal(1 as Fd);
  if (!quiet && !isStream) {
    printError(`Successfully copied ${humanSize(result.sizeBytes)} to ${escapeText(args[1] ?? "")}\n`);
  }
  return 0;
}
