import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { containerEvent, type EventPlace, eventsPath, noteEvent, noteEvents, volumeEvent } from "./events.ts";
import { compileEventFilter } from "./filter_events.ts";
import { openEventReader, orderByTime } from "./read_events.ts";

const SUBJECT = { id: "a".repeat(64), name: "web", image: "debian:12", labels: new Map([["tier", "front"]]) };

function withPlace(work: (place: EventPlace) => void): void {
  const runRoot = mkdtempSync(join(tmpdir(), "events-"));
  try {
    work({ dataRoot: "/store", runRoot });
  } finally {
    rmSync(runRoot, { recursive: true });
  }
}

test("an event is read as it was noted, with labels that are called as JavaScript's own things (A-087)", () => {
  withPlace((place) => {
    const labels = new Map([["__proto__", "x"], ["constructor", "y"], ["line\nfeed", "\u001b[2J"]]);
    noteEvent(place, containerEvent({ ...SUBJECT, labels }, "die", { exitCode: "7" }, 1234));
    using reader = openEventReader(place);
    assert.deepEqual(reader.read(), [{
      timeMs: 1234,
      type: "container",
      action: "die",
      id: SUBJECT.id,
      attributes: new Map([...labels, ["image", "debian:12"], ["exitCode", "7"], ["name", "web"]]),
    }]);
    assert.deepEqual(reader.read(), []);
  });
});

test("a reader that stays sees what is written later, and no other store's events", () => {
  withPlace((place) => {
    using reader = openEventReader(place);
    assert.deepEqual(reader.read(), []);
    noteEvents(place, [volumeEvent("one", "create"), volumeEvent("two", "create")]);
    noteEvent({ ...place, dataRoot: "/other" }, volumeEvent("three", "create"));
    assert.deepEqual(reader.read().map(({ id }) => id), ["one", "two"]);
    noteEvent(place, volumeEvent("one", "destroy"));
    assert.deepEqual(reader.read().map(({ action }) => action), ["destroy"]);
  });
});

test("a writer that was killed in the middle of an event loses that event and no other", () => {
  withPlace((place) => {
    using reader = openEventReader(place);
    noteEvent(place, volumeEvent("before", "create"));
    appendFileSync(eventsPath(place.runRoot), '\n{"timeMs":1,"type":"volume","action":"cre');
    assert.deepEqual(reader.read().map(({ id }) => id), ["before"]);
    noteEvent(place, volumeEvent("behind", "create"));
    assert.deepEqual(reader.read().map(({ id }) => id), ["behind"]);
  });
});

test("the file is put aside when it has grown, and a reader that follows loses nothing", () => {
  withPlace((place) => {
    using follower = openEventReader(place);
    const labels = new Map([["text", "x".repeat(3000)]]);
    let seen = 0;
    for (let i = 0; i < 1000; i++) {
      noteEvent(place, containerEvent({ ...SUBJECT, labels }, "start", { turn: String(i) }));
      if (i % 100 === 0) {
        for (const event of follower.read()) assert.equal(event.attributes.get("turn"), String(seen++));
      }
    }
    for (const event of follower.read()) assert.equal(event.attributes.get("turn"), String(seen++));
    assert.equal(seen, 1000);

    assert.deepEqual(readdirSync(place.runRoot).sort(), ["events", "events.old"]);
    assert.ok(statSync(eventsPath(place.runRoot)).size < 1.1 * 2 ** 20);
    using late = openEventReader(place);
    const turns = late.read().map(({ attributes }) => Number(attributes.get("turn")));
    assert.equal(turns.at(-1), 999);
    // all that is kept, without a gap
    assert.deepEqual(turns, turns.map((_, i) => 1000 - turns.length + i));
  });
});

test("an end that was noted late comes where it belongs, and one of about the same time stays behind its signal", () => {
  const at = (timeMs: number, action: string) => ({ ...containerEvent(SUBJECT, action), timeMs });
  const written = [at(1000, "start"), at(5000, "kill"), at(4996, "die"), at(9000, "ps"), at(2000, "late")];
  assert.deepEqual(orderByTime(written).map(({ action }) => action), ["start", "late", "kill", "die", "ps"]);
});

test("labels without end do not make a line without end", () => {
  withPlace((place) => {
    const labels = new Map([["huge", "x".repeat(200_000)]]);
    noteEvent(place, containerEvent({ ...SUBJECT, labels }, "die", { exitCode: "1" }));
    using reader = openEventReader(place);
    const [event] = reader.read();
    assert.deepEqual([...event!.attributes.keys()].sort(), ["exitCode", "image", "name"]);
  });
});

test("filters of one key are alternatives, of several keys all must fit, and labels must all fit", () => {
  const events = [
    containerEvent(SUBJECT, "start"),
    containerEvent(SUBJECT, "die", { exitCode: "0" }),
    containerEvent({ ...SUBJECT, id: "b".repeat(64), name: "db", image: "postgres" }, "exec_start: sh"),
    volumeEvent("data", "mount", { container: SUBJECT.id }),
    { type: "image" as const, action: "pull", id: "debian:12", attributes: new Map([["name", "debian"]]) },
  ];
  const fitting = (...texts: string[]): number[] => {
    const fits = compileEventFilter(texts);
    return events.flatMap((event, i) => fits(event) ? [i] : []);
  };
  assert.deepEqual(fitting(), [0, 1, 2, 3, 4]);
  assert.deepEqual(fitting("event=start", "event=die"), [0, 1]);
  assert.deepEqual(fitting("type=container", "event=exec_start"), [2]);
  assert.deepEqual(fitting("container=web"), [0, 1]);
  assert.deepEqual(fitting("container=bbbb"), [2]);
  assert.deepEqual(fitting("image=debian"), [0, 1, 4]);
  assert.deepEqual(fitting("image=debian:12"), [0, 1, 4]);
  assert.deepEqual(fitting("volume=data"), [3]);
  assert.deepEqual(fitting("label=tier=front", "label=other"), []);
  assert.deepEqual(fitting("label=tier"), [0, 1, 2]);
  assert.throws(() => compileEventFilter(["colour=red"]), { code: "FILTER_INVALID" });
  assert.throws(() => compileEventFilter(["start"]), { code: "FILTER_INVALID" });
});
