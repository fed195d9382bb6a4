/**
 * What networks stand on: the holder of the shared namespaces, and their bridges. By whoever has the network's lock.
 *
 * @module
 */
import { playTape } from "#tape/play.ts";
import type { Tape } from "#tape/step.ts";
import { OsError } from "#linux/errno.ts";
import { endHolder, findHolder, fitsIdentity, type Holder, startHolder, startSuccessor } from "./holder.ts";
import { bridgeSteps, joinSharedSteps, removeLinkSteps } from "./link_steps.ts";
import { forgetLinks, type LinkState, listLinks } from "./link_file.ts";
import { isThere, type NetworkContext } from "./members.ts";
import { Netlink, NETLINK_BUFFERS } from "./netlink_steps.ts";
import { connectStack } from "./stack_connection.ts";

/** The holder, which is started where there is none. */
export function ensureHolder(context: NetworkContext): Holder {
  const { runRoot, identity } = context;
  const found = findHolder(runRoot) ?? findSuccessor(context);
  if (found !== undefined && fitsIdentity(found, identity)) return found;
  // a stack stands on what has gone
  stopStack(runRoot);
  forgetLinks(runRoot);
  return startHolder(runRoot, identity);
}

/** Takes over what a killed holder has left, where a container still needs it. */
export function findSuccessor({ runRoot, identity, processesOf }: NetworkContext): Holder | undefined {
  for (const { container } of listLinks(runRoot).flatMap(({ endpoints }) => endpoints)) {
    const monitor = processesOf(container)?.monitor;
    if (monitor === undefined) continue;
    try {
      return startSuccessor(runRoot, identity, monitor);
    } catch (error) {
      // that one was killed too, or has just ended
      if (!(error instanceof OsError)) throw error;
    }
  }
  return undefined;
}

function sharedTape(holder: Holder, act: (netlink: Netlink) => Tape["steps"]): Tape {
  const netlink = new Netlink("shared netlink");
  return {
    steps: [...joinSharedSteps(holder), ...netlink.open(), ...act(netlink)],
    buffers: new Map(NETLINK_BUFFERS),
    errorFd: 4,
  };
}

/** Makes a network's bridge. @throws {OsError} */
export function makeBridgeOf(holder: Holder, link: LinkState): void {
  playTape(sharedTape(holder, (netlink) => [
    // of a start that was killed half-way
    ...removeLinkSteps(netlink, link.bridge),
    ...bridgeSteps(netlink, link),
  ]));
}

/** Removes a network's bridge. @throws {OsError} */
export function removeBridgeOf(holder: Holder, { bridge }: LinkState): void {
  playTape(sharedTape(holder, (netlink) => removeLinkSteps(netlink, bridge)));
}

/** Ends the stack; connections through it are reset. */
export function stopStack(runRoot: string): void {
  using connection = connectStack(runRoot);
  try {
    connection?.ask({ do: "stop" });
  } catch {
    // it has ended
  }
}

/** Ends what networks stand on where no container is in any of them. @returns Whether it did. */
export function endIfIdle(context: Pick<NetworkContext, "isRunning" | "runRoot">): boolean {
  const isUsed = listLinks(context.runRoot).some(({ endpoints }) => endpoints.some((one) => isThere(context, one)));
  if (isUsed || findHolder(context.runRoot) === undefined) return false;
  stopStack(context.runRoot);
  forgetLinks(context.runRoot);
  endHolder(context.runRoot);
  return true;
}
