import { findContainer, listContainers } from "#engine/record/containers.ts";
import { listMounted, mountContainer, requireUnshared, unmountContainer } from "#engine/files/mount_container.ts";
import { DugoutError } from "#oci/error.ts";
import { escapeText } from "#oci/text.ts";
import { openContainerContext } from "../context.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch } from "../options.ts";
import { printOut } from "../output.ts";
import { reportError } from "../report.ts";
import { usageError } from "../usage_error.ts";
import { recordOf } from "./containers.ts";

/** `dugout mount` */
export async function runMount({ options, args, global }: Invocation): Promise<number> {
  requireUnshared("mount");
  const engine = await openContainerContext(global);
  const isAll = hasSwitch(options, "all");
  if (args.length === 0 && !isAll) {
    for (const { record, path } of listMounted(engine)) printOut(`${record.id.slice(0, 12)} ${escapeText(path)}\n`);
    return 0;
  }
  const records = isAll
    ? listContainers(engine).containers.map(({ record }) => record)
    : args.map((name) => recordOf(findContainer(engine, name)));
  let exitCode = 0;
  for (const record of records) {
    try {
      const path = await mountContainer(engine, record);
      // as podman: of one the path alone
      printOut(records.length === 1 ? `${escapeText(path)}\n` : `${record.id.slice(0, 12)} ${escapeText(path)}\n`);
    } catch (error) {
      exitCode = reportError(error, { failureExitCode: 125, debug: global.debug });
    }
  }
  return exitCode;
}

/** `dugout umount` */
export async function runUnmount({ options, args, global }: Invocation): Promise<number> {
  requireUnshared("umount");
  const engine = await openContainerContext(global);
  if (hasSwitch(options, "all")) {
    for (const { record } of listMounted(engine)) if (unmountContainer(engine, record)) printOut(`${record.id}\n`);
    return 0;
  }
  if (args.length === 0) {
    throw usageError("'dugout umount' needs a container, or --all", 125, "'dugout mount' lists them");
  }
  let exitCode = 0;
  for (const name of args) {
    try {
      const record = recordOf(findContainer(engine, name));
      if (unmountContainer(engine, record)) printOut(`${record.id}\n`);
      else throw new DugoutError("NOT_MOUNTED", `The container "${record.name}" is not mounted here`);
    } catch (error) {
      exitCode = reportError(error, { failureExitCode: 125, debug: global.debug });
    }
  }
  return exitCode;
}
