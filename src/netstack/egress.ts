/**
 * Where containers may connect to (`--egress`), and what is kept for `network log`. Rules of a container are looked at in order, the
 * first that fits decides; where none does, it is denied. A rule for a name means the addresses that the stack's own name server
 * gave this container for it: what a program knows from elsewhere does not count.
 *
 * @module
 */
import type { EgressRule, LogEntry } from "./control.ts";
import {
  formatIpAddress,
  type IpAddress,
  isInPrefix,
  isIpv4,
  parseIpAddress,
  parsePrefix,
  type Prefix,
} from "./ip_address.ts";

/** How many lines of one container are kept, how many addresses of one rule's name, and how many containers there are. */
const MAX_ENTRIES = 1000;
const MAX_ADDRESSES_OF_NAME = 256;
const MAX_CONTAINERS = 4096;

interface Rule {
  readonly isAllowed: boolean;
  readonly port: number | undefined;
  /** Lower case; a leading `*.` stands for all names below. */
  readonly name: string | undefined;
  readonly prefix: Prefix | undefined;
  /** Of a name: those that were answered for it. */
  readonly addresses: Set<string>;
}

interface Container {
  readonly rules: readonly Rule[];
  readonly entries: LogEntry[] | undefined;
}

export interface Egress {
  /** Rules and log of a container, by its addresses; no rules and no log forget it. @returns Why a rule cannot be. */
  set(link: number, addresses: readonly IpAddress[], rules: readonly EgressRule[], log: boolean): string | undefined;
  /** Whether it may send to there; `port` is 0 for pings. */
  permits(link: number, source: IpAddress, destination: IpAddress, port: number): boolean;
  /** The name server has told a container that a name has these addresses. */
  learn(
    link: number,
    source: IpAddress,
    name: string,
    type: string,
    addresses: readonly IpAddress[],
    timeMs: number,
  ): void;
  /** A connection was made, or could not be. */
  note(
    kind: "tcp" | "udp",
    link: number,
    source: IpAddress,
    destination: IpAddress,
    port: number,
    verdict: LogEntry["verdict"],
    timeMs: number,
  ): void;
  /** The newest `count` lines of a container's addresses, oldest first. */
  read(link: number, addresses: readonly IpAddress[], count: number): LogEntry[];
  /** A link is gone. */
  forget(link: number): void;
}

export function makeEgress(): Egress {
  const containers = new Map<string, Container>();
  const keyOf = (link: number, address: IpAddress) => `${link} ${formatIpAddress(address)}`;
  const keep = ({ entries }: Container, entry: LogEntry) => {
    if (entries === undefined) return;
    entries.push(entry);
    if (entries.length > MAX_ENTRIES) entries.shift();
  };

  return {
    set(link, addresses, rules, log) {
      if (containers.size + addresses.length > MAX_CONTAINERS) {
        return `more than ${MAX_CONTAINERS} containers have rules`;
      }
      const read = rules.map(readRule);
      const bad = read.find((rule) => typeof rule === "string");
      if (typeof bad === "string") return bad;
      // all its addresses share one log
      const earlier = addresses.map((address) => containers.get(keyOf(link, address))?.entries).find((one) => one);
      const container = { rules: read as Rule[], entries: log ? earlier ?? [] : undefined };
      for (const address of addresses) {
        if (rules.length === 0 && !log) containers.delete(keyOf(link, address));
        else containers.set(keyOf(link, address), container);
      }
      return undefined;
    },
    permits(link, source, destination, port) {
      // most stacks have no rules at all
      if (containers.size === 0) return true;
      const container = containers.get(keyOf(link, source));
      if (container === undefined || container.rules.length === 0) return true;
      for (const rule of container.rules) {
        if ((rule.port === undefined || rule.port === port) && fits(rule, destination)) return rule.isAllowed;
      }
      return false;
    },
    learn(link, source, name, type, addresses, timeMs) {
      const container = containers.get(keyOf(link, source));
      if (container === undefined) return;
      const key = name.toLowerCase().replace(/\.$/, "");
      for (const rule of container.rules) {
        if (rule.name === undefined || !matches(rule.name, key)) continue;
        for (const address of addresses) {
          const text = formatIpAddress(address);
          rule.addresses.delete(text);
          rule.addresses.add(text);
        }
        for (const oldest of rule.addresses) {
          if (rule.addresses.size <= MAX_ADDRESSES_OF_NAME) break;
          rule.addresses.delete(oldest);
        }
      }
      keep(container, { timeMs, kind: "name", verdict: "allowed", text: `${key} ${type}` });
    },
    note(kind, link, source, destination, port, verdict, timeMs) {
      if (containers.size === 0) return;
      const container = containers.get(keyOf(link, source));
      if (container?.entries === undefined) return;
      const address = formatIpAddress(destination);
      const text = isIpv4(destination) ? `${address}:${port}` : `[${address}]:${port}`;
      keep(container, { timeMs, kind, verdict, text });
    },
    read(link, addresses, count) {
      const logs = new Set(addresses.map((address) => containers.get(keyOf(link, address))?.entries));
      return [...logs].flatMap((entries) => entries ?? []).sort((a, b) => a.timeMs - b.timeMs).slice(-count);
    },
    forget(link) {
      for (const key of containers.keys()) if (key.startsWith(`${link} `)) containers.delete(key);
    },
  };
}

function fits(rule: Rule, destination: IpAddress): boolean {
  if (rule.prefix !== undefined) return isInPrefix(destination, rule.prefix);
  return rule.name === undefined || rule.addresses.has(formatIpAddress(destination));
}

function matches(pattern: string, name: string): boolean {
  return pattern.startsWith("*.") ? name.endsWith(pattern.slice(1)) : pattern === name;
}

function readRule({ action, to, port }: EgressRule): Rule | string {
  const rule = { isAllowed: action === "allow", port: port ?? undefined, addresses: new Set<string>() };
  if (to === null) return { ...rule, name: undefined, prefix: undefined };
  const address = parseIpAddress(to);
  const prefix = address === undefined ? parsePrefix(to) : { base: address, length: 128 };
  if (prefix !== undefined) return { ...rule, name: undefined, prefix };
  if (!/^(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?\.?$/.test(to)) {
    return `"${to}" is neither an address, a network nor a host's name`;
  }
  return { ...rule, name: to.toLowerCase().replace(/\.$/, ""), prefix: undefined };
}
