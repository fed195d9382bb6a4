/**
 * Connections by their four numbers and the link: chains in typed arrays, hashed with a secret key.
 *
 * @module
 */
import { type IpAddress, sameAddress } from "../../ip_address.ts";
import { addWord, endHash, type KeyedHash, startHash } from "../../keyed_hash.ts";
import type { Connection } from "./connection.ts";
import type { Tcp } from "./tcp_state.ts";

/** A keyed hash of what tells one connection from all others. */
export function hashTuple(
  hash: KeyedHash,
  link: number,
  inside: IpAddress,
  insidePort: number,
  outside: IpAddress,
  outsidePort: number,
): number {
  startHash(hash);
  addWord(hash, inside.d);
  addWord(hash, outside.d);
  addWord(hash, (insidePort << 16) | outsidePort);
  addWord(hash, link);
  // of IPv4 these are the same for all
  if ((inside.a | inside.b | outside.a | outside.b) !== 0) {
    addWord(hash, inside.a);
    addWord(hash, inside.b);
    addWord(hash, inside.c);
    addWord(hash, outside.a);
    addWord(hash, outside.b);
    addWord(hash, outside.c);
  }
  return endHash(hash);
}

/** The connection, or undefined. */
export function findConnection(
  tcp: Tcp,
  hash: number,
  link: number,
  inside: IpAddress,
  insidePort: number,
  outside: IpAddress,
  outsidePort: number,
): Connection | undefined {
  let slot = tcp.buckets[hash & (tcp.buckets.length - 1)]!;
  while (slot !== -1) {
    const connection = tcp.connections[slot]!;
    if (
      connection.hash === hash && connection.insidePort === insidePort && connection.outsidePort === outsidePort &&
      connection.link === link && sameAddress(connection.inside, inside) && sameAddress(connection.outside, outside)
    ) return connection;
    slot = connection.nextInBucket;
  }
  return undefined;
}

export function insertConnection(tcp: Tcp, connection: Connection): void {
  const bucket = connection.hash & (tcp.buckets.length - 1);
  connection.nextInBucket = tcp.buckets[bucket]!;
  tcp.buckets[bucket] = connection.slot;
}

export function removeConnection(tcp: Tcp, connection: Connection): void {
  const bucket = connection.hash & (tcp.buckets.length - 1);
  let slot = tcp.buckets[bucket]!;
  if (slot === connection.slot) tcp.buckets[bucket] = connection.nextInBucket;
  while (slot !== connection.slot) {
    const before = tcp.connections[slot]!;
    slot = before.nextInBucket;
    if (slot === connection.slot) before.nextInBucket = connection.nextInBucket;
  }
  connection.nextInBucket = -1;
}
