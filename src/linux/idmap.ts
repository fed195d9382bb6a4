/**
 * Id maps of user namespaces (user_namespaces(7)) and subordinate ids (subuid(5)), as plain data.
 *
 * @module
 */

/** `count` ids from `inside` on, in the namespace, are those from `outside` on. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** What a user namespace maps. Ranges are in the order of their inside ids and do not overlap. */
export interface IdMap {
  readonly uid: readonly IdRange[];
  readonly gid: readonly IdRange[];
}

/** A range of subordinate ids that an administrator gave to a user. */
export interface SubordinateRange {
  readonly start: number;
  readonly count: number;
}

// the kernel's limit since 4.15 (UID_GID_MAP_MAX_EXTENTS), and the largest id; 2^32-1 means "no id"
const MOST_RANGES = 340;
const LAST_ID = 2 ** 32 - 2;
const MOST_FILE_BYTES = 16 << 20;

/**
 * The ranges of a user in a file such as /etc/subuid: lines of `NAME-OR-UID:START:COUNT`. Lines of others, broken ones
 * and those that reach past the last id are passed over; of overlapping ranges the first one stays.
 */
export function parseSubordinateFile(text: string, userName: string | undefined, uid: number): SubordinateRange[] {
  const ranges: SubordinateRange[] = [];
  if (text.length > MOST_FILE_BYTES) return ranges;
  for (const line of text.split("\n")) {
    const [owner, start, count, ...rest] = line.trim().split(":");
    if (rest.length > 0 || (owner !== userName && owner !== String(uid))) continue;
    addRange(ranges, parseRange(start, count));
  }
  return ranges;
}

/** The ranges in the output of getsubids(1): lines of `INDEX: USER START COUNT`. */
export function parseGetsubids(text: string): SubordinateRange[] {
  const ranges: SubordinateRange[] = [];
  for (const line of text.slice(0, MOST_FILE_BYTES).split("\n")) {
    const [, , start, count] = line.trim().split(/ +/);
    addRange(ranges, parseRange(start, count));
  }
  return ranges;
}

function parseRange(start: string | undefined, count: string | undefined): SubordinateRange | undefined {
  if (!/^[0-9]{1,10}$/.test(start ?? "") || !/^[0-9]{1,10}$/.test(count ?? "")) return undefined;
  const range = { start: Number(start), count: Number(count) };
  // 0 would be the machine's root
  if (range.start === 0 || range.count === 0 || range.start + range.count - 1 > LAST_ID) return undefined;
  return range;
}

function addRange(ranges: SubordinateRange[], range: SubordinateRange | undefined): void {
  if (range === undefined || ranges.length >= MOST_RANGES - 2) return;
  const overlaps = ranges.some((other) =>
    range.start < other.start + other.count && other.start < range.start + range.count
  );
  if (!overlaps) ranges.push(range);
}

/** How many ids the ranges hold together. */
export function countIds(ranges: readonly SubordinateRange[]): number {
  return ranges.reduce((sum, range) => sum + range.count, 0);
}

/**
 * A map in which `own` (outside) is `ownInside`, and the subordinate ids fill the inside ids from 0 on around it.
 * With `ownInside` 0 this is the usual map of a rootless engine; with the user's own id it is keep-id.
 */
export function mapAround(own: number, ownInside: number, ranges: readonly SubordinateRange[]): IdRange[] {
  const map: IdRange[] = [];
  let inside = 0;
  let placed = false;
  const placeOwn = () => {
    map.push({ inside: ownInside, outside: own, count: 1 });
    placed = true;
    inside = ownInside + 1;
  };
  for (const range of ranges) {
    let { start, count } = range;
    while (count > 0) {
      if (!placed && inside === ownInside) placeOwn();
      const room = placed ? count : Math.min(count, ownInside - inside);
      map.push({ inside, outside: start, count: room });
      inside += room;
      start += room;
      count -= room;
    }
  }
  if (!placed) placeOwn();
  return map;
}

/** A map of the subordinate ids alone: the user's own id has no name inside. */
export function mapWithoutOwn(ranges: readonly SubordinateRange[]): IdRange[] {
  let inside = 0;
  return ranges.map(({ start, count }) => {
    const range = { inside, outside: start, count };
    inside += count;
    return range;
  });
}

/** The ranges with the user's own id behind them, unless it is among them: who is in none may own nothing inside. */
export function addOwn(ranges: readonly IdRange[], own: number): readonly IdRange[] {
  if (insideId(ranges, own) !== undefined) return ranges;
  const next = Math.max(0, ...ranges.map((range) => range.inside + range.count));
  return [...ranges, { inside: next, outside: own, count: 1 }];
}

/** The inside id of an outside one, or undefined where it is not mapped. */
export function insideId(ranges: readonly IdRange[], outside: number): number | undefined {
  const range = ranges.find((r) => outside >= r.outside && outside < r.outside + r.count);
  return range === undefined ? undefined : range.inside + outside - range.outside;
}

/** The outside id of an inside one, or undefined where it is not mapped. */
export function outsideId(ranges: readonly IdRange[], inside: number): number | undefined {
  const range = ranges.find((r) => inside >= r.inside && inside < r.inside + r.count);
  return range === undefined ? undefined : range.outside + inside - range.inside;
}

/** The text of uid_map or gid_map. */
export function mapText(ranges: readonly IdRange[]): string {
  return ranges.map((range) => `${range.inside} ${range.outside} ${range.count}\n`).join("");
}

/** Reads the text of uid_map or gid_map, as the kernel gives it: numbers in columns. */
export function parseMap(text: string): IdRange[] {
  return text.split("\n").filter((line) => line.trim() !== "").map((line) => {
    const [inside = NaN, outside = NaN, count = NaN] = line.trim().split(/ +/).map(Number);
    return { inside, outside, count };
  });
}

/**
 * A name for the owners that files on disk have under a map: the directory of the layers unpacked with it.
 * Maps of one id are all alike (every file is the user's): `single`.
 */
export function mapName(map: IdMap): string {
  if (isSingle(map)) return "single";
  const uid = rangesName(map.uid);
  const gid = rangesName(map.gid);
  return uid === gid ? uid : `${uid}__${gid}`;
}

function rangesName(ranges: readonly IdRange[]): string {
  return ranges.map((range) => `${range.inside}-${range.outside}-${range.count}`).join("_");
}

/** Whether the map holds one user id only, so that no file can have another owner. */
export function isSingle(map: IdMap): boolean {
  return map.uid.length === 1 && map.uid[0]!.count === 1;
}

/**
 * The map whose `mapName` this is; of `single`, one that maps the caller alone.
 * @returns undefined when it is none.
 */
export function parseMapName(name: string): IdMap | undefined {
  if (name === "single") {
    return {
      uid: [{ inside: 0, outside: process.getuid!(), count: 1 }],
      gid: [{ inside: 0, outside: process.getgid!(), count: 1 }],
    };
  }
  const [uidText = "", gidText = uidText, ...rest] = name.split("__");
  const uid = parseRanges(uidText);
  const gid = parseRanges(gidText);
  return uid === undefined || gid === undefined || rest.length > 0 ? undefined : { uid, gid };
}

function parseRanges(text: string): IdRange[] | undefined {
  const ranges: IdRange[] = [];
  for (const part of text.split("_")) {
    const match = /^([0-9]{1,10})-([0-9]{1,10})-([0-9]{1,10})$/.exec(part);
    if (match === null) return undefined;
    const [inside = 0, outside = 0, count = 0] = match.slice(1).map(Number);
    ranges.push({ inside, outside, count });
  }
  return ranges;
}

/**
 * A map as it is written inside of another user namespace, which is to be its parent: there the outside ids are those that the
 * parent gives.
 * @throws {RangeError} When the parent lacks an id.
 */
export function mapWithin(ranges: readonly IdRange[], parent: readonly IdRange[]): IdRange[] {
  const map: IdRange[] = [];
  for (const range of ranges) {
    let { inside, outside, count } = range;
    while (count > 0) {
      const holder = parent.find((r) => outside >= r.outside && outside < r.outside + r.count);
      if (holder === undefined) throw new RangeError(`Id ${outside} is not mapped in the parent's user namespace`);
      const offset = outside - holder.outside;
      const taken = Math.min(count, holder.count - offset);
      // the kernel takes no range that reaches over two of the parent's
      map.push({ inside, outside: holder.inside + offset, count: taken });
      inside += taken;
      outside += taken;
      count -= taken;
    }
  }
  return map;
}
