import { test } from "node:test";
import assert from "node:assert/strict";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressOf, allocate } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { close, makePipe } from "#linux/file.ts";
import { mapAround } from "#linux/idmap.ts";
import { startTape } from "#tape/play.ts";
import { waitFor } from "#tape/play_encoded.ts";
import { printTape } from "#tape/print.ts";
import { findUnsetResults } from "#tape/unset.ts";
import { ERROR_FD, GO_FD } from "../map_ids.ts";
import { claimHolder } from "./claim_holder.ts";
import {
  closeHolder,
  holderDirectory,
  holderIds,
  holderName,
  openHeld,
  openHolder,
  recordText,
} from "./holder_record.ts";
import { holdBuffers, holdSteps } from "./holder_steps.ts";
import { RECORD_FD } from "./record_fd.ts";

const NAME = "ids.1.2";

function inRunRoot(work: (runRoot: string) => void): void {
  const runRoot = mkdtempSync(join(tmpdir(), "dugout-holder-"));
  try {
    work(runRoot);
  } finally {
    rmSync(runRoot, { recursive: true, force: true });
  }
}

/** A process that holds nothing, with a claim of its own. */
function startHolder(runRoot: string, lookSeconds: number) {
  const claim = claimHolder(runRoot, NAME);
  assert.ok(claim !== undefined);
  const go = makePipe();
  const tape = {
    steps: holdSteps(),
    buffers: new Map([...holdBuffers(lookSeconds), ["go", { sizeBytes: 8 }] as const]),
    errorFd: ERROR_FD,
  };
  const fds = [{ child: GO_FD, ours: go.read }, { child: RECORD_FD, ours: claim.record }];
  const { pid, errors } = startTape(tape, { fds });
  [errors, go.read].forEach(close);
  return {
    pid,
    claim,
    stay(before = () => {}) {
      assert.equal(claim.publish(pid), true);
      before();
      const byte = allocate(1);
      tryCall("write", go.write, addressOf(byte), 1);
      close(go.write);
      claim[Symbol.dispose]();
    },
    leave() {
      close(go.write);
      claim[Symbol.dispose]();
    },
  };
}

const [LOCK_SH, LOCK_UN] = [1, 8];

test("a holder is told apart by the ids that it has, and by the limits that the kernel notes with it", () => {
  const ids = (own: number) => {
    const ranges = mapAround(own, 0, [{ start: 100000, count: 65536 }]);
    return holderIds({ uid: ranges, gid: ranges });
  };
  assert.notEqual(ids(1000), ids(1001));
  assert.match(holderName(ids(1000)), /^[0-9a-f]{16}(?:\.[0-9]+){4}$/);
});

test("a holder is found by its record, as long as its process is the one that was meant", () => {
  inRunRoot((runRoot) => {
    assert.equal(openHolder(runRoot, NAME), undefined);
    const holder = startHolder(runRoot, 600);
    assert.equal(openHolder(runRoot, NAME), undefined, "not before it is known");
    assert.equal(claimHolder(runRoot, NAME), undefined, "one at a time");
    holder.stay();
    const found = openHolder(runRoot, NAME);
    assert.ok(found !== undefined);
    const user = openHeld(found, "user");
    assert.ok(user !== undefined);
    assert.equal(openHeld(found, "nothing"), undefined);
    assert.equal(claimHolder(runRoot, NAME), undefined, "it is there");
    tryCall("kill", holder.pid, 9);
    waitFor(holder.pid);
    assert.equal(openHeld(found, "user"), undefined);
    closeHolder(found);
    close(user);
    assert.equal(openHolder(runRoot, NAME), undefined);
    const next = claimHolder(runRoot, NAME);
    assert.ok(next !== undefined);
    next[Symbol.dispose]();
  });
});

test("a record of another boot, of another process, or half of one is none", () => {
  inRunRoot((runRoot) => {
    claimHolder(runRoot, NAME)?.[Symbol.dispose]();
    const whole = recordText(process.pid, readFileSync("/proc/self/stat", "utf8").split(" ")[21]!);
    const write = (text: string) => {
      writeFileSync(join(holderDirectory(runRoot), NAME), text);
      const found = openHolder(runRoot, NAME);
      if (found !== undefined) closeHolder(found);
      return found !== undefined;
    };
    assert.equal(write(whole), true);
    for (let length = 0; length < whole.length - 2; length++) assert.equal(write(whole.slice(0, length)), false);
    assert.equal(write(whole.replace(/^[0-9a-f]/, "x")), false);
    assert.equal(write(recordText(process.pid, "1")), false);
  });
});

test("who is killed before it has said that the process may stay takes it along", () => {
  inRunRoot((runRoot) => {
    const holder = startHolder(runRoot, 600);
    holder.claim.publish(holder.pid);
    holder.leave();
    assert.equal(waitFor(holder.pid), 0);
    assert.equal(openHolder(runRoot, NAME), undefined);
  });
});

test("a holder leaves when nobody has used it between two looks, or its record has gone", () => {
  inRunRoot((runRoot) => {
    const idle = startHolder(runRoot, 0);
    idle.stay();
    assert.equal(waitFor(idle.pid), 0);
    const removed = startHolder(runRoot, 600);
    removed.stay(() => unlinkSync(join(holderDirectory(runRoot), NAME)));
    assert.equal(waitFor(removed.pid), 0);
    assert.deepEqual(readdirSync(holderDirectory(runRoot)), ["lock"]);
  });
});

test("a holder stays as long as somebody has a lock of its record", () => {
  inRunRoot((runRoot) => {
    const holder = startHolder(runRoot, 0);
    const lock = openSync(join(holderDirectory(runRoot), `${NAME}.new`), "r") as Fd;
    assert.equal(tryCall("flock", lock, LOCK_SH), 0);
    holder.stay();
    for (let look = 0; look < 20; look++) {
      const found = openHolder(runRoot, NAME);
      assert.ok(found !== undefined, `look ${look}`);
      closeHolder(found);
    }
    assert.equal(tryCall("flock", lock, LOCK_UN), 0);
    closeSync(lock);
    assert.equal(waitFor(holder.pid), 0);
  });
});

test("a holder's tape uses no result that is not there, and can be printed", () => {
  const tape = {
    steps: holdSteps(),
    buffers: new Map([...holdBuffers(), ["go", { sizeBytes: 8 }] as const]),
    errorFd: ERROR_FD,
  };
  assert.deepEqual(findUnsetResults(tape), []);
  assert.equal(printTape(tape).length, tape.steps.length);
});
