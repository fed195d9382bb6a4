/**
 * Looking at what a container sends and is told: frames, and what was asked for and connected to.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import type { LogEntry } from "#netstack/control.ts";
import { DugoutError } from "#oci/error.ts";
import type { Places } from "./make_network.ts";
import { memberships } from "./members.ts";
import { connectStack, type StackConnection } from "./stack_connection.ts";

function connect({ runRoot }: Pick<Places, "runRoot">): StackConnection {
  const connection = connectStack(runRoot);
  if (connection !== undefined) return connection;
  throw new DugoutError("STACK_LOST", "the network stack does not run", {
    exitCode: 1,
    hint: "'dugout ps' starts it again",
  });
}

/** The addresses of a container in each of its networks. @throws {DugoutError} NETWORK_MISSING. */
function placesOf(places: Pick<Places, "runRoot">, container: string): { link: string; addresses: string[] }[] {
  const found = memberships(places, container).map(({ network, endpoint: { ipv4, ipv6 } }) => ({
    link: network.id,
    addresses: [ipv4, ipv6].filter((address) => address !== undefined),
  }));
  if (found.length > 0) return found;
  throw new DugoutError("NETWORK_MISSING", "the container runs in no network of ours", {
    exitCode: 1,
    hint: "--network host and none are not seen by the network stack",
  });
}

/**
 * Has the stack write frames of a container's first network to a descriptor, in pcap's format, until the connection ends.
 * @throws {DugoutError} NETWORK_MISSING, STACK_LOST.
 */
export function captureFrames(places: Pick<Places, "runRoot">, container: string, to: Fd): StackConnection {
  const [place] = placesOf(places, container);
  const connection = connect(places);
  connection.ask({ do: "capture", ...place! }, to);
  return connection;
}

/** The newest lines of what a container asked for and connected to, oldest first. @throws {DugoutError} As above. */
export function readNetworkLog(places: Pick<Places, "runRoot">, container: string, count: number): LogEntry[] {
  const found = placesOf(places, container);
  using connection = connect(places);
  const entries = found.flatMap((place) => {
    const result = connection.ask({ do: "log", ...place, count });
    return result?.kind === "log" ? result.entries : [];
  });
  return entries.toSorted((one, other) => one.timeMs - other.timeMs).slice(-count);
}
