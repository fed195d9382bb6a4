/**
 * When each of many slots is to be looked at: a binary heap of times with at most one entry a slot, in typed arrays.
 * Setting a later time costs nothing: the entry is looked at in its old time and put back, which is what a timer that is
 * pushed back with each packet wants.
 *
 * @module
 */
export interface Deadlines {
  /** The time of each slot's entry; Infinity where it has none. */
  times: Float64Array;
  /** Heap: slots, the earliest first. */
  slots: Int32Array;
  /** Where in the heap a slot stands, or -1. */
  places: Int32Array;
  count: number;
}

export function makeDeadlines(capacity: number): Deadlines {
  return {
    times: new Float64Array(capacity).fill(Infinity),
    slots: new Int32Array(capacity),
    places: new Int32Array(capacity).fill(-1),
    count: 0,
  };
}

/** The earliest time, or Infinity. */
export function earliest({ count, slots, times }: Deadlines): number {
  return count === 0 ? Infinity : times[slots[0]!]!;
}

/** Has a slot looked at no later than `time`; an entry that is earlier stays. */
export function wakeBy(heap: Deadlines, slot: number, time: number): void {
  if (time >= heap.times[slot]!) return;
  let place = heap.places[slot]!;
  if (place === -1) place = heap.count++;
  heap.times[slot] = time;
  rise(heap, slot, place);
}

/** Takes the first slot out whose time has come, or gives -1. */
export function takeDue(heap: Deadlines, now: number): number {
  if (heap.count === 0) return -1;
  const slot = heap.slots[0]!;
  if (heap.times[slot]! > now) return -1;
  forget(heap, slot);
  return slot;
}

/** Takes a slot's entry out. */
export function forget(heap: Deadlines, slot: number): void {
  const place = heap.places[slot]!;
  if (place === -1) return;
  heap.places[slot] = -1;
  heap.times[slot] = Infinity;
  const last = heap.slots[--heap.count]!;
  if (last === slot) return;
  // the last one takes the empty place, and moves to where it belongs from there
  sink(heap, last, place);
  rise(heap, last, heap.places[last]!);
}

function rise(heap: Deadlines, slot: number, from: number): void {
  const { times, slots, places } = heap;
  const time = times[slot]!;
  let place = from;
  while (place > 0) {
    const above = (place - 1) >> 1;
    const other = slots[above]!;
    if (times[other]! <= time) break;
    slots[place] = other;
    places[other] = place;
    place = above;
  }
  slots[place] = slot;
  places[slot] = place;
}

function sink(heap: Deadlines, slot: number, from: number): void {
  const { times, slots, places, count } = heap;
  const time = times[slot]!;
  let place = from;
  for (;;) {
    let below = 2 * place + 1;
    if (below >= count) break;
    if (below + 1 < count && times[slots[below + 1]!]! < times[slots[below]!]!) below++;
    const other = slots[below]!;
    if (times[other]! >= time) break;
    slots[place] = other;
    places[other] = place;
    place = below;
  }
  slots[place] = slot;
  places[slot] = place;
}
