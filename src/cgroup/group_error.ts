import { DugoutError } from "#oci/error.ts";
import { escapeText } from "#oci/text.ts";
import type { BusError } from "./dbus/error.ts";
import { delegationDropIn, DROP_IN_PATH } from "./place.ts";

/** The error for a limit whose controller we were not given. @param wanted What an administrator would have to delegate. */
export function missingControllerError(what: string, controller: string, wanted: readonly string[]): DugoutError {
  return new DugoutError(
    "LIMIT_IMPOSSIBLE",
    `Cannot limit ${what}: the controller "${controller}" is not delegated to you`,
    {
      hint:
        `ask an administrator to save "${delegationDropIn(wanted).trim().replace("\n", "\\n")}" as ${DROP_IN_PATH}, ` +
        "run 'systemctl daemon-reload', and let you log in anew; --limits=best-effort runs without the limit",
    },
  );
}

/** The error where systemd's manager does not do what it is asked for. */
export function busFailure(what: string, error: BusError): DugoutError {
  return new DugoutError("CGROUP_BUS", `${what}: systemd: ${escapeText(error.message)}`, {
    hint: error.code === "BUS_ERROR"
      ? "does the user manager run? systemctl --user status"
      : "the user's D-Bus (/run/user/UID/bus) does not answer: systemctl --user status dbus; a new login starts it again",
    cause: error,
  });
}
