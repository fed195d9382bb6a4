import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { BusError } from "./dbus/error.ts";
import { groupOfContainer } from "./find_group.ts";
import { choosePlace, delegationDropIn, type GroupFacts, hasNsdelegate, missingControllers } from "./place.ts";
import { findBusSocket } from "./systemd.ts";

const SESSION: GroupFacts = {
  kind: "v2",
  uid: 1000,
  own: "/user.slice/user-1000.slice/session-3.scope",
  ownWritable: false,
  ownDelegated: false,
  ownControllers: ["memory", "pids"],
  bus: { socket: "/run/user/1000/bus" },
  managerControllers: ["cpu", "memory", "pids"],
  batch: undefined,
  isUnit: false,
  nsdelegate: true,
};

test("in a login session the user's manager is asked", () => {
  const place = choosePlace(SESSION);
  assert.deepEqual(place, { kind: "systemd", socket: "/run/user/1000/bus", controllers: ["cpu", "memory", "pids"] });
  assert.deepEqual(missingControllers(place, ["memory", "io"]), ["io"]);
  assert.equal(choosePlace({ ...SESSION, ownWritable: true }).kind, "systemd");
});

test("without a manager it is our own group, where that is ours to divide, else none", () => {
  const lonely = { ...SESSION, bus: { problem: "there is no /run/user/1000/bus" } };
  assert.deepEqual(choosePlace({ ...lonely, ownWritable: true }), {
    kind: "own",
    group: SESSION.own,
    controllers: ["memory", "pids"],
  });
  const none = choosePlace(lonely);
  assert.equal(none.kind, "none");
  assert.match(none.kind === "none" ? none.reason : "", /session-3\.scope is not ours .* no \/run\/user\/1000\/bus/);
});

test("a unit or a batch job that is ours to divide is not left", () => {
  assert.equal(choosePlace({ ...SESSION, ownWritable: true, ownDelegated: true }).kind, "own");
  assert.equal(choosePlace({ ...SESSION, isUnit: true }).kind, "none");
  assert.equal(choosePlace({ ...SESSION, isUnit: true, ownWritable: true }).kind, "own");
  assert.equal(choosePlace({ ...SESSION, batch: "SLURM_JOB_ID" }).kind, "none");
  assert.equal(choosePlace({ ...SESSION, batch: "SLURM_JOB_ID", ownWritable: true }).kind, "own");
});

test("C-064 version 1 and hybrid machines have no place", () => {
  for (const kind of ["v1", "hybrid", "none"] as const) {
    assert.equal(choosePlace({ ...SESSION, kind, ownWritable: true }).kind, "none", kind);
  }
});

test("the text for an administrator is a drop-in", () => {
  assert.equal(delegationDropIn(["cpu", "memory"]), "[Service]\nDelegate=cpu memory\n");
});

test("the mount option that keeps limits is found at its mount alone", () => {
  const line = (mount: string, options: string) => `30 23 0:26 / ${mount} rw,nosuid - cgroup2 cgroup2 ${options}\n`;
  assert.equal(hasNsdelegate(line("/sys/fs/cgroup", "rw,nsdelegate,memory_recursiveprot"), "/sys/fs/cgroup"), true);
  assert.equal(hasNsdelegate(line("/sys/fs/cgroup", "rw"), "/sys/fs/cgroup"), false);
  assert.equal(hasNsdelegate(line("/elsewhere", "rw,nsdelegate"), "/sys/fs/cgroup"), false);
});

test("the group of a container is found from any of its processes, however deep", () => {
  const id = "ab".repeat(32);
  const scope = `/user.slice/user-1.slice/user@1.service/app.slice/dugout-${id}-01234567.scope`;
  assert.deepEqual(groupOfContainer(id, `0::${scope}/container/init.scope\n`), {
    path: `/sys/fs/cgroup${scope}/container`,
    scope: { unit: `dugout-${id}-01234567.scope`, subgroup: "/container" },
  });
  assert.deepEqual(groupOfContainer(id, `0::/user-alice/dugout-${id}\n`), {
    path: `/sys/fs/cgroup/user-alice/dugout-${id}`,
    scope: undefined,
  });
  assert.equal(groupOfContainer(id, "0::/user.slice/session-1.scope\n"), undefined);
  assert.equal(groupOfContainer("cd".repeat(32), `0::${scope}/container\n`), undefined);
});

test("A-089 a bus is believed only in a directory of ours alone, and only if it is a socket", () => {
  const base = mkdtempSync(join(tmpdir(), "dugout-bus-"));
  const uid = process.getuid!();
  // root's is the machine's
  if (uid === 0) return rmSync(base, { recursive: true });
  const refuses = (code: string) =>
    assert.throws(() => findBusSocket(uid, base), (error) => error instanceof BusError && error.code === code);
  try {
    refuses("BUS_MISSING");
    symlinkSync("/tmp", join(base, String(uid)));
    refuses("BUS_FOREIGN");
    rmSync(join(base, String(uid)));
    mkdirSync(join(base, String(uid)), { mode: 0o700 });
    refuses("BUS_MISSING");
    writeFileSync(join(base, String(uid), "bus"), "");
    refuses("BUS_FOREIGN");
    chmodSync(join(base, String(uid)), 0o777);
    refuses("BUS_FOREIGN");
  } finally {
    rmSync(base, { recursive: true });
  }
});
