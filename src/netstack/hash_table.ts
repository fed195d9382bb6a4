/**
 * A hash table whose items carry their own place in a chain, so that a look-up makes nothing. The hash is taken by the caller
 * with a key (`keyed_hash.ts`); the caller bounds how many items there are.
 *
 * @module
 */
export interface Chained<T> {
  hash: number;
  /** The next item of the same bucket. */
  next: T | undefined;
}

export interface HashTable<T> {
  readonly buckets: (T | undefined)[];
  /** Buckets less one: a power of two less one. */
  readonly mask: number;
}

/** A table for about so many items. */
export function makeHashTable<T>(capacity: number): HashTable<T> {
  const size = 2 ** Math.ceil(Math.log2(Math.max(capacity, 2)));
  return { buckets: new Array<T | undefined>(size).fill(undefined), mask: size - 1 };
}

/** The first item of a hash's bucket; others follow by `next`. */
export function firstOf<T>(table: HashTable<T>, hash: number): T | undefined {
  return table.buckets[hash & table.mask];
}

export function addItem<T extends Chained<T>>(table: HashTable<T>, item: T): void {
  const place = item.hash & table.mask;
  item.next = table.buckets[place];
  table.buckets[place] = item;
}

export function removeItem<T extends Chained<T>>(table: HashTable<T>, item: T): void {
  const place = item.hash & table.mask;
  let other = table.buckets[place];
  if (other === item) {
    table.buckets[place] = item.next;
  } else {
    while (other !== undefined && other.next !== item) other = other.next;
    if (other === undefined) throw new Error("An item is taken out of a table that it is not in");
    other.next = item.next;
  }
  item.next = undefined;
}
