/**
 * `Network=NAME:ip=…,mac=…`: podman's way to say what a container is in a network (podman-run(1), "--network"), as the
 * long form of our `--network`.
 *
 * @module
 */
import { parseIpv4, parseIpv6 } from "#docker/address.ts";
import { entryError } from "./keys.ts";
import type { Entry } from "./unit_file.ts";

/** A network's name, or its file's, and what is asked of it; without options for all other forms of `--network`. */
export interface NamedNetwork {
  readonly name: string;
  /** Words such as `ip=10.0.0.2`. */
  readonly options: readonly string[];
}

/** Parts the name from the options. A mode's own options (`container:ID`) belong to the name. */
export function splitNetwork(text: string): NamedNetwork {
  const match = /^([^:=,]+):([a-z0-9_-]+=.*)$/.exec(text);
  const [, name, options] = match ?? [];
  if (name === undefined || options === undefined || name === "container") return { name: text, options: [] };
  return { name, options: options.split(",") };
}

/**
 * The value of `--network`.
 * @throws {DugoutError} QUADLET_INVALID: an option that cannot be had.
 */
export function joinNetwork(entry: Entry, { name, options }: NamedNetwork): string {
  return options.length === 0
    ? name
    : [`name=${name}`, ...options.map((option) => translateOption(entry, option))].join(",");
}

function translateOption(entry: Entry, option: string): string {
  const equals = option.indexOf("=");
  const [key, value] = equals < 0 ? [option, ""] : [option.slice(0, equals), option.slice(equals + 1)];
  switch (key) {
    case "alias":
      return option;
    case "ip":
      // podman has one word for both families; what holds specifiers is known when the service starts
      if (value.includes("%") || parseIpv4(value) !== undefined) return option;
      if (parseIpv6(value) !== undefined) return `ip6=${value}`;
      throw entryError(entry, `Network=${entry.value}: "${value}" is no address`);
    case "mac":
      return `mac-address=${value}`;
    default:
      throw entryError(entry, `Network=${entry.value}: the option "${key}" cannot be had`, "it is ip, mac or alias");
  }
}
