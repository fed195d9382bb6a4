/**
 * Where connections may go: what `destination.ts` and the container's own rules allow.
 *
 * @module
 */
import { EACCES, EPERM } from "#linux/errno_values.ts";
import type { Fd } from "#linux/call.ts";
import { decideDestination } from "../destination.ts";
import type { Egress } from "../egress.ts";
import { copyAddress, type IpAddress, isInPrefix, isIpv4, V4_MARK } from "../ip_address.ts";
import type { Link } from "../protocol.ts";
import type { TcpPolicy, Verdict } from "../socket/tcp/tcp_state.ts";
import { DNS_PORT } from "../wire/dns.ts";
import { wallClockMs } from "./netstack.ts";

/** @param openDns Opens a connection to the stack's own name server. */
export function makeTcpPolicy(
  links: readonly (Link | undefined)[],
  egress: Egress,
  openDns: (link: number, source: IpAddress, nowMs: number) => Fd | undefined,
): TcpPolicy {
  return {
    decide(index, source, destination, port, target, nowMs): Verdict {
      const link = links[index];
      if (link === undefined) return "drop";
      const verdict = decideDestination(link.reach, destination, target.address);
      if (verdict === "gateway") {
        const fd = port === DNS_PORT ? openDns(index, source, nowMs) : undefined;
        if (fd === undefined) return "refuse";
        target.fd = fd;
        return "local";
      }
      const isOpen = verdict === "outside" || verdict === "host-loopback";
      if (!isOpen || !egress.permits(index, source, destination, port)) {
        egress.note("tcp", index, source, destination, port, "denied", wallClockMs());
        return verdict === "multicast" || verdict === "broadcast" ? "drop" : "prohibit";
      }
      target.port = port;
      return "connect";
    },
    opened(link, source, destination, port, errno) {
      const verdict = errno === 0 ? "allowed" : errno === EACCES || errno === EPERM ? "denied" : "failed";
      egress.note("tcp", link, source, destination, port, verdict, wallClockMs());
    },
    showClient(index, client, container, shown) {
      const link = links[index];
      const family = isIpv4(container) ? link?.addresses.ipv4 : link?.addresses.ipv6;
      copyAddress(shown, client);
      if (family === undefined) return;
      // the client's own, unless it means something else inside: then the gateway's (C-089)
      const isSameFamily = isIpv4(client) === isIpv4(container);
      if (!isSameFamily || isOwnLoopback(client) || isInPrefix(client, family.subnet)) {
        copyAddress(shown, family.address);
      }
    },
  };
}

/** 127.0.0.0/8, ::1 and link-local addresses: each machine has its own. */
function isOwnLoopback({ a, b, c, d }: IpAddress): boolean {
  if (a === 0 && b === 0 && c === V4_MARK) return d >>> 24 === 127 || d >>> 16 === 0xa9fe;
  return (a === 0 && b === 0 && c === 0 && d === 1) || a >>> 22 === 0xfe80 >>> 6;
}
