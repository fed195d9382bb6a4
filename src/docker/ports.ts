/**
 * `-p`, `--publish`: `[[ADDRESS:]HOST-PORT:]PORT[/PROTOCOL]`, ports may be ranges; and `--expose`: `PORT[/PROTOCOL]`.
 *
 * @module
 */
import { parseIpv4, parseIpv6 } from "./address.ts";
import { flagError } from "./flag_error.ts";
import type { PortRange, PortRequest } from "./run_request.ts";
import { splitOnce } from "./text_rules.ts";

/**
 * Reads one `-p`. An address alone (`127.0.0.1::80`) takes any free port of the host; IPv6 stands in brackets.
 * @throws {DugoutError} FLAG_INVALID.
 */
export function parsePort(text: string): PortRequest {
  const fail = (why: string, hint?: string) => flagError("--publish", text, why, hint);
  const { address, rest } = splitAddress(text, fail);
  const parts = rest.split(":", 3);
  if (parts.length > 2) {
    throw fail("more than ADDRESS:HOST-PORT:PORT", "An IPv6 address stands in brackets: [::1]:8080:80");
  }
  const containerPorts = readRange(parts.at(-1) ?? "", fail);
  const hostText = parts.length === 2 ? parts[0] ?? "" : "";
  if (address !== undefined && parts.length !== 2) throw fail("behind an address stand HOST-PORT:PORT, or :PORT");
  if (hostText === "") return { hostAddress: address, hostPorts: undefined, containerPorts };

  const hostPorts = readPorts(hostText, fail, 0);
  const wanted = containerPorts.last - containerPorts.first;
  if (hostPorts.last - hostPorts.first !== wanted && wanted !== 0) {
    throw fail(`${hostPorts.last - hostPorts.first + 1} ports of the host for ${wanted + 1} of the container`);
  }
  // port 0 asks for a free one
  if (hostPorts.first === 0) {
    if (hostPorts.last !== 0) throw fail("a range does not begin at 0");
    return { hostAddress: address, hostPorts: undefined, containerPorts };
  }
  return { hostAddress: address, hostPorts, containerPorts };
}

/** Reads one `--expose`. */
export function parseExposedPort(text: string): PortRange {
  return readRange(text, (why, hint) => flagError("--expose", text, why, hint));
}

type Fail = (why: string, hint?: string) => Error;

function splitAddress(text: string, fail: Fail): { address: string | undefined; rest: string } {
  if (text.startsWith("[")) {
    const end = text.indexOf("]:");
    const address = end === -1 ? undefined : parseIpv6(text.slice(1, end));
    if (address === undefined) throw fail("what stands in brackets is no IPv6 address");
    return { address, rest: text.slice(end + 2) };
  }
  const [first, rest] = splitOnce(text, ":");
  if (rest === undefined || !rest.includes(":")) return { address: undefined, rest: text };
  // an empty address is every address, as in Docker
  if (first === "") return { address: undefined, rest };
  const address = parseIpv4(first);
  if (address === undefined) {
    throw fail("the address is no IPv4 address", "An IPv6 address stands in brackets: [::1]:8080:80");
  }
  return { address, rest };
}

function readRange(text: string, fail: Fail): PortRange {
  const [portText, protocol = "tcp"] = splitOnce(text, "/");
  const name = protocol.toLowerCase();
  if (name === "sctp") throw fail("SCTP cannot be forwarded: ports are tcp or udp");
  if (name !== "tcp" && name !== "udp") throw fail("the protocol is tcp or udp");
  return { ...readPorts(portText, fail, 1), protocol: name };
}

function readPorts(text: string, fail: Fail, least: number): { first: number; last: number } {
  const [firstText, lastText = firstText] = splitOnce(text, "-");
  const isPort = (digits: string): boolean => /^[0-9]{1,5}$/.test(digits) && Number(digits) <= 65535;
  if (!isPort(firstText) || !isPort(lastText) || Number(firstText) < least) {
    throw fail(`a port is a number from ${least} to 65535, or a range such as 8000-8010`);
  }
  if (Number(lastText) < Number(firstText)) throw fail("a range ends before it begins");
  return { first: Number(firstText), last: Number(lastText) };
}
