import { test } from "node:test";
import assert from "node:assert/strict";
import { encodeTape } from "#tape/encode.ts";
import { printTape } from "#tape/print.ts";
import { findUnsetResults } from "#tape/unset.ts";
import { expectGolden } from "../../tests/support/golden.ts";
import { planExec } from "./exec_container.ts";
import { type ExecSetup, TARGET_FD } from "./exec_setup.ts";

const SETUP: ExecSetup = {
  process: {
    args: ["/bin/sh", "-c", "echo hi"],
    cwd: "/srv",
    env: ["PATH=/bin", "TOKEN=s3cret"],
    user: { uid: 33, gid: 33, umask: 0o022, additionalGids: [33] },
    capabilities: { bounding: ["CAP_CHOWN"], permitted: [], effective: [] },
    rlimits: [{ type: "RLIMIT_NOFILE", soft: 1024n, hard: 4096n }],
    noNewPrivileges: true,
    oomScoreAdj: 100,
  },
  map: {
    uid: [{ inside: 0, outside: 1000, count: 1 }, { inside: 1, outside: 100000, count: 65536 }],
    gid: [{ inside: 0, outside: 1000, count: 1 }, { inside: 1, outside: 100000, count: 65536 }],
  },
  host: { mountSetattr: true, landlockAbi: 6, lastCapability: 2 },
  filter: { program: new Uint8Array([6, 0, 0, 0, 0, 0, 255, 127]), flags: 4 },
  filterHidesKeys: true,
  keepGroups: false,
  namespaces: ["user", "mount", "pid", "ipc", "uts", "network", "cgroup"],
  stdio: { kind: "inherit", relays: [{ from: 10, to: 11, output: false }, { from: 12, to: 13, output: true }] },
  keepsRecord: false,
};

const SETUPS: Readonly<Record<string, ExecSetup>> = {
  "copied streams": SETUP,
  "a terminal": { ...SETUP, stdio: { kind: "terminal", rows: 42, columns: 173 } },
  "detached, with the host's pids and network": {
    ...SETUP,
    namespaces: ["user", "mount"],
    stdio: { kind: "inherit", relays: [] },
    keepsRecord: true,
  },
};

const GOLDEN = { "copied streams": "exec.txt", "a terminal": "exec-terminal.txt" };

for (const [name, file] of Object.entries(GOLDEN)) {
  test(`the tape of a process that enters a container (${name}) is the one that was reviewed`, () => {
    expectGolden(`tapes/${file}`, printTape(planExec(SETUPS[name]!)).join("\n"));
  });
}

for (const [name, setup] of Object.entries(SETUPS)) {
  test(`a tape that enters a container (${name}) can be encoded, and uses no result that it does not have`, () => {
    const tape = planExec(setup);
    for (const arch of ["x86_64", "aarch64"] as const) encodeTape(tape, arch);
    assert.deepEqual(findUnsetResults(tape), []);
  });

  test(`A-023 A-024 nothing of ours is open to a container (${name}) when it is joined, or left when its directory is entered`, () => {
    const { steps } = planExec(setup);
    const first = (call: string, argument?: unknown) =>
      steps.findIndex((step) => step.call === call && (argument === undefined || step.args[0] === argument));
    const closed = steps.findIndex(({ call, label }) => call === "prctl" && label === "be closed to");
    assert.ok(closed >= 0 && closed < first("setns"));
    assert.ok(first("setns", TARGET_FD) < first("clone") || setup.stdio.kind === "inherit");
    const above = steps.findIndex(({ call, args }) =>
      call === "close_range" && args[1] === 0xffffffff && args[0] === 5
    );
    assert.ok(above >= 0 && above < first("chdir"));
  });
}

test("of namespaces only those are joined that are not the host's", () => {
  const { steps } = planExec(SETUPS["detached, with the host's pids and network"]!);
  const [CLONE_NEWUSER, CLONE_NEWNS] = [0x10000000, 0x20000];
  assert.deepEqual(steps.filter(({ call }) => call === "setns").map(({ args }) => args[1]), [
    CLONE_NEWUSER,
    CLONE_NEWNS,
  ]);
});
