import { endIfIdle, findSuccessor } from "./bring_up.ts";
import { findHolder, withNetworkLock } from "./holder.ts";
import type { NetworkContext } from "./members.ts";
import { openStack } from "./stack.ts";
import { connectStack } from "./stack_connection.ts";

/**
 * Puts right what a killed process left of networks: a stack that is gone is started again while containers need it; where none
 * does, what networks stand on is ended. A stack that lives does the latter itself.
 */
export function repairNetworks(context: NetworkContext): Promise<void> {
  return withNetworkLock(context.runRoot, () => {
    {
      using connection = connectStack(context.runRoot);
      if (connection !== undefined) return;
    }
    const holder = findHolder(context.runRoot) ?? findSuccessor(context);
    if (holder === undefined || endIfIdle(context)) return;
    using _opened = openStack(context, holder)?.connection;
  });
}
