/**
 * This machine's own address, by which containers reach it: `host.docker.internal`, `host-gateway`.
 *
 * @module
 */
import { readFileSync } from "node:fs";

/**
 * The first IPv4 address that is not the loopback's; undefined on a machine without any. It is read from /proc/net/fib_trie,
 * where an address stands above the line `/32 host LOCAL`.
 */
export function findHostAddress(): string | undefined {
  let text: string;
  try {
    text = readFileSync("/proc/net/fib_trie", "latin1");
  } catch {
    return undefined;
  }
  let address: string | undefined;
  for (const line of text.split("\n")) {
    const found = /\|-- ([0-9.]+)$/.exec(line);
    if (found !== null) address = found[1];
    else if (line.includes("/32 host LOCAL") && address !== undefined && !address.startsWith("127.")) return address;
  }
  return undefined;
}
