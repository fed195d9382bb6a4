/**
 * Following events as they happen. Nobody sends them: the file that they are appended to is watched, and so are the
 * runtime directories of containers, where a monitor leaves the record of an end that no command has seen yet. Looking at
 * it writes it down, and notes the event.
 *
 * @module
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { IN_CLOSE_WRITE, IN_CREATE, IN_DELETE_SELF, IN_MODIFY, IN_MOVED_TO, openWatches } from "#linux/inotify.ts";
import { EXIT_RECORD } from "#runtime/setup.ts";
import { listDirectory } from "#storage/content.ts";
import { readRecord } from "../record/container_record.ts";
import { readStatus } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { openEventReader, orderByTime, type SeenEvent } from "./read_events.ts";
import { readState } from "../record/state.ts";
import { whereabouts } from "../record/whereabouts.ts";

/** From when to when; milliseconds since 1970. */
export interface EventSpan {
  /** Undefined: from now on. */
  readonly sinceMs: number | undefined;
  /** Undefined: without end. */
  readonly untilMs: number | undefined;
  /** Whether those that come are waited for; else only those that are on record are told. */
  readonly follows: boolean;
}

/** A monitor that was killed leaves nothing that could be watched for: processes are looked for so often. All is, where nothing can be watched. */
const LOOK_MS = 1000;
const ID = /^[0-9a-f]{64}$/;
const STATE_FILE = "state.json";

/** Events of a span, in order. */
export async function* followEvents(engine: Engine, span: EventSpan): AsyncGenerator<SeenEvent[]> {
  const { sinceMs = span.follows ? Date.now() : 0, untilMs = Infinity } = span;
  const isWithin = ({ timeMs }: SeenEvent): boolean => timeMs >= sinceMs && timeMs <= untilMs;
  using ends = watchEnds(engine);
  using reader = openEventReader(engine);
  ends.look();
  yield orderByTime(reader.read().filter(isWithin));
  while (span.follows) {
    const left = untilMs - Date.now();
    if (left <= 0) return;
    await ends.changed(Math.min(left, LOOK_MS));
    const events = reader.read().filter(isWithin);
    if (events.length > 0) yield events;
  }
}

/** Watches the file of events and the containers that run. */
interface EndWatcher {
  /** Looks at all containers that this machine has something of. */
  look(): void;
  /** Waits for a change, no longer than so; ends that have come are noted then. */
  changed(limitMs: number): Promise<void>;
  [Symbol.dispose](): void;
}

function watchEnds(engine: Engine): EndWatcher {
  const states = join(engine.runRoot, "containers");
  const watches = openWatches();
  let statesWatch = -1;
  /** Again now and then: directories may be swept away and made anew (C-058). */
  const watchDirectories = (): void => {
    mkdirSync(states, { recursive: true, mode: 0o700 });
    if (watches === undefined) return;
    watches.add(engine.runRoot, IN_MODIFY | IN_CREATE | IN_MOVED_TO);
    statesWatch = watches.add(states, IN_CREATE | IN_MOVED_TO);
  };
  const watched = new Map<number, string>();
  /** Containers that ran when they were last looked at. */
  const running = new Set<string>();

  const begin = (id: string): void => {
    if (watches === undefined) return;
    const watch = watches.add(join(states, id), IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE_SELF);
    if (watch >= 0) watched.set(watch, id);
  };
  const check = (id: string): void => {
    if (readState(engine, id) !== undefined && !existsSync(join(states, id, EXIT_RECORD))) {
      running.add(id);
      return;
    }
    running.delete(id);
    const record = readRecord(engine.dataRoot, id);
    // looking notes the end
    if (record !== undefined) readStatus(engine, record, whereabouts());
  };

  let pending: Promise<void> | undefined;
  const wait = async (): Promise<void> => {
    if (watches === undefined) return await new Promise(() => {});
    for (const { watch, name } of await watches.next()) {
      if (watch === statesWatch && ID.test(name)) {
        begin(name);
        // it may have ended before it was watched
        if (existsSync(join(states, name, EXIT_RECORD))) check(name);
      }
      const id = watched.get(watch);
      if (id !== undefined && (name === STATE_FILE || name === EXIT_RECORD)) check(id);
    }
    pending = undefined;
  };
  return {
    look() {
      watchDirectories();
      for (const id of listDirectory(states).filter((name) => ID.test(name))) {
        begin(id);
        check(id);
      }
    },
    async changed(limitMs) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const limit = new Promise<"limit">((resolve) => timer = setTimeout(resolve, limitMs, "limit"));
      pending ??= wait();
      const first = await Promise.race([pending, limit]);
      clearTimeout(timer);
      if (first !== "limit") return;
      if (watches === undefined) return this.look();
      watchDirectories();
      for (const id of [...running]) check(id);
    },
    [Symbol.dispose]: () => watches?.[Symbol.dispose](),
  };
}
