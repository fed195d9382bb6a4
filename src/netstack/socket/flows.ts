/**
 * Who talks with whom by datagrams: one flow for each pair of an address and port inside and one outside, with the host's
 * socket that carries it. Bounded for each container and for all; at a bound, the flow goes that was idle for longest of
 * *that* container, or of the one that has most.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { type Deadlines, earliest, forget, makeDeadlines, takeDue, wakeBy } from "../deadlines.ts";
import { addItem, type Chained, firstOf, type HashTable, makeHashTable, removeItem } from "../hash_table.ts";
import { type IpAddress, sameAddress } from "../ip_address.ts";
import { addWord, endHash, makeKeyedHash, startHash } from "../keyed_hash.ts";

/** Until an answer has come, and from then on (as Linux's connection tracking: nf_conntrack_udp_timeout, and _stream). */
const UNANSWERED_MS = 30_000;
const ANSWERED_MS = 120_000;

/** Bits of a key that name the slot; those above tell one life of a slot from the next. */
const SLOT_BITS = 16;
/** Keys stay below 2^30, so that a protocol can tell others of its own from them. */
const MAX_LIFE = 0x3fff;
/** Keys of a flow are below this. */
export const FLOW_KEYS = 2 ** 30;

/** A flow. Its addresses and ports are as the container sees them. */
export interface Flow extends Chained<Flow> {
  readonly slot: number;
  /** What the host's events are told by: the slot, and which flow of it. */
  readonly key: number;
  readonly link: number;
  readonly inside: IpAddress;
  /** Of a ping, its id; its port outside is 0. */
  readonly insidePort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
  /** The socket; a listener's is shared with others, and stays open. */
  readonly fd: Fd;
  /** Of a published port's client: where answers really go, and the address of the host that was asked. */
  readonly published: { readonly address: IpAddress; readonly port: number; readonly local: IpAddress } | undefined;
  /** What the socket was told last. */
  hopLimit: number;
  isAnswered: boolean;
  usedMs: number;
  readonly owner: Owner;
  /** Its neighbours among the owner's flows, by use. */
  older: Flow | undefined;
  newer: Flow | undefined;
}

/** A container, as far as flows know it: an address on a link. */
interface Owner extends Chained<Owner> {
  readonly link: number;
  readonly address: IpAddress;
  count: number;
  oldest: Flow | undefined;
  newest: Flow | undefined;
}

/** What a new flow is made of. */
export type NewFlow = Pick<
  Flow,
  "link" | "inside" | "insidePort" | "remote" | "remotePort" | "fd" | "published"
>;

export interface FlowBounds {
  /** Of all, at most 65,535: each may hold a descriptor. */
  readonly flows: number;
  readonly flowsPerContainer: number;
}

export interface Flows {
  readonly count: number;
  find(link: number, inside: IpAddress, insidePort: number, remote: IpAddress, remotePort: number): Flow | undefined;
  /** The flow that an event's key was made for; undefined when it has ended. */
  findByKey(key: number): Flow | undefined;
  /** The key that the next flow will have: its socket is watched by it. */
  reserve(link: number, inside: IpAddress): number;
  /** Adds a flow, which has the key that was reserved right before. */
  add(fresh: NewFlow, nowMs: number): Flow;
  /** Something went through it. @param isAnswer Whether it came from outside. */
  touch(flow: Flow, isAnswer: boolean, nowMs: number): void;
  end(flow: Flow): void;
  /** Ends those that are idle. */
  expire(nowMs: number): void;
  nextTimerMs(): number;
  /** Ends those that a test names: few times in a stack's life. */
  endWhere(isMeant: (flow: Flow) => boolean): void;
}

/** @param onEnd Closes what the flow had; it is out of the table already. */
export function makeFlows(bounds: FlowBounds, random: () => number, onEnd: (flow: Flow) => void): Flows {
  const table: HashTable<Flow> = makeHashTable(bounds.flows);
  const owners: HashTable<Owner> = makeHashTable(256);
  const allOwners = new Set<Owner>();
  const keyed = makeKeyedHash(random);
  const slots = new Array<Flow | undefined>(bounds.flows).fill(undefined);
  const lives = new Uint16Array(bounds.flows);
  const free = Int32Array.from({ length: bounds.flows }, (_, index) => bounds.flows - 1 - index);
  let freeCount = bounds.flows;
  const deadlines: Deadlines = makeDeadlines(bounds.flows);

  function hashAddress(link: number, { a, b, c, d }: IpAddress): void {
    startHash(keyed);
    addWord(keyed, link);
    addWord(keyed, a);
    addWord(keyed, b);
    addWord(keyed, c);
    addWord(keyed, d);
  }

  function hashOf(link: number, inside: IpAddress, insidePort: number, remote: IpAddress, remotePort: number): number {
    hashAddress(link, inside);
    addWord(keyed, remote.a);
    addWord(keyed, remote.b);
    addWord(keyed, remote.c);
    addWord(keyed, remote.d);
    addWord(keyed, (insidePort << 16) | remotePort);
    return endHash(keyed);
  }

  function ownerOf(link: number, address: IpAddress): Owner | undefined {
    hashAddress(link, address);
    let owner = firstOf(owners, endHash(keyed));
    while (owner !== undefined && !(owner.link === link && sameAddress(owner.address, address))) owner = owner.next;
    return owner;
  }

  function makeOwner(link: number, address: IpAddress): Owner {
    hashAddress(link, address);
    const hash = endHash(keyed);
    const owner: Owner = {
      hash,
      next: undefined,
      link,
      address: { ...address },
      count: 0,
      oldest: undefined,
      newest: undefined,
    };
    addItem(owners, owner);
    allOwners.add(owner);
    return owner;
  }

  function unlink(flow: Flow): void {
    const { owner, older, newer } = flow;
    if (older === undefined) owner.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) owner.newest = older;
    else newer.older = older;
    flow.older = undefined;
    flow.newer = undefined;
  }

  function append(flow: Flow): void {
    const { owner } = flow;
    flow.older = owner.newest;
    if (owner.newest === undefined) owner.oldest = flow;
    else owner.newest.newer = flow;
    owner.newest = flow;
  }

  function end(flow: Flow): void {
    removeItem(table, flow);
    unlink(flow);
    forget(deadlines, flow.slot);
    slots[flow.slot] = undefined;
    free[freeCount++] = flow.slot;
    const { owner } = flow;
    owner.count--;
    if (owner.count === 0) {
      removeItem(owners, owner);
      allOwners.delete(owner);
    }
    onEnd(flow);
  }

  function makeRoom(link: number, inside: IpAddress): void {
    const owner = ownerOf(link, inside);
    if (owner?.oldest !== undefined && owner.count >= bounds.flowsPerContainer) end(owner.oldest);
    if (freeCount > 0) return;
    let greatest: Owner | undefined;
    for (const other of allOwners) if (greatest === undefined || other.count > greatest.count) greatest = other;
    if (greatest?.oldest !== undefined) end(greatest.oldest);
  }

  return {
    get count() {
      return bounds.flows - freeCount;
    },
    find(link, inside, insidePort, remote, remotePort) {
      let flow = firstOf(table, hashOf(link, inside, insidePort, remote, remotePort));
      while (flow !== undefined) {
        const isIt = flow.insidePort === insidePort && flow.remotePort === remotePort && flow.link === link &&
          sameAddress(flow.remote, remote) && sameAddress(flow.inside, inside);
        if (isIt) return flow;
        flow = flow.next;
      }
      return undefined;
    },
    findByKey(key) {
      const flow = slots[key & ((1 << SLOT_BITS) - 1)];
      return flow?.key === key ? flow : undefined;
    },
    reserve(link, inside) {
      makeRoom(link, inside);
      const slot = free[freeCount - 1]!;
      return (lives[slot]! << SLOT_BITS) | slot;
    },
    add(fresh, nowMs) {
      if (freeCount === 0) throw new Error("A flow is added for which no place was reserved");
      const slot = free[--freeCount]!;
      const key = (lives[slot]! << SLOT_BITS) | slot;
      lives[slot] = (lives[slot]! + 1) & MAX_LIFE;
      const { link, inside, insidePort, remote, remotePort } = fresh;
      const flow: Flow = {
        ...fresh,
        inside: { ...inside },
        remote: { ...remote },
        hash: hashOf(link, inside, insidePort, remote, remotePort),
        next: undefined,
        slot,
        key,
        hopLimit: 0,
        isAnswered: false,
        usedMs: nowMs,
        owner: ownerOf(link, inside) ?? makeOwner(link, inside),
        older: undefined,
        newer: undefined,
      };
      flow.owner.count++;
      slots[slot] = flow;
      addItem(table, flow);
      append(flow);
      wakeBy(deadlines, slot, nowMs + UNANSWERED_MS);
      return flow;
    },
    touch(flow, isAnswer, nowMs) {
      flow.usedMs = nowMs;
      if (isAnswer) flow.isAnswered = true;
      if (flow.owner.newest === flow) return;
      unlink(flow);
      append(flow);
    },
    end,
    expire(nowMs) {
      for (let slot = takeDue(deadlines, nowMs); slot !== -1; slot = takeDue(deadlines, nowMs)) {
        const flow = slots[slot];
        if (flow === undefined) continue;
        const dueMs = flow.usedMs + (flow.isAnswered ? ANSWERED_MS : UNANSWERED_MS);
        if (dueMs <= nowMs) end(flow);
        else wakeBy(deadlines, slot, dueMs);
      }
    },
    nextTimerMs: () => earliest(deadlines),
    endWhere(isMeant) {
      for (const flow of slots) if (flow !== undefined && isMeant(flow)) end(flow);
    },
  };
}
