/**
 * Published ports: what was asked for becomes addresses and ports at which the stack listens, free ones where none are named.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { randomBytes } from "#linux/random.ts";
import type { PublishedPort } from "#netstack/control.ts";
import { DugoutError } from "#oci/error.ts";
import type { StackConnection } from "./stack_connection.ts";

/** One `-p`. */
export interface PortWish {
  /** Undefined: every address of this machine, of both families. */
  readonly hostAddress: string | undefined;
  /** Undefined: any free port. As many as of the container, or those to choose from for one of the container. */
  readonly hostPorts: { readonly first: number; readonly last: number } | undefined;
  readonly containerPorts: { readonly first: number; readonly last: number };
  readonly protocol: "tcp" | "udp";
}

/** Whose ports. */
export interface PortOwner {
  /** The container's id. */
  readonly container: string;
  /** The id of the network by which it is reached. */
  readonly network: string;
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
}

/** Ports that are chosen for nobody who named one: Docker's range. */
const FIRST_FREE = 49_153;
const LAST_FREE = 65_535;
const MOST_TRIES = 64;

/**
 * Has the stack listen.
 * @returns Where it does. On a failure nothing of the container's is published.
 * @throws {DugoutError} PORT_IN_USE, PORT_FORBIDDEN, PORT_UNREACHABLE.
 */
export function publishPorts(stack: StackConnection, owner: PortOwner, wishes: readonly PortWish[]): PublishedPort[] {
  const published: PublishedPort[] = [];
  try {
    for (const wish of wishes) published.push(...publishOne(stack, owner, wish));
  } catch (error) {
    stack.ask({ do: "unpublish", owner: owner.container, ports: published });
    throw error;
  }
  return published;
}

function publishOne(stack: StackConnection, owner: PortOwner, wish: PortWish): PublishedPort[] {
  const { containerPorts: { first, last } } = wish;
  const count = last - first + 1;
  if (wish.hostPorts === undefined) {
    // each for itself: a row of free ports is hard to find
    return Array.from({ length: count }, (_, index) => listenAtOneOf(stack, owner, wish, first + index, 1, freePorts()))
      .flat();
  }
  const hostCount = wish.hostPorts.last - wish.hostPorts.first + 1;
  if (hostCount === count) return listenAtOneOf(stack, owner, wish, first, count, [wish.hostPorts.first]);
  const choices = Array.from({ length: hostCount }, (_, index) => wish.hostPorts!.first + index);
  return listenAtOneOf(stack, owner, wish, first, 1, choices);
}

function* freePorts(): Generator<number> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const [high = 0, low = 0] = randomBytes(2);
    yield FIRST_FREE + (high * 256 + low) % (LAST_FREE - FIRST_FREE + 1);
  }
}

function listenAtOneOf(
  stack: StackConnection,
  owner: PortOwner,
  wish: PortWish,
  containerPort: number,
  count: number,
  hostPorts: Iterable<number>,
): PublishedPort[] {
  let last: unknown;
  for (const hostPort of hostPorts) {
    const ports = addressesOf(owner, wish.hostAddress).map(({ hostAddress, containerAddress }): PublishedPort => ({
      protocol: wish.protocol,
      hostAddress,
      hostPort,
      containerAddress,
      containerPort,
      count,
    }));
    checkAllowed(hostPort, wish.hostAddress);
    try {
      stack.ask({ do: "publish", owner: owner.container, link: owner.network, ports });
      return ports;
    } catch (error) {
      if (!(error instanceof DugoutError)) throw error;
      if (error.code !== "STACK_EADDRINUSE") throw portError(error, hostPort);
      last = error;
    }
  }
  throw inUse(wish, last);
}

/** Where is listened, and for which address of the container. */
function addressesOf(
  { ipv4, ipv6 }: PortOwner,
  hostAddress: string | undefined,
): { hostAddress: string; containerAddress: string }[] {
  const one = ipv4 ?? ipv6;
  if (one === undefined) {
    throw new DugoutError("PORT_UNREACHABLE", "Cannot publish a port: the container has no address");
  }
  if (hostAddress !== undefined) {
    const same = hostAddress.includes(":") ? ipv6 : ipv4;
    return [{ hostAddress, containerAddress: same ?? one }];
  }
  return [
    { hostAddress: "0.0.0.0", containerAddress: ipv4 ?? one },
    ...(hostHasIpv6() ? [{ hostAddress: "::", containerAddress: ipv6 ?? one }] : []),
  ];
}

function hostHasIpv6(): boolean {
  try {
    return readFileSync("/proc/net/if_inet6", "latin1") !== "";
  } catch {
    return false;
  }
}

/** Ports that only root may listen at. @throws {DugoutError} PORT_FORBIDDEN. */
function checkAllowed(port: number, hostAddress: string | undefined): void {
  const first = Number(readSetting("/proc/sys/net/ipv4/ip_unprivileged_port_start") ?? "1024");
  if (port >= first || process.geteuid!() === 0) return;
  throw new DugoutError(
    "PORT_FORBIDDEN",
    `Cannot publish ${formatAt(hostAddress, port)}: ports below ${first} are root's on this machine`,
    {
      hint:
        `choose a port from ${first} on, or ask the administrator for 'sysctl net.ipv4.ip_unprivileged_port_start=${port}'`,
    },
  );
}

function readSetting(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1").trim();
  } catch {
    return undefined;
  }
}

function formatAt(address: string | undefined, port: number): string {
  return address === undefined
    ? `0.0.0.0:${port}`
    : address.includes(":")
    ? `[${address}]:${port}`
    : `${address}:${port}`;
}

/** Docker's words, which scripts look for. */
function inUse({ hostAddress, hostPorts }: PortWish, cause: unknown): DugoutError {
  const where = hostPorts === undefined
    ? `a free port of ${hostAddress ?? "this machine"}`
    : formatAt(hostAddress, hostPorts.first);
  return new DugoutError("PORT_IN_USE", `Bind for ${where} failed: port is already allocated`, {
    hint: "'ss -lntup' tells who listens there; choose another port, or none: -p CONTAINER-PORT",
    cause,
  });
}

function portError(error: DugoutError, port: number): DugoutError {
  const hints: Record<string, string> = {
    STACK_EADDRNOTAVAIL: "this machine does not have that address",
    STACK_EACCES: `the administrator may allow it: 'sysctl net.ipv4.ip_unprivileged_port_start=${port}'`,
    STACK_EMFILE: "the limit of open files is reached (ulimit -Hn)",
  };
  return new DugoutError("PORT_UNREACHABLE", `Cannot publish port ${port}: ${error.message}`, {
    hint: hints[error.code],
    cause: error,
  });
}
