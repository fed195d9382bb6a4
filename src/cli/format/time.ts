const two = (value: number): string => String(value).padStart(2, "0");

/** A time as Go prints it, in the zone of this machine: `2026-11-10 11:18:33 +0000 UTC`. */
export function formatGoTime(timeMs: number): string {
  const time = new Date(timeMs);
  return `${formatDay(time)} ${formatClock(time)} ${formatOffset(time, "")} ${zoneName(time)}`;
}

/** A time by RFC 3339, to the second, in the zone of this machine: `2026-11-25T11:16:53Z`, `…+01:00`. */
export function formatRfc3339(timeMs: number): string {
  const time = new Date(timeMs);
  return `${formatDay(time)}T${formatClock(time)}${time.getTimezoneOffset() === 0 ? "Z" : formatOffset(time, ":")}`;
}

/** The same with nine digits of a second, as docker's events and logs have it: `2026-11-25T11:16:53.120000000Z`. */
export function formatRfc3339Nano(timeMs: number): string {
  const fraction = String(Math.trunc(timeMs % 1000)).padStart(3, "0") + "000000";
  return formatRfc3339(timeMs).replace(/(?<=:\d\d)(?=Z|[+-])/, `.${fraction}`);
}

function formatDay(time: Date): string {
  return `${String(time.getFullYear()).padStart(4, "0")}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}

function formatClock(time: Date): string {
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

function formatOffset(time: Date, colon: string): string {
  const minutes = -time.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.trunc(size / 60))}${colon}${two(size % 60)}`;
}

/** The zone's short name; its offset where it has none, as Go does. */
function zoneName(time: Date): string {
  if (time.getTimezoneOffset() === 0 && (process.env["TZ"] ?? "UTC") === "UTC") return "UTC";
  const parts = new Intl.DateTimeFormat("en-US", { timeZoneName: "short" }).formatToParts(time);
  const name = parts.find((part) => part.type === "timeZoneName")?.value ?? "";
  return /^[A-Z]{3,5}$/.test(name) ? name : formatOffset(time, "").slice(0, 3);
}
