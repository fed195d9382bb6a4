/**
 * Containers by their first process: when that ends, what was said for the container is taken back at once, whoever else has been
 * killed meanwhile.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { close } from "#linux/file.ts";
import { WATCH_WATCHER } from "../host/poller.ts";
import { type IpAddress, sameAddress } from "../ip_address.ts";
import type { NameEntry } from "../socket/dns/names.ts";
import type { Netstack } from "./netstack.ts";
import { unpublishPorts } from "./published_ports.ts";

/** A container that is watched. */
interface Watched {
  readonly owner: string;
  readonly addresses: readonly IpAddress[];
}

/** Who is watched, and the names that links have. */
export interface WatchedContainers {
  /** By the descriptor of the process (pidfd_open(2)). */
  readonly byFd: Map<number, Watched>;
  /** By the index of the link: a table is set as a whole. */
  readonly names: Map<number, readonly NameEntry[]>;
  /** Whether there ever was one: a stack that nobody watches anything with is told when to end. */
  isUsed: boolean;
}

export function makeWatchedContainers(): WatchedContainers {
  return { byFd: new Map(), names: new Map(), isUsed: false };
}

/** Watches a container's first process, whose descriptor is the stack's from then on. One that was watched is not any more. */
export function watchContainer(netstack: Netstack, pidfd: Fd, owner: string, addresses: readonly IpAddress[]): void {
  const { watched, poller } = netstack;
  for (const [fd, one] of watched.byFd) if (one.owner === owner) drop(netstack, fd);
  watched.isUsed = true;
  watched.byFd.set(pidfd, { owner, addresses });
  poller.watchInput(pidfd, WATCH_WATCHER, pidfd);
}

function drop({ watched, poller }: Netstack, fd: number): void {
  watched.byFd.delete(fd);
  poller.unwatch(fd as Fd);
  close(fd as Fd);
}

/** Its process has ended. */
export function onContainerEnd(netstack: Netstack, fd: number, nowMs: number): void {
  const { watched } = netstack;
  const gone = watched.byFd.get(fd);
  if (gone === undefined) return;
  drop(netstack, fd);
  unpublishPorts(netstack, ({ owner }) => owner === gone.owner);
  for (const [link, one] of netstack.open.entries()) {
    if (one !== undefined) netstack.egress.set(link, gone.addresses, [], false);
  }
  const isGone = (address: IpAddress) => gone.addresses.some((one) => sameAddress(one, address));
  for (const [link, names] of watched.names) {
    if (!names.some(({ addresses }) => addresses.some(isGone))) continue;
    const rest = names.map(({ name, addresses }) => ({
      name,
      addresses: addresses.filter((address) => !isGone(address)),
    }));
    setNames(netstack, link, rest.filter(({ addresses }) => addresses.length > 0), nowMs);
  }
}

/** Sets a link's names. */
export function setNames({ watched, dns }: Netstack, link: number, names: readonly NameEntry[], nowMs: number): void {
  watched.names.set(link, names);
  dns.setNames(link, names, nowMs);
}
