import { test } from "node:test";
import assert from "node:assert/strict";
import { type KeyInput, planKey, planPlaces } from "./key.ts";

const INPUT: KeyInput = { words: ["--rm", "image", "true"] };

function withVariable(name: string, value: string | undefined, work: () => void): void {
  const before = process.env[name];
  const set = (to: string | undefined) => to === undefined ? delete process.env[name] : process.env[name] = to;
  set(value);
  try {
    work();
  } finally {
    set(before);
  }
}

test("the key is the same as long as nothing changes", () => {
  const key = planKey(INPUT, "/program");
  assert.match(key, /^[0-9a-f]{64}$/);
  assert.equal(planKey({ words: [...INPUT.words] }, "/program"), key);
});

test("the key changes with every part of what is asked for, and where", () => {
  const keys = [
    INPUT,
    { ...INPUT, words: ["--rm", "image", "false"] },
    { ...INPUT, words: ["--rm", "image true"] },
    { ...INPUT, words: [] },
    { ...INPUT, storageDriver: "overlay" },
    { ...INPUT, root: "/elsewhere" },
    { ...INPUT, run: "/elsewhere" },
  ].map((input) => planKey(input, "/program"));
  keys.push(planKey(INPUT, "/other"));
  for (const name of ["HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"]) {
    withVariable(name, "/elsewhere", () => keys.push(planKey(INPUT, "/program")));
  }
  assert.equal(new Set(keys).size, keys.length);
});

test("the key changes with a batch system's job around it", () => {
  let without = "";
  withVariable("SLURM_JOB_ID", undefined, () => without = planKey(INPUT, "/program"));
  withVariable("SLURM_JOB_ID", "17", () => assert.notEqual(planKey(INPUT, "/program"), without));
});

test("plans are looked for where the runtime directory may be, and nowhere else", () => {
  assert.deepEqual(planPlaces({ ...INPUT, run: "/mine" }), ["/mine"]);
  const uid = process.geteuid!();
  withVariable("XDG_RUNTIME_DIR", "relative", () => {
    assert.deepEqual(planPlaces(INPUT), [`/run/user/${uid}/dugout`, `/tmp/dugout-${uid}`]);
  });
});
