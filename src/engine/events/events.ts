/**
 * Events: what has happened to containers, images and volumes. One file of the runtime directory, a line of JSON for each,
 * appended by whoever does the thing:
 *
 *     RUN/events        what `events` shows and follows (read_events.ts)
 *     RUN/events.old    what was in it before it grew too long
 *
 * A write is one write(2) at the end of the file, so writers need no lock. Each begins with a line feed: a writer that was
 * killed in the middle of one, or a disk that was full, leaves one line that cannot be read, and readers pass over it.
 * Other stores may share the runtime directory, so each line names its own.
 *
 * @module
 */
import { addressOf, allocate, cString } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { AT_FDCWD, close, O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY, openAt, SEEK_CUR } from "#linux/file.ts";
import { statName } from "#linux/stat.ts";
import { tryLock } from "#storage/flock.ts";
import type { Engine } from "../engine.ts";

/** What an event is about; Docker's words. */
export type EventType = "container" | "image" | "volume" | "network";

/** Something that has happened. */
export interface EngineEvent {
  readonly type: EventType;
  /** Docker's word: `create`, `start`, `die`, `destroy`, `pull`, … */
  readonly action: string;
  /** A container's or an image's id, a name that was pulled, a volume's name. */
  readonly id: string;
  readonly attributes: ReadonlyMap<string, string>;
  /** Milliseconds since 1970; absent: now. */
  readonly timeMs?: number | undefined;
}

/** Where events are written, and of which store they are. */
export type EventPlace = Pick<Engine, "dataRoot" | "runRoot">;

/** The file grows to this before it is put aside: with the one before it, some ten thousand events. */
const ROTATE_BYTES = 1 << 20;
/** Labels that would make a line longer are left out of it. */
const MAX_LINE_BYTES = 64 << 10;

/** The file that events are appended to. */
export function eventsPath(runRoot: string): string {
  return `${runRoot}/events`;
}

/** Notes an event. That it cannot be written is no reason to fail for what has happened. */
export function noteEvent(place: EventPlace, event: EngineEvent): void {
  noteEvents(place, [event]);
}

/** Notes several events by one write, in this order. */
export function noteEvents(place: EventPlace, events: readonly EngineEvent[]): void {
  const bytes = allocateText("\n" + events.map((event) => encodeEvent(place.dataRoot, event)).join("\n") + "\n");
  const path = eventsPath(place.runRoot);
  let fd: Fd;
  try {
    fd = openAt(AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  } catch {
    return;
  }
  tryCall("write", fd, addressOf(bytes), bytes.length);
  // behind what was just appended: the length
  if (tryCall("lseek", fd, 0, SEEK_CUR) > ROTATE_BYTES) rotate(fd, path);
  close(fd);
}

/** What is known of a container, for its events: `record` may come from a file of any age. */
export interface EventSubject {
  readonly id: string;
  readonly name: string;
  readonly image: string | undefined;
  readonly labels: ReadonlyMap<string, string>;
}

/** An event of a container with Docker's attributes: its labels, image and name, and what the action adds. */
export function containerEvent(
  { id, name, image, labels }: EventSubject,
  action: string,
  more: Readonly<Record<string, string>> = {},
  timeMs?: number,
): EngineEvent {
  const attributes = new Map([...labels, ["image", image ?? ""], ...Object.entries(more), ["name", name]]);
  return { type: "container", action, id, attributes, timeMs };
}

/** The beginning of a container whose output the caller gets, in Docker's order (C-122). */
export function foregroundEvents(subject: EventSubject, startedMs: number): EngineEvent[] {
  return ["create", "attach", "start"].map((action) => containerEvent(subject, action, {}, startedMs));
}

/** A signal to a container. */
export function killEvent(subject: EventSubject, signal: number): EngineEvent {
  return containerEvent(subject, "kill", { signal: String(signal) });
}

/** The end of a container, with Docker's attributes; in front of it that its memory had run out, where it had. */
export function dieEvents(
  subject: EventSubject,
  end: {
    readonly exitCode: number | undefined;
    readonly startedMs?: number | undefined;
    readonly oomKilled?: boolean | undefined;
  },
  timeMs: number,
): EngineEvent[] {
  const ran = end.startedMs === undefined
    ? {}
    : { execDuration: String(Math.max(0, Math.trunc((timeMs - end.startedMs) / 1000))) };
  return [
    ...(end.oomKilled === true ? [containerEvent(subject, "oom", {}, timeMs)] : []),
    containerEvent(subject, "die", { ...ran, exitCode: String(end.exitCode ?? 255) }, timeMs),
  ];
}

/** A volume that was made or removed, or (with the container's id) mounted. */
export function volumeEvent(
  name: string,
  action: "create" | "destroy" | "mount",
  more: Readonly<Record<string, string>> = {},
): EngineEvent {
  return { type: "volume", action, id: name, attributes: new Map([...Object.entries(more), ["driver", "local"]]) };
}

/** A network that was made or removed, or whose containers are others. */
export function networkEvent(
  { id, name }: { readonly id: string; readonly name: string },
  action: "create" | "destroy" | "connect" | "disconnect",
  container?: string,
): EngineEvent {
  const more: [string, string][] = container === undefined ? [] : [["container", container]];
  return { type: "network", action, id, attributes: new Map([...more, ["name", name], ["type", "bridge"]]) };
}

function encodeEvent(store: string, { type, action, id, attributes, timeMs = Date.now() }: EngineEvent): string {
  const line = (kept: ReadonlyMap<string, string>) =>
    JSON.stringify({ timeMs, type, action, id, attributes: Object.fromEntries(kept), store });
  const whole = line(attributes);
  if (whole.length <= MAX_LINE_BYTES) return whole;
  return line(new Map([...attributes].filter(([key]) => USUAL_ATTRIBUTES.has(key))));
}

const USUAL_ATTRIBUTES: ReadonlySet<string> = new Set(["image", "name", "exitCode", "execDuration", "signal"]);

function allocateText(text: string): Uint8Array {
  const encoded = new TextEncoder().encode(text);
  const bytes = allocate(encoded.length);
  bytes.set(encoded);
  return bytes;
}

/** Puts the file aside, unless somebody else has done so: the name must still lead to the file that we have locked. */
function rotate(fd: Fd, path: string): void {
  if (tryLock(fd) !== "locked") return;
  const [ours, named] = [statName(fd, ""), statName(AT_FDCWD, path)];
  if (typeof ours === "number" || typeof named === "number" || ours.key !== named.key) return;
  const [from, to] = [cString(path), cString(`${path}.old`)];
  // where it fails, the next writer tries again
  tryCall("renameat2", AT_FDCWD, addressOf(from), AT_FDCWD, addressOf(to), 0);
}
