/**
 * Scopes of systemd: groups of processes that it has not started itself, and gives away (systemd.scope(5), Delegate=). A plain
 * user asks the own manager, root the machine's. The interface is org.freedesktop.systemd1(5).
 *
 * The manager moves the process even out of a login session, which its user could not: that takes a right on the group above both.
 *
 * @module
 */
import * as fs from "node:fs";
import { type Bus, openBus } from "./dbus/connection.ts";
import { BusError } from "./dbus/error.ts";
import { type Message, MESSAGE_TYPE, type MethodCall } from "./dbus/message.ts";
import type { BusValue } from "./dbus/signature.ts";

const MANAGER = {
  destination: "org.freedesktop.systemd1",
  path: "/org/freedesktop/systemd1",
  interface: "org.freedesktop.systemd1.Manager",
} as const;

/** A manager under load takes its time; one that says nothing for so long is as good as none. */
const LIMIT_MS = 25_000;

/**
 * The bus of the manager that is asked: /run/user/UID/bus, where pam_systemd(8) puts it, whatever the environment says.
 * @param runDirectories Where runtime directories of users lie: for tests.
 * @throws {BusError} BUS_MISSING, BUS_FOREIGN: with what to do about it in words.
 */
export function findBusSocket(uid: number, runDirectories = "/run/user"): string {
  if (uid === 0) return requireSocket("/run/dbus/system_bus_socket", 0);
  const directory = `${runDirectories}/${uid}`;
  const stat = fs.lstatSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new BusError("BUS_MISSING", `there is no ${directory}: no user manager of systemd runs`);
  }
  if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & 0o022) !== 0) {
    throw new BusError("BUS_FOREIGN", `${directory} is not a directory of yours alone`);
  }
  return requireSocket(`${directory}/bus`, uid);
}

function requireSocket(path: string, uid: number): string {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new BusError("BUS_MISSING", `there is no ${path}: no user manager of systemd runs, or no D-Bus`);
  }
  if (!stat.isSocket() || stat.uid !== uid) {
    throw new BusError("BUS_FOREIGN", `${path} is no socket of the user ${uid}`);
  }
  return path;
}

/** What a scope is made of. */
export interface ScopeRequest {
  /** `NAME.scope`: of our ids alone. */
  readonly name: string;
  readonly description: string;
  readonly pids: readonly number[];
  /** `NAME.slice` of the manager's; undefined: its default. */
  readonly slice: string | undefined;
}

/** The name of a unit that a call can carry without being mistaken (systemd.unit(5)). */
const UNIT_NAME = /^[A-Za-z0-9:_.-]{1,240}\.(?:scope|slice)$/;

/** The call that makes a scope: its properties are fixed here, each with its type. */
export function scopeCall({ name, description, pids, slice }: ScopeRequest): MethodCall {
  for (const unit of [name, ...(slice === undefined ? [] : [slice])]) {
    if (!UNIT_NAME.test(unit)) throw new RangeError(`No name of a unit: ${unit}`);
  }
  const property = (key: string, signature: string, value: BusValue): BusValue => [key, { signature, value }];
  return {
    ...MANAGER,
    member: "StartTransientUnit",
    signature: "ssa(sv)a(sa(sv))",
    args: [
      name,
      "fail",
      [
        property("Description", "s", description),
        property("PIDs", "au", pids),
        property("Delegate", "b", true),
        // what failed is forgotten as well: nothing is left of it
        property("CollectMode", "s", "inactive-or-failed"),
        ...(slice === undefined ? [] : [property("Slice", "s", slice)]),
      ],
      [],
    ],
  };
}

/** Signals of jobs that are done, from the manager alone. */
const JOBS_MATCH: MethodCall = {
  destination: "org.freedesktop.DBus",
  path: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
  member: "AddMatch",
  signature: "s",
  args: [
    `type='signal',sender='${MANAGER.destination}',interface='${MANAGER.interface}',member='JobRemoved',path='${MANAGER.path}'`,
  ],
};

/**
 * Puts processes into a new scope, and waits until it is there.
 * @throws {BusError} When there is no manager, or it refuses: `BUS_JOB` where the job failed.
 */
export function startScope(request: ScopeRequest, uid: number, socket: string = findBusSocket(uid)): void {
  using bus = openBus(socket, uid, LIMIT_MS);
  const match = bus.send(JOBS_MATCH);
  const start = bus.send(scopeCall(request));
  bus.answer(match);
  const results = new Map<string, string>();
  const note = (message: Message): void => {
    const [, job, unit, result] = jobRemoved(message) ?? [];
    if (unit === request.name && job !== undefined && result !== undefined) results.set(job, result);
  };
  const [job] = bus.answer(start, note).body;
  if (typeof job !== "string") throw new BusError("BUS_PROTOCOL", "The manager's answer names no job");
  while (!results.has(job)) note(bus.receive());
  const result = results.get(job);
  if (result !== "done") throw new BusError("BUS_JOB", `The job of ${request.name} ended with "${result}"`);
}

/** The number, the path, the unit and the result of a job; undefined for other messages. */
function jobRemoved({ type, member, interface: from, body }: Message): [number, string, string, string] | undefined {
  if (type !== MESSAGE_TYPE.signal || member !== "JobRemoved" || from !== MANAGER.interface) return undefined;
  const [id, job, unit, result] = body;
  if (typeof job !== "string" || typeof unit !== "string" || typeof result !== "string") return undefined;
  return [Number(id), job, unit, result];
}

/**
 * Puts a process of ours into a group below a scope that is there (systemd 238).
 * @param subgroup Below the scope: `/container`.
 * @throws {BusError}
 */
export function attachToScope(unit: string, subgroup: string, pid: number, uid: number): void {
  using bus = openBus(findBusSocket(uid), uid, LIMIT_MS);
  bus.answer(send(bus, "AttachProcessesToUnit", "ssau", [unit, subgroup, [pid]]));
}

function send(bus: Bus, member: string, signature: string, args: readonly BusValue[]): number {
  return bus.send({ ...MANAGER, member, signature, args });
}
