/**
 * What runs of a network: its bridge in the shared namespace, and who is joined to it. One file a network in the runtime
 * directory, written whole by whoever has the network's lock; gone with the holder of the namespace.
 *
 *     RUN/network/links/ID.json
 *
 * @module
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeState } from "./write_state.ts";
import type { Network } from "./network_file.ts";
import type { EgressRule, PublishedPort } from "#netstack/control.ts";
import { networkDirectory } from "./holder.ts";

/** A container in a network. */
export interface Endpoint {
  readonly container: string;
  /** The container's name. */
  readonly name: string;
  /** Other names by which it is found. */
  readonly aliases: readonly string[];
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly mac: string;
  /** Its link in the container: `eth0`. */
  readonly link: string;
  /** The index of that. */
  readonly index: number;
  /** The other end, a port of the bridge. */
  readonly port: string;
  readonly portIndex: number;
  /** Where the stack listens for it, if this is the network by which it does. */
  readonly ports: readonly PublishedPort[];
  /** Where it may connect to; empty: everywhere. */
  readonly egress: readonly EgressRule[];
  /** Which process is starting it, or has: it counts as there while that lives. */
  readonly starter: { readonly pid: number; readonly startTime: string };
}

/** A network that is up. */
export interface LinkState {
  /** As it was when it came up: whoever has it on record may be another store at the same runtime directory. */
  readonly network: Network;
  /** Its bridge, and the index of that. */
  readonly bridge: string;
  readonly bridgeIndex: number;
  readonly endpoints: readonly Endpoint[];
  /** The IPv4 and IPv6 address that was given last: addresses are not used again at once. */
  readonly last: { readonly ipv4?: string; readonly ipv6?: string };
}

function linksDirectory(runRoot: string): string {
  return join(networkDirectory(runRoot), "links");
}

/** Reads a network's state; undefined where it is not up. */
export function readLink(runRoot: string, id: string): LinkState | undefined {
  try {
    return JSON.parse(readFileSync(join(linksDirectory(runRoot), `${id}.json`), "utf8")) as LinkState;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** All networks that are up. */
export function listLinks(runRoot: string): LinkState[] {
  let files: string[] = [];
  try {
    files = readdirSync(linksDirectory(runRoot)).filter((name) => name.endsWith(".json"));
  } catch {
    // none is up
  }
  return files.flatMap((name) => readLink(runRoot, name.slice(0, -".json".length)) ?? []);
}

export function writeLink(runRoot: string, link: LinkState): void {
  mkdirSync(linksDirectory(runRoot), { recursive: true, mode: 0o700 });
  writeState(join(linksDirectory(runRoot), `${link.network.id}.json`), link);
}

export function forgetLink(runRoot: string, id: string): void {
  rmSync(join(linksDirectory(runRoot), `${id}.json`), { force: true });
}

/** A new holder has nothing in it. */
export function forgetLinks(runRoot: string): void {
  rmSync(linksDirectory(runRoot), { recursive: true, force: true });
}
