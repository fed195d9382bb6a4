/**
 * Signals to a container's processes.
 *
 * @module
 */
import { readdirSync, readlinkSync } from "node:fs";
import { type Fd, type Pid, tryCall } from "#linux/call.ts";
import { errnoName, OsError } from "#linux/errno.ts";
import { close } from "#linux/file.ts";
import { addressOf, allocate } from "#ffi/mod.ts";
import { POLLFD, POLLIN } from "#linux/poll.ts";
import { readStartTime } from "#linux/proc.ts";
import { SIGNALS } from "#linux/signals.ts";
import { type BundleContainer, isAlive, pidOf, statusOf } from "./container_state.ts";
import { bundleError } from "./error.ts";

/**
 * Sends a signal to the container's first process, by a descriptor that refers to no other.
 * @throws {DugoutError} CONTAINER_STATUS when it does not run, with runc's words.
 * @throws {OsError} EPERM where it is not the caller's.
 */
export function signalContainer(container: BundleContainer, signal: number): void {
  const status = statusOf(container);
  if (status === "stopped") throw notRunning();
  using process = openFirstProcess(container);
  if (process === undefined) throw notRunning();
  send(process.fd, signal, container.stored.id);
  // a frozen one dies when it thaws: the kernel thaws it for SIGKILL by itself (cgroup-v2.rst, "cgroup.freeze")
}

/** Sends a signal to all of a container's processes. @throws {DugoutError} CONTAINER_STATUS. */
export function signalAll(container: BundleContainer, signal: number): void {
  for (const pid of listProcesses(container)) {
    const pidfd = tryCall("pidfd_open", pid, 0);
    if (pidfd < 0) continue;
    try {
      tryCall("pidfd_send_signal", pidfd, signal, 0, 0);
    } finally {
      close(pidfd as Fd);
    }
  }
}

/**
 * The processes in a container's pid namespace, as this machine numbers them.
 * @throws {DugoutError} CONTAINER_STATUS when it does not run, or has no pid namespace of its own by which to tell.
 */
export function listProcesses(container: BundleContainer): Pid[] {
  if (!isAlive(container.stored)) throw notRunning();
  const { pid } = container.stored;
  const namespace = readPidNamespace(String(pid));
  if (namespace === undefined || namespace === readPidNamespace("self")) {
    throw bundleError(
      "CONTAINER_STATUS",
      "cannot tell its processes from others: it shares the machine's pid namespace",
    );
  }
  return readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name) && readPidNamespace(name) === namespace).map((
    name,
  ) => Number(name) as Pid);
}

function readPidNamespace(process: string): string | undefined {
  try {
    return readlinkSync(`/proc/${process}/ns/pid`);
  } catch {
    return undefined;
  }
}

/** Kills a container and waits until it is gone, or for a time. @returns Whether it is gone. */
export function killContainer(container: BundleContainer, patienceMs: number): boolean {
  using process = openFirstProcess(container);
  if (process === undefined) return true;
  send(process.fd, SIGNALS.KILL, container.stored.id);
  const entry = allocate(POLLFD.SIZE);
  const view = new DataView(entry.buffer);
  view.setInt32(POLLFD.fd, process.fd, true);
  view.setInt16(POLLFD.events, POLLIN, true);
  const time = allocate(16);
  const words = new DataView(time.buffer);
  words.setBigInt64(0, BigInt(Math.floor(patienceMs / 1000)), true);
  words.setBigInt64(8, BigInt(patienceMs % 1000) * 1_000_000n, true);
  return tryCall("ppoll", addressOf(entry), 1, addressOf(time), 0, 8) > 0;
}

function notRunning() {
  return bundleError("CONTAINER_STATUS", "container not running");
}

function send(pidfd: Fd, signal: number, id: string): void {
  const result = tryCall("pidfd_send_signal", pidfd, signal, 0, 0);
  if (result >= 0) return;
  if (errnoName(-result) === "ESRCH") throw notRunning();
  throw new OsError({ call: "send a signal to", object: `container ${id}`, code: errnoName(-result) });
}

/** A container's first process, held by a descriptor; undefined where it has ended. */
export function openFirstProcess(
  container: BundleContainer,
): { readonly fd: Fd; [Symbol.dispose](): void } | undefined {
  const pidfd = tryCall("pidfd_open", pidOf(container), 0);
  if (pidfd < 0) return undefined;
  const fd = pidfd as Fd;
  // the number may have been given to another before it was opened, not afterwards
  if (readStartTime(container.stored.pid) === container.stored.startTime && isAlive(container.stored)) {
    return { fd, [Symbol.dispose]: () => close(fd) };
  }
  close(fd);
  return undefined;
}
