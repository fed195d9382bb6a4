/**
 * Addresses for containers: those that were asked for, or the next that nobody has. By whoever has the network's lock.
 *
 * @module
 */
import { randomBytes } from "#linux/random.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import type { Endpoint, LinkState } from "./link_file.ts";
import type { AddressRange, Network } from "./network_file.ts";
import { type Address, addressBytes, formatAddress, hostRange, isIn, parseAddress, parseSubnet } from "./subnet.ts";

/** What a container wants of a network. */
export interface EndpointWish {
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly mac: string | undefined;
}

/** What it gets. */
export interface Reserved {
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly mac: string;
}

/** So many addresses are looked at, at most, before a range counts as full. */
const MOST_LOOKS = 1n << 17n;

/**
 * Finds a container's addresses.
 * @param endpoints Of the containers that are there.
 * @throws {DugoutError} ADDRESS_IN_USE, ADDRESS_INVALID, NETWORK_FULL, MAC_IN_USE.
 */
export function reserveAddresses(
  network: Network,
  endpoints: readonly Endpoint[],
  last: LinkState["last"],
  wish: EndpointWish,
): Reserved {
  const find = (family: "ipv4" | "ipv6") =>
    findAddress(network.name, network[family], family, wish[family], {
      loopback: network.hostLoopback?.[family] ?? undefined,
      taken: new Set(endpoints.flatMap((endpoint) => endpoint[family] ?? [])),
      last: last[family],
    });
  const [ipv4, ipv6] = [find("ipv4"), find("ipv6")];
  const mac = wish.mac ?? macOf(ipv4);
  if (wish.mac !== undefined && endpoints.some((endpoint) => endpoint.mac === mac)) {
    throw new DugoutError(
      "MAC_IN_USE",
      `Cannot use the MAC address ${mac}: another container of the network ${quote(network.name)} has it`,
    );
  }
  return { ipv4, ipv6, mac };
}

interface Taken {
  readonly taken: ReadonlySet<string>;
  readonly last: string | undefined;
  /** What leads to the host's loopback. */
  readonly loopback: string | undefined;
}

function findAddress(
  name: string,
  range: AddressRange | null,
  family: "ipv4" | "ipv6",
  wish: string | undefined,
  { taken, last, loopback }: Taken,
): string | undefined {
  const version = family === "ipv4" ? "IPv4" : "IPv6";
  if (range === null) {
    if (wish === undefined) return undefined;
    throw new DugoutError(
      "ADDRESS_INVALID",
      `Cannot use the address ${wish}: the network ${quote(name)} has no ${version}`,
      {
        hint: family === "ipv6" ? "make one with 'dugout network create --ipv6'" : "",
      },
    );
  }
  const kept = new Set([
    range.gateway,
    ...(loopback === undefined ? [] : [loopback]),
    ...range.reserved.map(([, address]) => address),
  ]);
  if (wish !== undefined) {
    const address = parseAddress(wish);
    if (address === undefined || !isIn(parseSubnet(range.subnet)!, address)) {
      throw new DugoutError(
        "ADDRESS_INVALID",
        `Cannot use the address ${wish}: it is not in the network ${quote(name)}, ${range.subnet}`,
      );
    }
    const text = formatAddress(address);
    const isHost = address.value >= hostRange(parseSubnet(range.subnet)!).first &&
      address.value <= hostRange(parseSubnet(range.subnet)!).last;
    if (!isHost || kept.has(text)) {
      throw new DugoutError(
        "ADDRESS_INVALID",
        `Cannot use the address ${text}: it is the network's own, or its gateway's`,
      );
    }
    if (taken.has(text)) {
      throw new DugoutError(
        "ADDRESS_IN_USE",
        `Cannot use the address ${text}: Address already in use in the network ${quote(name)}`,
      );
    }
    return text;
  }
  return findFree(
    parseSubnet(range.range ?? range.subnet)!,
    range,
    last,
    (text) => taken.has(text) || kept.has(text),
  ) ??
    fail(name, range.range ?? range.subnet);
}

function fail(name: string, range: string): never {
  throw new DugoutError("NETWORK_FULL", `Cannot join the network ${quote(name)}: no address of ${range} is free`, {
    hint: "stop containers, or make a network with a larger --subnet",
  });
}

/** The next one behind the last that was given, and from the beginning again. */
function findFree(
  subnet: ReturnType<typeof parseSubnet> & object,
  range: AddressRange,
  lastText: string | undefined,
  isTaken: (text: string) => boolean,
): string | undefined {
  const whole = hostRange(parseSubnet(range.subnet)!);
  const own = hostRange(subnet);
  // a range inside of the subnet has no addresses of its own that nobody may have
  const first = range.range === null ? own.first : max(subnet.base, whole.first);
  const last = range.range === null ? own.last : min(own.last + (subnet.family === 4 ? 1n : 0n), whole.last);
  const count = last - first + 1n;
  const before = lastText === undefined ? undefined : parseAddress(lastText)?.value;
  const start = before === undefined || before < first || before > last ? first : before + 1n;
  for (let look = 0n; look < count && look < MOST_LOOKS; look++) {
    const value = first + (start - first + look) % count;
    const address: Address = { family: subnet.family, value };
    const text = formatAddress(address);
    if (!isTaken(text)) return text;
  }
  return undefined;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** Docker's: the four bytes of the address behind 02:42; by chance where there is none. */
function macOf(ipv4: string | undefined): string {
  const bytes = ipv4 === undefined ? randomBytes(4) : addressBytes(parseAddress(ipv4)!);
  return [0x02, 0x42, ...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
