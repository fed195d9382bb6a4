import type { StackStatus } from "../control.ts";
import { TIME_WAIT } from "../socket/tcp/connection.ts";
import type { Netstack } from "./netstack.ts";

/** Figures of the stack: what it has counted, and what it holds. */
export function readStatus({ stack, tcp, udp, echo, dns, neighbours, open }: Netstack): StackStatus {
  const counters: Record<string, number> = {};
  const add = (prefix: string, some: object) => {
    for (const [name, value] of Object.entries(some)) {
      if (typeof value === "number") counters[`${prefix}.${name}`] = value;
    }
  };
  const { blocks } = tcp.state;
  add("frames", { in: stack.counters.framesIn, bytesIn: stack.counters.bytesIn, errors: stack.counters.errors });
  add("dropped", stack.counters.dropped);
  add("tcp", tcp.state.counters);
  const timeWaits = tcp.state.connections.filter(({ state }) => state === TIME_WAIT).length;
  add("tcp", { connections: tcp.state.open, timeWaits });
  add("udp", { ...udp.counters, flows: udp.flows.count });
  add("echo", { ...echo.counters, flows: echo.flows.count });
  add("dns", { ...dns.counters, pending: dns.pendingCount });
  add("neighbours", neighbours.counters);
  add("held", {
    links: open.filter((link) => link !== undefined).length,
    ringBytes: blocks.sizeBytes - blocks.freeBytes,
    residentBytes: process.memoryUsage.rss(),
  });
  return { pid: process.pid, counters };
}
