import assert from "node:assert/strict";
import { test } from "node:test";
import { choosePlaces, type PlaceHost } from "./places.ts";

function host(owned: readonly string[], environment: Record<string, string> = {}): PlaceHost {
  return { uid: 1000, home: "/home/u", environment, isOwnDirectory: (path) => owned.includes(path) };
}

test("the data directory is below XDG_DATA_HOME, or below the home directory", () => {
  assert.equal(choosePlaces({}, host([])).dataRoot, "/home/u/.local/share/dugout");
  assert.equal(choosePlaces({}, host([], { XDG_DATA_HOME: "/data" })).dataRoot, "/data/dugout");
  assert.equal(choosePlaces({}, host([], { XDG_DATA_HOME: "data" })).dataRoot, "/home/u/.local/share/dugout");
  assert.equal(choosePlaces({ root: "/r" }, { ...host([]), home: undefined }).dataRoot, "/r");
  assert.throws(() => choosePlaces({}, { ...host([]), home: undefined }), { code: "NO_HOME" });
});

test("C-057 with XDG_RUNTIME_DIR and without, the same runtime directory is found", () => {
  const owned = ["/run/user/1000", "/elsewhere"];
  assert.equal(choosePlaces({}, host(owned)).runtimeDir, "/run/user/1000/dugout");
  assert.equal(
    choosePlaces({}, host(owned, { XDG_RUNTIME_DIR: "/run/user/1000" })).runtimeDir,
    "/run/user/1000/dugout",
  );
  assert.equal(choosePlaces({}, host(owned, { XDG_RUNTIME_DIR: "/elsewhere" })).runtimeDir, "/run/user/1000/dugout");
  assert.equal(choosePlaces({}, host(["/x"], { XDG_RUNTIME_DIR: "/x" })).runtimeDir, "/x/dugout");
  assert.deepEqual(choosePlaces({}, host([])), {
    dataRoot: "/home/u/.local/share/dugout",
    runtimeDir: "/tmp/dugout-1000",
    warnings: [],
  });
});

test("C-056 somebody else's XDG_RUNTIME_DIR is left aside with one warning", () => {
  const places = choosePlaces({}, host([], { XDG_RUNTIME_DIR: "/run/user/0" }));
  assert.equal(places.runtimeDir, "/tmp/dugout-1000");
  assert.deepEqual(places.warnings, ['XDG_RUNTIME_DIR "/run/user/0" is not a directory of ours and is left aside']);
  assert.deepEqual(choosePlaces({ run: "/r" }, host([], { XDG_RUNTIME_DIR: "/run/user/0" })).warnings, []);
});
