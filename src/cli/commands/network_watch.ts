import { requireRunning } from "#engine/inside/require_running.ts";
import { addressOf, allocate } from "#ffi/mod.ts";
import { expectResult, type Fd, tryCall } from "#linux/call.ts";
import { close } from "#linux/file.ts";
import { POLLERR, POLLFD, POLLIN } from "#linux/poll.ts";
import { isTerminal } from "#linux/terminal.ts";
import { captureFrames, readNetworkLog } from "#network/watch.ts";
import { delay } from "#storage/delay.ts";
import { openContainerContext } from "../context.ts";
import { formatRfc3339 } from "../format/time.ts";
import type { Invocation } from "../invocation.ts";
import { textOption } from "../options.ts";
import { printOut } from "../output.ts";
import { usageError } from "../usage_error.ts";

const LOOK_AGAIN_MS = 100;
const STDOUT = 1 as Fd;

/** `dugout network capture`: until the container ends, the reader goes, or Ctrl-C. */
export async function runCaptureNetwork({ args, global }: Invocation): Promise<number> {
  if (isTerminal(STDOUT)) {
    throw usageError("frames are no text for a terminal", 1, `dugout network capture ${args[0] ?? "NAME"} >file.pcap`);
  }
  const engine = await openContainerContext(global);
  const { id, pid } = requireRunning(engine, args[0] ?? "");
  using _connection = captureFrames(engine, id, STDOUT);
  const pidfd = expectResult(tryCall("pidfd_open", pid, 0), "pidfd_open", `process ${pid}`) as Fd;
  while (!hasEvent(pidfd, POLLIN) && !hasEvent(STDOUT, POLLERR)) await delay(LOOK_AGAIN_MS);
  close(pidfd);
  return 0;
}

/** ppoll(2), without waiting. */
function hasEvent(fd: Fd, event: number): boolean {
  const entry = allocate(POLLFD.SIZE);
  const view = new DataView(entry.buffer);
  view.setInt32(POLLFD.fd, fd, true);
  view.setInt16(POLLFD.events, event, true);
  const time = allocate(16);
  const count = tryCall("ppoll", addressOf(entry), 1, addressOf(time), 0, 0);
  return count > 0 && (view.getInt16(POLLFD.revents, true) & event) !== 0;
}

/** `dugout network log` */
export async function runNetworkLog({ options, args, global }: Invocation): Promise<number> {
  const engine = await openContainerContext(global);
  const { id } = requireRunning(engine, args[0] ?? "");
  const entries = readNetworkLog(engine, id, Number(textOption(options, "tail") ?? 1000));
  printOut(
    entries.map(({ timeMs, kind, verdict, text }) => {
      // names are a container's to choose, but a name server's parser has read them
      const shown = text.replaceAll(/[^\x20-\x7e]/g, "?");
      return `${formatRfc3339(timeMs)} ${kind.padEnd(4)} ${verdict.padEnd(7)} ${shown}\n`;
    }).join(""),
  );
  return 0;
}
