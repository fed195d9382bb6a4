/**
 * Published ports: who has which, all of a list or none.
 *
 * @module
 */
import type { PublishedPort } from "../control.ts";
import { type IpAddress, parseIpAddress } from "../ip_address.ts";
import type { Netstack } from "./netstack.ts";

/** One port of one entry that listens. */
interface Listening {
  readonly owner: string;
  readonly link: number;
  readonly port: PublishedPort;
  readonly hostAddress: IpAddress;
  readonly hostPort: number;
  /** Of TCP: the number to take it back by. */
  readonly listener: number;
}

/** What could not be. */
export interface PublishFailure {
  readonly port: PublishedPort;
  readonly hostPort: number;
  readonly errno: number;
}

const listening = new WeakMap<Netstack, Listening[]>();

function listOf(netstack: Netstack): Listening[] {
  let list = listening.get(netstack);
  if (list === undefined) listening.set(netstack, list = []);
  return list;
}

/** Listens at all of them, or at none. */
export function publishPorts(
  netstack: Netstack,
  owner: string,
  link: number,
  ports: readonly PublishedPort[],
): PublishFailure | undefined {
  const begun: Listening[] = [];
  for (const port of ports) {
    const hostAddress = parseIpAddress(port.hostAddress)!;
    const container = parseIpAddress(port.containerAddress)!;
    for (let i = 0; i < port.count; i++) {
      const hostPort = port.hostPort + i;
      const { tcp, udp } = netstack;
      const protocol = port.protocol === "tcp" ? tcp : udp;
      const result = protocol.publish(link, hostAddress, hostPort, container, port.containerPort + i);
      if (result < 0) {
        for (const one of begun) end(netstack, one);
        return { port, hostPort, errno: -result };
      }
      begun.push({ owner, link, port, hostAddress, hostPort, listener: result });
    }
  }
  listOf(netstack).push(...begun);
  return undefined;
}

/** Takes those back that are meant; connections go on. */
export function unpublishPorts(
  netstack: Netstack,
  isMeant: (one: { owner: string; link: number; port: PublishedPort }) => boolean,
): void {
  const list = listOf(netstack);
  const kept = list.filter((one) => {
    if (!isMeant(one)) return true;
    end(netstack, one);
    return false;
  });
  list.length = 0;
  for (const one of kept) list.push(one);
}

function end({ tcp, udp }: Netstack, { port, hostAddress, hostPort, listener }: Listening): void {
  if (port.protocol === "tcp") tcp.unpublish(listener);
  else udp.unpublish(hostAddress, hostPort);
}
