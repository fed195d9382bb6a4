/**
 * Who the caller is, and which ids a container of theirs can have: a range of subordinate ids where an administrator
 * gave one and it works, else the one id that they have.
 *
 * @module
 */
import * as fs from "node:fs";
import { join } from "node:path";

import {
  countIds,
  type IdMap,
  insideId,
  mapAround,
  mapWithoutOwn,
  parseGetsubids,
  parseSubordinateFile,
  type SubordinateRange,
} from "#linux/idmap.ts";
import { findAccount } from "#linux/account.ts";
import { DugoutError } from "#oci/error.ts";
import { OsError } from "#linux/errno.ts";
import { findIdMapPrograms } from "./idmap_programs.ts";
import { identityKey } from "./identity_key.ts";
import { playUserNamespace } from "./user_namespace.ts";

/** The caller, and the subordinate ids that were found for them. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups of the caller. */
  readonly groups: readonly number[];
  readonly ranges?: {
    readonly uid: readonly SubordinateRange[];
    readonly gid: readonly SubordinateRange[];
  };
  /** Why it is so, for `dugout info`. */
  readonly reason: string;
}

/** How a container's user namespace maps ids: `--userns`. */
export type UsernsMode =
  | { readonly kind: "default" }
  | { readonly kind: "keep-id"; readonly uid?: number; readonly gid?: number }
  /** The caller has no id inside: files of theirs are nobody's. */
  | { readonly kind: "nomap" };

/**
 * The caller's identity. It is found by trying once, and remembered in the runtime directory until the machine boots
 * again or one of the files that decide it changes.
 */
export function loadIdentity(runDirectory: string): Identity {
  const file = join(runDirectory, "identity.json");
  const key = identityKey();
  try {
    const remembered = JSON.parse(fs.readFileSync(file, "utf8")) as { key: string; identity: Identity };
    if (remembered.key === key) return remembered.identity;
  } catch {
    // not there, or half of it: found anew
  }
  const identity = findIdentity();
  try {
    fs.writeFileSync(`${file}.${process.pid}`, JSON.stringify({ key, identity }), { mode: 0o600 });
    fs.renameSync(`${file}.${process.pid}`, file);
  } catch {
    // a full disk costs only the memory of it
  }
  return identity;
}

/** Finds the caller's identity by trying. */
export function findIdentity(): Identity {
  const uid = process.getuid!();
  const gid = process.getgid!();
  const me = { uid, gid, groups: [...process.getgroups!()] };
  const name = findAccount(uid)?.name;
  if (uid === 0) {
    // root may map what it has: all ids of the machine, or those of a container that we are in (C-069)
    const ranges = { uid: readOwnRanges("/proc/self/uid_map"), gid: readOwnRanges("/proc/self/gid_map") };
    return ranges.uid.length === 0 || ranges.gid.length === 0
      ? { ...me, reason: "root of a user namespace of one id" }
      : { ...me, ranges, reason: "root of this machine" };
  }
  const ranges = {
    uid: findRanges("/etc/subuid", [], name, uid),
    gid: findRanges("/etc/subgid", ["-g"], name, uid),
  };
  if (ranges.uid.length === 0 || ranges.gid.length === 0) {
    const which = ranges.uid.length === 0 ? "/etc/subuid" : "/etc/subgid";
    return { ...me, reason: `no subordinate ids for ${name ?? uid} in ${which}` };
  }
  const programs = findIdMapPrograms();
  if (programs === undefined) {
    return {
      ...me,
      reason: "subordinate ids are there, but not the programs newuidmap and newgidmap (package uidmap)",
    };
  }
  try {
    playUserNamespace({ uid: mapAround(uid, 0, ranges.uid), gid: mapAround(gid, 0, ranges.gid) });
  } catch (error) {
    if (!(error instanceof DugoutError) && !(error instanceof OsError)) throw error;
    // no user namespace at all is told where one is needed; here only the ids are chosen
    return { ...me, reason: `subordinate ids are there, but mapping them failed: ${error.message}` };
  }
  return { ...me, ranges, reason: `${countIds(ranges.uid)} subordinate ids of ${name ?? uid}` };
}

/** The ids that this user namespace has besides 0, by its own numbers (user_namespaces(7)). */
function readOwnRanges(path: string): SubordinateRange[] {
  return fs.readFileSync(path, "latin1").trim().split("\n").flatMap((line) => {
    const [inside = 0, , count = 0] = line.trim().split(/ +/).map(Number);
    const [start, rest] = inside === 0 ? [1, count - 1] : [inside, count];
    return rest > 0 ? [{ start, count: rest }] : [];
  });
}

function findRanges(
  path: string,
  flags: readonly string[],
  name: string | undefined,
  uid: number,
): readonly SubordinateRange[] {
  let text = "";
  try {
    text = fs.readFileSync(path, "utf8");
  } catch {
    // a site may have no such file
  }
  const ranges = parseSubordinateFile(text, name, uid);
  if (ranges.length > 0) return ranges;
  // a directory service: getsubids(1) asks what nsswitch.conf says
  const asked = process.getBuiltinModule("node:child_process").spawnSync("getsubids", [...flags, name ?? String(uid)], {
    encoding: "utf8",
    timeout: 5000,
    stdio: ["ignore", "pipe", "ignore"],
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
    maxBuffer: 1 << 20,
  });
  return asked.status === 0 ? parseGetsubids(asked.stdout) : [];
}

/**
 * The id map of a container.
 * @param user For a single id: which id inside it is to be (0 unless `--user` or keep-id says another).
 * @throws {DugoutError} NOMAP_NEEDS_IDS.
 */
export function chooseIdMap(identity: Identity, mode: UsernsMode, user: { uid: number; gid: number }): IdMap {
  const { ranges } = identity;
  switch (mode.kind) {
    case "default":
      if (ranges === undefined) return singleMap(identity, user);
      return { uid: mapAround(identity.uid, 0, ranges.uid), gid: mapAround(identity.gid, 0, ranges.gid) };
    case "keep-id": {
      const uid = mode.uid ?? identity.uid;
      const gid = mode.gid ?? identity.gid;
      if (ranges === undefined) return singleMap(identity, { uid, gid });
      return { uid: mapAround(identity.uid, uid, ranges.uid), gid: mapAround(identity.gid, gid, ranges.gid) };
    }
    case "nomap":
      if (ranges === undefined) {
        throw new DugoutError(
          "NOMAP_NEEDS_IDS",
          `Cannot leave your own id out of the container (--userns nomap): there is no other, ${identity.reason}`,
          { hint: "`dugout check` says what to ask the administrator for" },
        );
      }
      return { uid: mapWithoutOwn(ranges.uid), gid: mapWithoutOwn(ranges.gid) };
    default:
      throw new Error(`Unknown user namespace mode ${mode satisfies never}`);
  }
}

/** Whether the caller has ids in a map. */
export function isMapped(map: IdMap, { uid, gid }: Pick<Identity, "uid" | "gid">): boolean {
  return insideId(map.uid, uid) !== undefined && insideId(map.gid, gid) !== undefined;
}

function singleMap(identity: Identity, inside: { uid: number; gid: number }): IdMap {
  return {
    uid: [{ inside: inside.uid, outside: identity.uid, count: 1 }],
    gid: [{ inside: inside.gid, outside: identity.gid, count: 1 }],
  };
}
