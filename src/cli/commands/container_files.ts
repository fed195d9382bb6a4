import { commitContainer } from "#engine/files/commit.ts";
import { diffContainer, exportContainer } from "#engine/files/container_trees.ts";
import { findContainer, readStatus } from "#engine/record/containers.ts";
import { containerEvent, noteEvent } from "#engine/events/events.ts";
import { canPause, whilePaused } from "#engine/life/pause_container.ts";
import { whereabouts } from "#engine/record/whereabouts.ts";
import type { Fd } from "#linux/call.ts";
import { isTerminal } from "#linux/terminal.ts";
import { parseReference } from "#oci/reference.ts";
import { escapeText } from "#oci/text.ts";
import { openContainerContext } from "../context.ts";
import { withOutputFile } from "../files.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, listOption, switchOption, textOption } from "../options.ts";
import { PipeClosedError, printOut } from "../output.ts";
import { usageError } from "../usage_error.ts";
import { recordOf } from "./containers.ts";
import { withLatest } from "./latest.ts";

/** `dugout diff` */
export async function runDiff({ options, args, global }: Invocation): Promise<number> {
  const engine = await openContainerContext(global);
  const [name = ""] = withLatest(engine, { options, args });
  let text = "";
  await diffContainer(engine, recordOf(findContainer(engine, name)), ({ kind, path }) => {
    text += `${kind} ${escapeText(path, Infinity)}\n`;
    if (text.length < 65_536) return;
    printOut(text);
    text = "";
  });
  printOut(text);
  return 0;
}

/** `dugout export` */
export async function runExport({ options, args, global }: Invocation): Promise<number> {
  const output = textOption(options, "output");
  if (output === undefined && isTerminal(1 as Fd)) {
    throw usageError("cowardly refusing to save to a terminal", 1, "use the -o flag or redirect");
  }
  const engine = await openContainerContext(global);
  const record = recordOf(findContainer(engine, args[0] ?? ""));
  const write = async (fd: number) => {
    try {
      (await exportContainer(engine, record, fd as Fd)).warnings.forEach(engine.warn);
    } catch (error) {
      if ((error as { code?: string }).code === "EPIPE") throw new PipeClosedError();
      throw error;
    }
  };
  if (output === undefined) await write(1);
  else await withOutputFile(output, write);
  noteEvent(engine, containerEvent(record, "export"));
  return 0;
}

/** `dugout commit` */
export async function runCommit({ options, args, global }: Invocation): Promise<number> {
  const [name = "", reference] = args;
  const engine = await openContainerContext(global);
  const record = recordOf(findContainer(engine, name));
  const quiet = hasSwitch(options, "quiet");
  const pause = switchOption(options, "pause");
  const isRunning = readStatus(engine, record, whereabouts()).kind === "running";
  const pauses = isRunning && pause !== false && (pause === true || canPause(engine, record));
  if (isRunning && !pauses && pause === undefined && !quiet) {
    engine.warn(
      `container "${record.name}" runs on while it is committed: what it writes meanwhile may be in the image in part (--pause=false says that this is known)`,
    );
  }
  const commit = () =>
    commitContainer(engine, record, {
      reference: reference === undefined ? undefined : parseReference(reference),
      changes: listOption(options, "change"),
      author: textOption(options, "author"),
      message: textOption(options, "message"),
    });
  const image = await (pauses ? whilePaused(engine, record, commit) : commit());
  printOut(`${image.id}\n`);
  return 0;
}
