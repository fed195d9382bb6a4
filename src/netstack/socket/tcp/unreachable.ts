/**
 * ICMP errors about a SYN that the host could not, or may not, send on. What they quote is made anew from the connection: the SYN
 * itself is gone by the time the host's kernel answers.
 *
 * @module
 */
import { ETHERNET } from "../../wire/ethernet.ts";
import { finishIcmp, ICMP, type IcmpErrorKind, icmpErrorOf, writeIcmp } from "../../wire/icmp.ts";
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, sumPseudoHeader } from "../../wire/ip.ts";
import { IPV4, writeIpv4 } from "../../wire/ipv4.ts";
import { IPV6, writeIpv6 } from "../../wire/ipv6.ts";
import { TCP, TCP_SYN, writeTcp } from "../../wire/tcp.ts";
import { VNET, writePlainVnet } from "../../wire/vnet.ts";
import type { Connection } from "./connection.ts";
import type { Tcp } from "./tcp_state.ts";
import { writeMacs } from "./transmit.ts";

/** Tells inside that its SYN did not get there; the error comes from the address that it was sent to. */
export function sendUnreachable(tcp: Tcp, connection: Connection, kind: IcmpErrorKind): void {
  const link = tcp.around.links[connection.link];
  if (link === undefined) return;
  const { memory } = tcp.around;
  const { view } = memory;
  const { isIpv4, inside, outside } = connection;
  const family = isIpv4 ? 4 : 6;
  const ipBytes = isIpv4 ? IPV4.SIZE : IPV6.SIZE;
  const ethernet = tcp.headers + VNET.SIZE;
  const ip = ethernet + ETHERNET.SIZE;
  const icmp = ip + ipBytes;
  const quoted = icmp + ICMP.SIZE;
  const segment = quoted + ipBytes;
  const end = segment + TCP.SIZE;

  writePlainVnet(view, tcp.headers);
  writeMacs(memory, connection, ethernet, link.macAddress);
  // the quoted datagram goes the other way
  const { insidePort, outsidePort, initialReceive } = connection;
  writeTcp(view, segment, insidePort, outsidePort, initialReceive, 0, TCP_SYN, 0, 0);
  const [type, code] = icmpErrorOf(family, kind);
  writeIcmp(view, icmp, type, code, 0);
  if (isIpv4) {
    writeIpv4(view, quoted, end - quoted, PROTOCOL_TCP, inside, outside);
    writeIpv4(view, ip, end - ip, PROTOCOL_ICMP, outside, inside);
    finishIcmp(view, icmp, end, 0);
  } else {
    writeIpv6(view, quoted, end - segment, PROTOCOL_TCP, inside, outside);
    writeIpv6(view, ip, end - icmp, PROTOCOL_ICMPV6, outside, inside);
    finishIcmp(view, icmp, end, sumPseudoHeader(outside, inside, PROTOCOL_ICMPV6, end - icmp));
  }
  link.device.transmit(tcp.headers, end - tcp.headers, 0, 0, 0, 0);
}
