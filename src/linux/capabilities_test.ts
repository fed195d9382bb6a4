import { test } from "node:test";
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import {
  ALL_CAPABILITIES,
  capabilitiesUpTo,
  capabilityName,
  capabilityNames,
  capabilityNumber,
  capabilitySet,
  capabilityWords,
  combineCapabilities,
  DEFAULT_CAPABILITIES,
  hasCapability,
  LAST_CAPABILITY,
} from "./capabilities.ts";

const combine = (add: string[], drop: string[]): string[] =>
  capabilityNames(combineCapabilities(DEFAULT_CAPABILITIES, ALL_CAPABILITIES, add, drop));

test("a capability is found by any of its spellings", () => {
  assert.equal(capabilityNumber("CAP_SYS_ADMIN"), 21);
  assert.equal(capabilityNumber("sys_admin"), 21);
  assert.equal(capabilityNumber("Cap_Sys_Admin"), 21);
  assert.equal(capabilityNumber("CHECKPOINT_RESTORE"), 40);
  for (const name of ["", "CAP_", "ALL", "SYS_ADMIN ", "CAP_CAP_CHOWN", "__proto__", "constructor"]) {
    assert.equal(capabilityNumber(name), undefined, name);
  }
});

test("name and number are each other's inverse", () => {
  for (let number = 0; number <= LAST_CAPABILITY; number++) {
    assert.equal(capabilityNumber(capabilityName(number)), number);
  }
  assert.throws(() => capabilityName(LAST_CAPABILITY + 1), RangeError);
});

test("the default set is Docker's, as /proc/self/status shows it", () => {
  assert.equal(DEFAULT_CAPABILITIES, 0xa80425fbn);
  assert.equal(capabilityNames(DEFAULT_CAPABILITIES).length, 14);
});

test("the two words of a set carry 32 capabilities each", () => {
  assert.deepEqual(capabilityWords(ALL_CAPABILITIES), [0xffffffff, 0x1ff]);
  assert.deepEqual(capabilityWords(capabilitySet(["CHOWN", "MAC_OVERRIDE", "CHECKPOINT_RESTORE"])), [1, 0x101]);
});

test("adding and dropping combine as in docker run", () => {
  const defaults = capabilityNames(DEFAULT_CAPABILITIES);
  assert.deepEqual(combine([], []), defaults);
  assert.deepEqual(combine(["NET_ADMIN"], []), [...defaults, "CAP_NET_ADMIN"].sort(byNumber));
  assert.deepEqual(combine([], ["CAP_CHOWN"]), defaults.filter((name) => name !== "CAP_CHOWN"));
  assert.deepEqual(combine([], ["all"]), []);
  assert.deepEqual(combine(["chown", "KILL"], ["ALL"]), ["CAP_CHOWN", "CAP_KILL"]);
  assert.deepEqual(combine(["ALL"], []), capabilityNames(ALL_CAPABILITIES));
  assert.deepEqual(combine(["ALL"], ["SYS_ADMIN"]).includes("CAP_SYS_ADMIN"), false);
  assert.equal(combine(["ALL"], ["SYS_ADMIN"]).length, LAST_CAPABILITY);
  assert.deepEqual(combine(["ALL"], ["ALL"]), capabilityNames(ALL_CAPABILITIES));
  assert.deepEqual(combine(["CHOWN"], ["CHOWN"]), defaults);
  assert.throws(() => combine(["NO_SUCH"], []), /"NO_SUCH"/);
});

test("a kernel that knows fewer capabilities gets no more than it knows", () => {
  const old = capabilitiesUpTo(37);
  const set = combineCapabilities(DEFAULT_CAPABILITIES, old, ["ALL", "BPF"], []);
  assert.equal(set, old);
  assert.equal(hasCapability(set, "BPF"), false);
  assert.equal(hasCapability(set, "AUDIT_READ"), true);
});

const LAST_CAP_FILE = "/proc/sys/kernel/cap_last_cap";
test("this kernel has no capability without a name", { skip: !existsSync(LAST_CAP_FILE) }, () => {
  assert.ok(Number(readFileSync(LAST_CAP_FILE, "utf8")) <= LAST_CAPABILITY);
});

function byNumber(left: string, right: string): number {
  return capabilityNumber(left)! - capabilityNumber(right)!;
}
