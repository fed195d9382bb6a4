/**
 * How much there may be at once: every connection and flow may hold a descriptor of the host, so the soft limit is raised to the
 * hard one, and all stays below it.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { tryCall } from "#linux/call.ts";
import type { FlowBounds } from "../socket/flows.ts";
import { MAX_CONNECTIONS } from "../socket/tcp/lifetime.ts";
import type { TcpLimits } from "../socket/tcp/tcp_state.ts";

const RLIMIT_NOFILE = 7;
/** For taps, listeners and what the runtime itself opens. */
const RESERVED_SHARE = 0.15;
/** A record of TIME_WAIT holds no descriptor. */
const TIME_WAITS = 8192;
const MOST_FLOWS = 8192;

export interface Limits {
  tcp: TcpLimits;
  flows: FlowBounds;
}

/** Raises the limit of descriptors, and shares it out. */
export function limitsOf(): Limits {
  const descriptors = raiseDescriptors();
  const shared = Math.floor(descriptors * (1 - RESERVED_SHARE));
  const flows = Math.min(MOST_FLOWS, Math.floor(shared / 8));
  // of pings there may be a quarter as many flows as of UDP
  const connections = Math.min(MAX_CONNECTIONS - TIME_WAITS, shared - Math.ceil(1.25 * flows));
  return {
    tcp: {
      connections: connections + TIME_WAITS,
      ofOne: Math.max(Math.floor(connections * 0.75), 1),
      openingOfOne: Math.max(Math.min(1024, Math.floor(connections / 4)), 1),
      timeWaits: TIME_WAITS,
    },
    flows: { flows, flowsPerContainer: Math.max(Math.floor(flows / 2), 1) },
  };
}

function raiseDescriptors(): number {
  const both = allocate(16);
  const view = new DataView(both.buffer);
  if (tryCall("prlimit64", 0, RLIMIT_NOFILE, 0, addressOf(both)) < 0) return 1024;
  const hard = view.getBigUint64(8, true);
  view.setBigUint64(0, hard, true);
  tryCall("prlimit64", 0, RLIMIT_NOFILE, addressOf(both), 0);
  return Number(hard < 1_048_576n ? hard : 1_048_576n);
}
