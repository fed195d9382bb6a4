import { test } from "node:test";
import assert from "node:assert/strict";
import { encodeTape } from "#tape/encode.ts";
import { printTape } from "#tape/print.ts";
import { findUnsetResults } from "#tape/unset.ts";
import { expectGolden } from "../../tests/support/golden.ts";
import { type MonitorPlan, planMonitor } from "./monitor_tape.ts";

const PLAN: MonitorPlan = {
  terminal: false,
  copiesStdin: true,
  log: { maxBytes: 1 << 20, maxFiles: 3 },
  cleanUp: [],
  group: undefined,
  worker: { args: ["/usr/bin/dugout", "__last-work"], env: ["PATH=/usr/bin:/bin"] },
};

test("a monitor's tape is as reviewed", () => {
  expectGolden("tapes/monitor-own.txt", printTape(planMonitor(PLAN)).join("\n"));
});

for (
  const [name, plan] of Object.entries({
    "with copiers and limits": PLAN,
    "of a terminal": { ...PLAN, terminal: true, copiesStdin: false },
    "without limits": { ...PLAN, log: { maxBytes: undefined, maxFiles: 1 } },
  })
) {
  test(`a monitor's tape (${name}) uses no result that is not there, and no error ends it`, () => {
    const tape = planMonitor(plan);
    assert.deepEqual(findUnsetResults(tape), []);
    for (const architecture of ["x86_64", "aarch64"] as const) encodeTape(tape, architecture);
    for (const { call, label, ignore, jump } of tape.steps) {
      const isCall = !["store", "load", "alu", "nop", "exit_group"].includes(call);
      const isBorne = ignore || jump?.when === "error" || label === "unblock" || call === "umask";
      if (isCall) assert.ok(isBorne, `${label} may fail`);
    }
  });
}
