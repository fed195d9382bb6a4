/**
 * What goes wrong on a bus: `BUS_MISSING` (no socket), `BUS_FOREIGN` (it is not ours), `BUS_REFUSED` (the connection was refused or has ended),
 * `BUS_TIMEOUT`, `BUS_PROTOCOL` (the answer is none, or too large), `BUS_ERROR` (the other side answered with an error: its name is in `busName`).
 */
export class BusError extends Error {
  override readonly name = "BusError";
  readonly code: string;
  /** The error's name on the bus: `org.freedesktop.DBus.Error.AccessDenied`. */
  readonly busName: string | undefined;

  constructor(code: string, message: string, busName?: string) {
    super(message);
    this.code = code;
    this.busName = busName;
  }
}
