/**
 * Telling systemd that a unit is up (sd_notify(3)), in podman's words: `--sdnotify`.
 *
 * @module
 */
import type { RunRequest } from "#docker/run_request.ts";
import { sendDatagram } from "#linux/datagram.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";

/** Who says that the unit is up. */
export type NotifyMode =
  /** We, as soon as the container's program runs. */
  | "conmon"
  /** The container itself, which gets the socket. */
  | "container"
  | "ignore";

/** Where the socket is in the container. */
const INSIDE = "/run/notify.sock";

/**
 * Says that the unit is up, and which process is its main one: that which ends with the container.
 * @param socket The value of NOTIFY_SOCKET; without one nobody wants to know.
 */
export function notifyReady(socket: string | undefined, mainPid: number): void {
  if (socket === undefined || socket === "") return;
  sendDatagram(socket, `READY=1\nMAINPID=${mainPid}`);
}

/**
 * Gives a container the socket, by a mount and a variable.
 * @throws {DugoutError} FLAG_CONFLICT, for a socket that is no file: it cannot be mounted.
 */
export function passNotifySocket(request: RunRequest, socket: string | undefined): void {
  if (socket === undefined || socket === "") return;
  if (!socket.startsWith("/")) {
    throw new DugoutError(
      "FLAG_CONFLICT",
      `Cannot use --sdnotify container: NOTIFY_SOCKET ${quote(socket)} is no path`,
    );
  }
  request.mounts.push({
    kind: "bind",
    source: socket,
    target: INSIDE,
    readOnly: false,
    readOnlyDepth: "top",
    recursive: false,
    propagation: "rprivate",
    createSource: false,
    relabel: undefined,
  });
  request.env.push(["NOTIFY_SOCKET", INSIDE]);
}

/** Reads `--sdnotify`. */
export function parseNotifyMode(text: string): NotifyMode {
  if (text === "conmon" || text === "container" || text === "ignore") return text;
  throw new DugoutError("FLAG_INVALID", `Cannot use ${quote(text)} for --sdnotify: it is conmon, container or ignore`);
}
