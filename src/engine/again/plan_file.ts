/**
 * Remembered plans on disk: RUN/plans/<key>, written whole, in the runtime directory that only its user may enter. A file that
 * is damaged, or somebody else's, is as good as none.
 *
 *     <sha256 of all that follows, in hexadecimal> LF
 *     <length of the namespace's tape, 0 where there is none> SP <what its holder is called by> LF <that tape>
 *     <RememberedPlan as JSON, on one line> LF <tape> <the monitor's own tape, where it has one>
 *
 * @module
 */
import { addressOf, allocate, cString, hashHex } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { AT_FDCWD, close, O_CLOEXEC, O_NOFOLLOW, O_RDONLY, S_IFMT, S_IFREG } from "#linux/file.ts";
import type { IdMap } from "#linux/idmap.ts";
import { statName } from "#linux/stat.ts";
import type { Relay } from "#runtime/setup.ts";
import type { Hole } from "./holes.ts";

/** What a start needs beside the tape. */
export interface RememberedPlan {
  /** Its own key: a file that got here under another name is none. */
  readonly key: string;
  readonly dataRoot: string;
  readonly runRoot: string;
  readonly holes: readonly Hole[];
  readonly errorFd: number;
  readonly map: IdMap;
  /** The user's id in the container. */
  readonly uid: number;
  /** Which of the caller's descriptors 0, 1 and 2 the container gets. */
  readonly streams: readonly boolean[];
  readonly relays: readonly Relay[];
  readonly hasTerminal: boolean;
  /** The name that was asked for. */
  readonly name?: string;
  readonly image: string | undefined;
  readonly labels: readonly (readonly [string, string])[];
  readonly signalProxy: boolean;
  /** What the user is told at each start. */
  readonly notices: readonly string[];
  readonly detached?: DetachedPlan;
}

/** What a container is that its caller leaves. */
export interface DetachedPlan {
  /** Whether its stdin is held open. */
  readonly interactive: boolean;
  /** Whether its monitor removes it at its end. */
  readonly removes: boolean;
  /** How long the monitor's tape is. */
  readonly monitorBytes: number;
}

/** A user namespace that the container's is made in. */
export interface NamespacePlan {
  /** What makes it. */
  readonly tape: Uint8Array;
  /** {@linkcode holderIds} of it. */
  readonly ids: string;
}

/** A plan and its tapes. */
export interface StoredPlan {
  readonly plan: RememberedPlan;
  readonly tape: Uint8Array;
  /** What the monitor of a container plays whose output is kept. */
  readonly monitor?: Uint8Array;
  /** Undefined where the tape makes the container's in the caller's. */
  readonly namespace: NamespacePlan | undefined;
}

/** A plan as it comes from disk: what is needed first can be had first. */
export interface FoundPlan {
  readonly runRoot: string;
  readonly namespace: NamespacePlan | undefined;
  /** Reads the rest. Undefined where it is another plan's. */
  read(): Omit<StoredPlan, "namespace"> | undefined;
}

const MOST_PLANS = 64;
const MOST_BYTES = 1 << 20;
const HASH_DIGITS = 64;
const LF = 0x0a;
/** A file that is being written is there for no longer than this. */
const WRITING_MS = 60_000;

function plansPath(runRoot: string): string {
  return `${runRoot}/plans`;
}

/** Finds a plan; undefined where there is none that is whole and ours. */
export function findPlan(runRoot: string, key: string): FoundPlan | undefined {
  const bytes = readOwnFile(`${plansPath(runRoot)}/${key}`);
  if (bytes === undefined || bytes.length < HASH_DIGITS + 2) return undefined;
  const decoder = new TextDecoder();
  const body = bytes.subarray(HASH_DIGITS + 1);
  if (decoder.decode(bytes.subarray(0, HASH_DIGITS)) !== hashHex("sha256", body)) return undefined;
  const start = body.indexOf(LF) + 1;
  const [length, ids = ""] = decoder.decode(body.subarray(0, start - 1)).split(" ");
  const rest = start + Number(length);
  return {
    runRoot,
    namespace: rest === start ? undefined : { tape: body.subarray(start, rest), ids },
    read() {
      const end = body.indexOf(LF, rest);
      const plan = JSON.parse(decoder.decode(body.subarray(rest, end))) as RememberedPlan;
      if (plan.key !== key) return undefined;
      const tapes = body.subarray(end + 1);
      if (plan.detached === undefined) return { plan, tape: tapes };
      const monitor = tapes.length - plan.detached.monitorBytes;
      return { plan, tape: tapes.subarray(0, monitor), monitor: tapes.subarray(monitor) };
    },
  };
}

/** By the kernel's own calls: node:fs takes a millisecond to load. */
function readOwnFile(path: string): Uint8Array | undefined {
  const name = cString(path);
  const fd = tryCall("openat", AT_FDCWD, addressOf(name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  try {
    const stat = statName(fd as Fd, "");
    if (typeof stat === "number" || (stat.mode & S_IFMT) !== S_IFREG || (stat.mode & 0o077) !== 0) return undefined;
    if (stat.uid !== tryCall("geteuid") || stat.sizeBytes === 0 || stat.sizeBytes > MOST_BYTES) return undefined;
    const bytes = allocate(stat.sizeBytes);
    // a file of the runtime directory is read whole, or has just been cut
    return tryCall("read", fd, addressOf(bytes), bytes.length) === bytes.length ? bytes : undefined;
  } finally {
    close(fd as Fd);
  }
}

/** Writes a plan. The oldest ones give way; one that is too large is not kept. */
export function writePlan(
  runRoot: string,
  { plan, tape, monitor = new Uint8Array(0), namespace = { tape: new Uint8Array(0), ids: "" } }: StoredPlan,
): void {
  const fs = process.getBuiltinModule("node:fs");
  const body = Buffer.concat([
    Buffer.from(`${namespace.tape.length} ${namespace.ids}\n`),
    namespace.tape,
    Buffer.from(`${JSON.stringify(plan)}\n`),
    tape,
    monitor,
  ]);
  if (HASH_DIGITS + 1 + body.length > MOST_BYTES) return;
  const directory = plansPath(runRoot);
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  makeRoom(directory);
  const file = `${directory}/${plan.key}`;
  const temporary = `${file}.${process.pid}.new`;
  fs.writeFileSync(temporary, Buffer.concat([Buffer.from(`${hashHex("sha256", body)}\n`), body]), { mode: 0o600 });
  fs.renameSync(temporary, file);
}

/** Forgets a plan that led to nothing. */
export function forgetPlan(runRoot: string, key: string): void {
  process.getBuiltinModule("node:fs").rmSync(`${plansPath(runRoot)}/${key}`, { force: true });
}

/** Removes the oldest plans, so that one more may come, and what killed processes left of their writing. */
function makeRoom(directory: string): void {
  const fs = process.getBuiltinModule("node:fs");
  const now = Date.now();
  const plans: { path: string; mtimeMs: number }[] = [];
  for (const name of fs.readdirSync(directory)) {
    const path = `${directory}/${name}`;
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    if (!name.endsWith(".new")) plans.push({ path, mtimeMs: stat.mtimeMs });
    else if (now - stat.mtimeMs > WRITING_MS) fs.rmSync(path, { force: true });
  }
  plans.sort((a, b) => b.mtimeMs - a.mtimeMs);
  for (const { path } of plans.slice(MOST_PLANS - 1)) fs.rmSync(path, { force: true });
}
