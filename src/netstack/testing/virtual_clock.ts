/** A clock that stands still but for what was put on its list: time goes by in an instant, and the same way each time. */
export interface VirtualClock {
  nowMs: number;
  readonly agenda: Item[];
  count: number;
}

interface Item {
  atMs: number;
  order: number;
  run: () => void;
}

export function makeVirtualClock(): VirtualClock {
  return { nowMs: 0, agenda: [], count: 0 };
}

/** Puts something on the list; of the same time, what was put first runs first. */
export function at(clock: VirtualClock, atMs: number, run: () => void): void {
  const { agenda } = clock;
  const item = { atMs: Math.max(atMs, clock.nowMs), order: clock.count++, run };
  let place = agenda.length;
  agenda.push(item);
  while (place > 0) {
    const above = (place - 1) >> 1;
    if (isSooner(agenda[above]!, item)) break;
    agenda[place] = agenda[above]!;
    place = above;
  }
  agenda[place] = item;
}

/** Runs the list until it is empty, or `untilMs` has come. @returns How many things were run. */
export function runClock(clock: VirtualClock, untilMs: number): number {
  let count = 0;
  for (let item = take(clock.agenda, untilMs); item !== undefined; item = take(clock.agenda, untilMs)) {
    clock.nowMs = item.atMs;
    item.run();
    count++;
  }
  clock.nowMs = Math.max(clock.nowMs, untilMs === Infinity ? 0 : untilMs);
  return count;
}

function isSooner(one: Item, other: Item): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}

function take(agenda: Item[], untilMs: number): Item | undefined {
  const first = agenda[0];
  if (first === undefined || first.atMs > untilMs) return undefined;
  const last = agenda.pop()!;
  if (agenda.length === 0) return first;
  let place = 0;
  for (;;) {
    let below = 2 * place + 1;
    if (below >= agenda.length) break;
    if (below + 1 < agenda.length && isSooner(agenda[below + 1]!, agenda[below]!)) below++;
    if (isSooner(last, agenda[below]!)) break;
    agenda[place] = agenda[below]!;
    place = below;
  }
  agenda[place] = last;
  return first;
}
