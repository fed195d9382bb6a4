import assert from "node:assert/strict";
import test from "node:test";
import {
  parseCpuList,
  parseFlatKeyed,
  parseLimit,
  parseNestedKeyed,
  parsePressure,
  parseProcessGroup,
} from "./cgroup.ts";

test("numbers by name are read, and what is not so is passed over", () => {
  const events = parseFlatKeyed("low 0\nmax 12\noom_kill 1\nbad\nx y\nlong 123456789012345678901\n");
  assert.deepEqual([...events], [["low", 0], ["max", 12], ["oom_kill", 1]]);
});

test("numbers of devices are read by device", () => {
  const stat = parseNestedKeyed("254:0 rbytes=4096 wbytes=0 rios=1\nnone\n8:0 rbytes=1 junk=x\n");
  assert.equal(stat.get("254:0")?.get("rbytes"), 4096);
  assert.deepEqual([...stat.get("8:0") ?? []], [["rbytes", 1]]);
});

test("max is no limit", () => {
  assert.equal(parseLimit("max\n"), undefined);
  assert.equal(parseLimit("1048576\n"), 1048576);
  assert.equal(parseLimit(undefined), undefined);
});

test("pressure has averages and a sum", () => {
  const { some, full } = parsePressure("some avg10=1.50 avg60=0.20 avg300=0.00 total=12345\nfull avg10=0.00 bad\n");
  assert.deepEqual(some, { average10: 1.5, average60: 0.2, average300: 0, totalMicroseconds: 12345 });
  assert.equal(full, undefined);
});

test("lists of processors are numbers and ranges", () => {
  assert.deepEqual(parseCpuList("0-2,7\n"), [0, 1, 2, 7]);
  assert.deepEqual(parseCpuList("3,1,1"), [1, 3]);
  assert.deepEqual(parseCpuList(""), []);
  for (const bad of ["x", "1-", "3-1", "0-99999", "-1", "1,,2", "0x1"]) assert.equal(parseCpuList(bad), undefined, bad);
});

test("the group of a process is that of the unified tree, and none outside of our namespace", () => {
  assert.equal(parseProcessGroup("0::/user.slice/a.scope\n"), "/user.slice/a.scope");
  assert.equal(parseProcessGroup("5:memory:/x\n0::/\n"), "/");
  assert.equal(parseProcessGroup("0::/gone (deleted)\n"), "/gone");
  assert.equal(parseProcessGroup("0::/../other\n"), undefined);
  assert.equal(parseProcessGroup("5:memory:/x\n"), undefined);
});
