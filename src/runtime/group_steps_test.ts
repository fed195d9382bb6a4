import assert from "node:assert/strict";
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { test } from "node:test";
import { HOST_ARCH } from "#linux/arch.ts";
import { AT_FDCWD, close, O_RDONLY, O_RDWR, openAt } from "#linux/file.ts";
import { encodeTape } from "#tape/encode.ts";
import { injectFailure } from "#tape/inject.ts";
import { failureError } from "#tape/play.ts";
import { operate, type Step, step, type Tape } from "#tape/step.ts";
import { endGroupSteps, forkStep, GROUP_BUFFERS, joinGroupSteps } from "./group_steps.ts";
import { exitCodeOf, launchContainer, type Running } from "./launch_container.ts";
import { ERROR_FD } from "./map_ids.ts";
import { exitRecordSteps } from "./monitor_steps.ts";
import { place } from "./mount_steps.ts";
import { REPORT_FD } from "./setup.ts";

/** A tree of version 2 in which root can make groups; it need not have controllers. */
const TREE = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) => existsSync(`${path}/cgroup.procs`));

/** A monitor, and a container that ends with 7. */
function groupTape(removes: string | undefined): Tape {
  const steps: Step[] = [
    ...joinGroupSteps(),
    forkStep(true, 0, "the container's first process", { id: "init", jump: { when: "zero", to: "container" } }),
    operate("store", [{ buffer: "pid" }, { result: "init" }, 4], "note the pid"),
    step("close", [ERROR_FD], "close", "the error pipe"),
    step("write", [REPORT_FD, { buffer: "pid" }, 4], "tell", "the pid"),
    step("wait4", [{ result: "init" }, { buffer: "status" }, 0, 0], "wait for", "the container", { retry: true }),
    ...endGroupSteps({ removes }),
    ...exitRecordSteps(true),
    step("write", [REPORT_FD, { buffer: "status" }, 4], "tell", "the end"),
    step("exit_group", [0], "end", "the monitor"),
    place("container", "the container"),
    step("exit_group", [7], "end", "the container"),
  ];
  const buffers = new Map([...GROUP_BUFFERS, ["pid", { sizeBytes: 8 }] as const]);
  return { steps, buffers, errorFd: ERROR_FD };
}

function launch(tape: Tape, joinGroup: () => string): Running {
  const none = openAt(AT_FDCWD, "/dev/null", O_RDWR);
  const state = openAt(AT_FDCWD, "/tmp", O_RDONLY);
  return launchContainer({
    tape: { bytes: encodeTape(tape, HOST_ARCH), errorFd: tape.errorFd },
    map: undefined,
    describeFailure: (failure) => failureError(tape, failure),
  }, {
    stdio: [none, none, none],
    others: [],
    state: undefined,
    joinGroup,
    release() {
      close(none);
      close(state);
    },
  });
}

test("why a control group could not be made is told, and nothing is left that waits for it", () => {
  const reason = new Error("no");
  assert.throws(() =>
    launch(groupTape(undefined), () => {
      throw reason;
    }), (error) => error === reason);
});

test("a directory that is no control group is an error of the step that opens it, or that forks into it", () => {
  assert.throws(() => launch(groupTape(undefined), () => "/no/such/group"), { call: "open", code: "ENOENT" });
  assert.throws(() => launch(groupTape(undefined), () => "/tmp"), (error: Error & { call?: string }) => {
    assert.equal(error.call, "fork into the control group");
    return true;
  });
});

const skip = TREE === undefined || process.getuid!() !== 0 ? "needs root and control groups of version 2" : false;

test("A-045 each step in front of the container that fails ends the start", { skip }, () => {
  const group = `${TREE}/dugout-test-${process.pid}`;
  mkdirSync(group);
  try {
    const tape = groupTape(undefined);
    const fork = tape.steps.findIndex(({ call }) => call === "clone3");
    for (let index = 0; index <= fork; index++) {
      if (["nop", "exit_group"].includes(tape.steps[index]!.call)) continue;
      assert.throws(() => launch(injectFailure(tape, index, 1), () => group), `step ${index}`);
    }
  } finally {
    rmdirSync(group);
  }
});

test("a process is born in its group, and the group goes when it has ended", { skip }, async () => {
  const name = `dugout-test-${process.pid}-end`;
  const group = `${TREE}/${name}`;
  mkdirSync(group);

  const running = launch(groupTape(name), () => group);
  assert.equal(exitCodeOf((await running.wait())!), 7);
  if (running.pidfd !== undefined) close(running.pidfd);
  assert.equal(existsSync(group), false);
});
