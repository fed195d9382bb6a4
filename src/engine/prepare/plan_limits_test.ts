import assert from "node:assert/strict";
import test from "node:test";
import { newLimits } from "#docker/limits.ts";
import { type LimitsRequest, newRunRequest, type RunRequest } from "#docker/run_request.ts";
import { isLimited } from "./limits.ts";
import { type LimitFacts, planLimits, resourcesOf } from "./plan_limits.ts";

const USER: LimitFacts = {
  group: {
    kind: "v2",
    uid: 1000,
    own: "/user.slice/user-1000.slice/session-3.scope",
    ownWritable: false,
    ownDelegated: false,
    ownControllers: [],
    bus: { socket: "/run/user/1000/bus" },
    managerControllers: ["cpu", "memory", "pids"],
    batch: undefined,
    isUnit: false,
    nsdelegate: true,
  },
  kernel: [6, 18],
  allowedCpus: [0, 1],
  onlineCpus: [0, 1, 2, 3],
  lingers: true,
  deviceOf: (path) => path === "/dev/sda" ? { major: 8, minor: 0 } : undefined,
};
const HYBRID: LimitFacts = { ...USER, group: { ...USER.group, kind: "hybrid" } };

function request(limits: Partial<LimitsRequest>, more: Partial<RunRequest> = {}): RunRequest {
  return { ...newRunRequest("image"), ...more, limits: { ...newLimits(), ...limits } };
}

test("limits become resources of the runtime specification", () => {
  const none = () => undefined;
  assert.deepEqual(resourcesOf(newLimits(), none), {});
  assert.deepEqual(resourcesOf({ ...newLimits(), memoryBytes: 64, nanoCpus: 5e8, pidsLimit: 32 }, none), {
    memory: { limit: 64, swap: 128 },
    cpu: { quota: 50_000, period: 100_000 },
    pids: { limit: 32 },
  });
  const rate = { ...newLimits(), deviceWriteBps: [{ path: "/dev/sda", amount: 1000 }] };
  assert.deepEqual(
    resourcesOf(rate, USER.deviceOf).blockIO?.throttleWriteBpsDevice?.map(({ major, minor, rate }) => [
      major,
      minor,
      rate,
    ]),
    [[8, 0, 1000]],
  );
  assert.throws(() => resourcesOf(rate, none), { code: "LIMIT_DEVICE" });
});

test("a container with a limit, or one that outlives its caller, gets a group of its own; others stay where they are", () => {
  assert.equal(planLimits(request({ memoryBytes: 64 << 20 }), false, USER).group?.settings.length, 2);
  assert.deepEqual(planLimits(request({}), true, USER).group?.settings, []);
  assert.equal(planLimits(request({}), false, USER).group, undefined);
  assert.equal(isLimited(newLimits()), false);
  assert.equal(isLimited({ ...newLimits(), mode: "best-effort" }), false);
  assert.equal(isLimited({ ...newLimits(), deviceReadBps: [{ path: "/dev/sda", amount: 1 }] }), true);
});

test("C-064 a limit whose controller is missing is an error with the drop-in, or a warning where that was said", () => {
  const limits = { memoryBytes: 64 << 20, deviceReadBps: [{ path: "/dev/sda", amount: 1 }] };
  assert.throws(() => planLimits(request(limits), false, USER), (error: Error & { hint?: string }) => {
    assert.match(error.message, /Cannot limit disks by rate: the controller "io" is not delegated/);
    assert.match(error.hint ?? "", /Delegate=cpu cpuset io memory pids.*user@\.service\.d.*best-effort/s);
    return true;
  });
  const { group, notices } = planLimits(request({ ...limits, mode: "best-effort" }), false, USER);
  assert.deepEqual(group?.settings.map(({ file }) => file), ["memory.max", "memory.swap.max"]);
  assert.match(notices.join("\n"), /disks by rate.*runs without this limit/);
  assert.throws(() => planLimits(request({ nanoCpus: 1e9 }), false, HYBRID), /processor time: .*hybrid/);
});

test("C-064 before Linux 6.4 the processors of a group are told to the scheduler as well", () => {
  const group = { ...USER.group, managerControllers: ["cpuset"] };
  const affinityUnder = (kernel: readonly [number, number]) =>
    planLimits(request({ cpusetCpus: "1" }), false, { ...USER, group, kernel }).affinity;
  assert.deepEqual([affinityUnder([5, 10]), affinityUnder([6, 3]), affinityUnder([6, 4])], [[1], [1], undefined]);
});

test("C-064 without a controller processors are kept by affinity, and many processes by the largest pid", () => {
  const { affinity, notices } = planLimits(request({ cpusetCpus: "1" }), false, HYBRID);
  assert.deepEqual(affinity, [1]);
  assert.match(notices.join("\n"), /affinity/);
  assert.throws(
    () => planLimits(request({ cpusetCpus: "3" }), false, HYBRID),
    /not available - requested 3, available: 0,1/,
  );
  assert.throws(() => planLimits(request({ cpusetCpus: "9" }), false, USER), /requested 9, available: 0,1,2,3/);
  assert.deepEqual([...planLimits(request({ pidsLimit: 500 }), false, HYBRID).sysctls], [["kernel.pid_max", "501"]]);
  for (
    const [limit, facts, more] of [
      [100, HYBRID, {}],
      [500, { ...HYBRID, kernel: [6, 13] as const }, {}],
      [500, HYBRID, { pid: { kind: "host" as const } }],
    ] as const
  ) {
    assert.throws(() => planLimits(request({ pidsLimit: limit }, more), false, facts), /Cannot limit processes/);
  }
});

test("a user who does not linger is told that a detached container ends with the login", () => {
  const facts = { ...USER, lingers: false };
  assert.match(planLimits(request({}), true, facts).notices.join(), /ends when you log out.*enable-linger/);
  assert.deepEqual(planLimits(request({ pidsLimit: 9 }), false, facts).notices, []);
  assert.deepEqual(planLimits(request({}), true, HYBRID).notices, []);
});

test("A-040 a parent must fit the place", () => {
  assert.equal(planLimits(request({ cgroupParent: "work.slice" }), false, USER).group?.parent, "work.slice");
  assert.throws(() => planLimits(request({ cgroupParent: "a/b" }), false, USER), /takes a slice/);
  assert.throws(() => planLimits(request({ cgroupParent: "a/b" }), false, HYBRID), /--cgroup-parent.*hybrid/);
});
