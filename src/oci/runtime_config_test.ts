import assert from "node:assert/strict";
import { test } from "node:test";
import { DugoutError } from "./error.ts";
import { parseProcess, parseRuntimeConfig } from "./runtime_config.ts";

const GOOD = {
  ociVersion: "1.0.2-dev",
  process: { cwd: "/", args: ["sh"], user: { uid: 0, gid: 0 }, rlimits: [] as unknown[] },
  root: { path: "rootfs" },
  linux: { namespaces: [{ type: "mount" }] },
};
const encode = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const parse = (value: unknown) => parseRuntimeConfig(encode(value), "config.json");

test("a configuration is read, null is absent, and what the specification does not name is passed over", () => {
  const spec = parse({ ...GOOD, hooks: null, mounts: null, windows: { odd: true }, "org.other": 1 });
  assert.deepEqual(spec.process?.args, ["sh"]);
  assert.equal(spec.mounts, undefined);
  assert.equal("windows" in spec, false);
});

test("A-007 64-bit numbers keep their last bit", () => {
  const text = JSON.stringify({ ...GOOD, process: { ...GOOD.process, rlimits: ["HERE"] } })
    .replace('"HERE"', '{"type":"RLIMIT_NOFILE","soft":9007199254740993,"hard":18446744073709551615}');
  const [limit] = parse(text).process!.rlimits!;
  assert.deepEqual([limit!.soft, limit!.hard], [9007199254740993n, 18446744073709551615n]);
  assert.throws(() => parse(text.replace("18446744073709551615", "18446744073709551616")), { code: "CONFIG_INVALID" });
  assert.throws(() => parse(text.replace("18446744073709551615", "1.5")), { code: "CONFIG_INVALID" });
});

test("podman's names for propagation are the specification's", () => {
  for (const [given, read] of [["rslave", "slave"], ["shared", "shared"], ["runbindable", "unbindable"], ["", ""]]) {
    assert.equal(parse({ ...GOOD, linux: { ...GOOD.linux, rootfsPropagation: given } }).linux?.rootfsPropagation, read);
  }
});

test("A-087 an annotation called __proto__ is one like any other", () => {
  const spec = parse(JSON.stringify({ ...GOOD, annotations: {} }).replace("{}", '{"__proto__":"x","constructor":"y"}'));
  assert.deepEqual([...spec.annotations!], [["__proto__", "x"], ["constructor", "y"]]);
});

test("what does not fit is refused with the field's name", () => {
  for (
    const [change, field] of [
      [{ process: { ...GOOD.process, cwd: "relative" } }, /process\.cwd/],
      [{ process: { ...GOOD.process, args: "sh" } }, /process\.args/],
      [{ process: { ...GOOD.process, user: { uid: -1, gid: 0 } } }, /process\.user\.uid/],
      [{ process: { ...GOOD.process, env: ["A=\0"] } }, /process\.env/],
      [{ linux: { namespaces: [{ type: "odd" }] } }, /linux\.namespaces/],
      [{ linux: { uidMappings: [{ containerID: 0, hostID: 0, size: 0 }] } }, /linux\.uidMappings/],
      [{ hooks: { prestart: [{ path: "relative" }] } }, /hooks\.prestart/],
      [{ mounts: [{ destination: "relative" }] }, /mounts\.0\.destination/],
      [{ vm: {} }, /vm/],
      [{ ociVersion: "2.0.0" }, /ociVersion/],
    ] as const
  ) {
    assert.throws(
      () => parse({ ...GOOD, ...change }),
      (error) => error instanceof DugoutError && field.test(error.message),
    );
  }
});

test("A-020 whatever the bytes, a configuration is read or refused by an error of ours", () => {
  const bytes = encode(GOOD);
  let seed = 20261125;
  const random = (limit: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % limit;
  for (let round = 0; round < 2000; round++) {
    const changed = bytes.slice(0, random(5) === 0 ? random(bytes.length) : bytes.length);
    for (let count = random(4); count >= 0 && changed.length > 0; count--) {
      changed[random(changed.length)] = random(256);
    }
    for (const read of [parseRuntimeConfig, parseProcess]) {
      try {
        read(changed, "fuzz");
      } catch (error) {
        assert.ok(error instanceof DugoutError, `${error} (seed 20261125, round ${round})`);
      }
    }
  }
});
