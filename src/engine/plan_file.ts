/**
 * Remembered plans on disk: RUN/plans/<hash of the key>, written whole, in the runtime directory that only its user may
 * enter. A file that is damaged is as good as none.
 *
 *     <sha256 of all that follows, in hexadecimal> LF <RememberedPlan as JSON, on one line> LF <tape>
 *
 * @module
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { hashHex } from "#ffi/mod.ts";
import type { IdMap } from "#linux/idmap.ts";
import type { Relay } from "#runtime/setup.ts";
import type { Holes } from "./plan_holes.ts";

/** What a start needs beside the tape. */
export interface RememberedPlan {
  /** The container that it was made for: its id stands in the tape, in the files and in the record. */
  readonly id: string;
  readonly holes: Holes;
  readonly errorFd: number;
  readonly map: IdMap;
  /** The user's id in the container. */
  readonly uid: number;
  /** Which of the caller's descriptors 0, 1 and 2 the container gets. */
  readonly streams: readonly boolean[];
  readonly relays: readonly Relay[];
  readonly hasTerminal: boolean;
  /** Mode of the image's root directory. */
  readonly rootMode: number;
  /** Files of the container's directory. */
  readonly files: readonly { readonly name: string; readonly text: string }[];
  /** The container's record; what belongs to one container alone is replaced. */
  readonly record: Readonly<Record<string, unknown>>;
  /** The name that was asked for. */
  readonly name?: string;
  readonly signalProxy: boolean;
  /** What the user is told at each start. */
  readonly notices: readonly string[];
}

/** A plan and its tape, as they come from disk. */
export interface StoredPlan {
  readonly plan: RememberedPlan;
  readonly tape: Uint8Array;
}

const MOST_PLANS = 64;
const MOST_BYTES = 1 << 20;
const HASH_DIGITS = 64;
const LF = 0x0a;
/** A file that is being written is there for no longer than this. */
const WRITING_MS = 60_000;

function plansPath(runRoot: string): string {
  return join(runRoot, "plans");
}

/** Reads a plan; undefined where there is none that is whole. */
export function readPlan(runRoot: string, hash: string): StoredPlan | undefined {
  try {
    const file = join(plansPath(runRoot), hash);
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    if (stat === undefined || stat.size > MOST_BYTES) return undefined;
    const bytes = fs.readFileSync(file);
    const body = bytes.subarray(HASH_DIGITS + 1);
    if (bytes.toString("latin1", 0, HASH_DIGITS) !== hashHex("sha256", body)) return undefined;
    const end = body.indexOf(LF);
    return { plan: JSON.parse(body.toString("utf8", 0, end)) as RememberedPlan, tape: body.subarray(end + 1) };
  } catch {
    return undefined;
  }
}

/** Writes a plan. The oldest ones give way; one that is too large is not kept. */
export function writePlan(runRoot: string, hash: string, { plan, tape }: StoredPlan): void {
  const head = new TextEncoder().encode(`${JSON.stringify(plan)}\n`);
  const body = Buffer.concat([head, tape]);
  if (HASH_DIGITS + 1 + body.length > MOST_BYTES) return;
  const directory = plansPath(runRoot);
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  makeRoom(directory);
  const temporary = join(directory, `${hash}.${process.pid}.new`);
  fs.writeFileSync(temporary, Buffer.concat([Buffer.from(`${hashHex("sha256", body)}\n`), body]), { mode: 0o600 });
  fs.renameSync(temporary, join(directory, hash));
}

/** Forgets a plan that led to nothing. */
export function forgetPlan(runRoot: string, hash: string): void {
  fs.rmSync(join(plansPath(runRoot), hash), { force: true });
}

/** Removes the oldest plans, so that one more may come, and what killed processes left of their writing. */
function makeRoom(directory: string): void {
  const now = Date.now();
  const plans: { path: string; mtimeMs: number }[] = [];
  for (const name of fs.readdirSync(directory)) {
    const path = join(directory, name);
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    if (!name.endsWith(".new")) plans.push({ path, mtimeMs: stat.mtimeMs });
    else if (now - stat.mtimeMs > WRITING_MS) fs.rmSync(path, { force: true });
  }
  plans.sort((a, b) => b.mtimeMs - a.mtimeMs);
  for (const { path } of plans.slice(MOST_PLANS - 1)) fs.rmSync(path, { force: true });
}
