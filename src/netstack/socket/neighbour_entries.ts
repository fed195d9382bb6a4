/**
 * The stations that are known on links: bounded for each link, where those that were heard of longest ago go first.
 *
 * @module
 */
import { addItem, type Chained, firstOf, type HashTable, makeHashTable, removeItem } from "../hash_table.ts";
import { type IpAddress, sameAddress } from "../ip_address.ts";
import { addWord, endHash, makeKeyedHash, startHash } from "../keyed_hash.ts";

/** Entries a link, besides those that the engine has fixed. */
const MAX_PER_LINK = 1024;

export interface Neighbour extends Chained<Neighbour> {
  readonly link: number;
  readonly address: IpAddress;
  readonly mac: Uint8Array;
  isKnown: boolean;
  /** Told by the engine: frames do not change it. */
  isFixed: boolean;
  /** When it was heard of last. */
  heardMs: number;
  /** When it was asked for last. */
  askedMs: number;
  /** Since when it owes an answer; Infinity when it owes none. */
  owesSinceMs: number;
}

export interface NeighbourEntries {
  find(link: number, address: IpAddress): Neighbour | undefined;
  findOrAdd(link: number, address: IpAddress): Neighbour;
  /** It was heard of: others of its link go first. */
  refresh(neighbour: Neighbour): void;
  dropWhere(link: number, isMeant: (neighbour: Neighbour) => boolean): void;
  readonly evictedCount: number;
}

/** @param onDrop Told of each entry that goes. */
export function makeNeighbourEntries(
  random: () => number,
  onDrop: (neighbour: Neighbour) => void,
): NeighbourEntries {
  const table: HashTable<Neighbour> = makeHashTable(MAX_PER_LINK);
  /** In the order in which they were heard of. */
  const byLink = new Map<number, Set<Neighbour>>();
  const keyed = makeKeyedHash(random);
  let evictedCount = 0;

  function hashOf(link: number, { a, b, c, d }: IpAddress): number {
    startHash(keyed);
    addWord(keyed, link);
    addWord(keyed, a);
    addWord(keyed, b);
    addWord(keyed, c);
    addWord(keyed, d);
    return endHash(keyed);
  }

  function find(link: number, address: IpAddress): Neighbour | undefined {
    let found = firstOf(table, hashOf(link, address));
    while (found !== undefined && !(found.link === link && sameAddress(found.address, address))) found = found.next;
    return found;
  }

  function drop(neighbour: Neighbour, onLink: Set<Neighbour>): void {
    onLink.delete(neighbour);
    removeItem(table, neighbour);
    onDrop(neighbour);
  }

  function add(link: number, address: IpAddress): Neighbour {
    let onLink = byLink.get(link);
    if (onLink === undefined) byLink.set(link, onLink = new Set());
    if (onLink.size >= MAX_PER_LINK) {
      for (const oldest of onLink) {
        if (oldest.isFixed) continue;
        drop(oldest, onLink);
        evictedCount++;
        break;
      }
    }
    const neighbour: Neighbour = {
      hash: hashOf(link, address),
      next: undefined,
      link,
      address: { ...address },
      mac: new Uint8Array(6),
      isKnown: false,
      isFixed: false,
      heardMs: -Infinity,
      askedMs: -Infinity,
      owesSinceMs: Infinity,
    };
    onLink.add(neighbour);
    addItem(table, neighbour);
    return neighbour;
  }

  return {
    get evictedCount() {
      return evictedCount;
    },
    find,
    findOrAdd: (link, address) => find(link, address) ?? add(link, address),
    refresh(neighbour) {
      const onLink = byLink.get(neighbour.link);
      if (onLink?.delete(neighbour)) onLink.add(neighbour);
    },
    dropWhere(link, isMeant) {
      const onLink = byLink.get(link);
      if (onLink === undefined) return;
      for (const neighbour of onLink) if (isMeant(neighbour)) drop(neighbour, onLink);
      if (onLink.size === 0) byLink.delete(link);
    },
  };
}
