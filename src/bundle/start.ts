/**
 * Starting a container that was created (runtime-spec, runtime.md, "Start").
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { close } from "#linux/file.ts";
import { openFifoSink } from "#linux/fifo.ts";
import { OsError } from "#linux/errno.ts";
import { POLLFD } from "#linux/poll.ts";
import { parseRuntimeConfig } from "#oci/runtime_config.ts";
import { type BundleContainer, gatePath, readKeptConfig, statusOf, takeGate } from "./container_state.ts";
import { bundleError } from "./error.ts";
import { hookState, runHooks } from "./hooks.ts";

/**
 * Starts it; returns when its program runs, or has ended already.
 * @throws {DugoutError} CONTAINER_STATUS when it is not waiting for that; HOOK_FAILED.
 */
export function startContainer(container: BundleContainer): void {
  const { directory, stored } = container;
  const status = statusOf(container);
  if (status === "running" || status === "paused") {
    throw bundleError("CONTAINER_STATUS", "cannot start an already running container");
  }
  if (status !== "created") throw bundleError("CONTAINER_STATUS", `cannot start a container that has ${status}`);
  let gate: Fd;
  try {
    gate = openFifoSink(gatePath(directory));
  } catch (error) {
    if (!(error instanceof OsError)) throw error;
    throw bundleError("CONTAINER_STATUS", "cannot start a container that has stopped", undefined, error);
  }
  try {
    if (!takeGate(directory)) throw bundleError("CONTAINER_STATUS", "cannot start an already running container");
    const byte = allocate(1);
    byte[0] = 0x73;
    tryCall("write", gate, addressOf(byte), 1);
    waitUntilUnread(gate);
  } finally {
    close(gate);
  }
  const { hooks } = parseRuntimeConfig(readKeptConfig(container), "config.json");
  runHooks("poststart", hooks?.poststart ?? [], hookState(stored, "running", stored.pid));
}

/** The container's first process has the only reading end, and closes it by executing its program, or by its end. */
function waitUntilUnread(gate: Fd): void {
  const entry = allocate(POLLFD.SIZE);
  new DataView(entry.buffer).setInt32(POLLFD.fd, gate, true);
  let result: number;
  do result = tryCall("ppoll", addressOf(entry), 1, 0, 0, 8); while (result === -4);
}
