/**
 * The part of a container's tape that stays outside: it forks the container's first process, tells its pid, waits for
 * it, and writes how it ended.
 *
 * @module
 */
import { O_CLOEXEC, O_CREAT, O_TRUNC, O_WRONLY } from "#linux/file.ts";
import { SIG_BLOCK, SIG_SETMASK, SIGNALS } from "#linux/signals.ts";
import { WNOHANG } from "#linux/wait.ts";
import { type Arg, compute, operate, type Step, step } from "#tape/step.ts";
import { ENGINE_FAILED, EXIT_RECORD, type Relay, REPORT_FD, STATE_FD } from "./setup.ts";
import { endGroupSteps, forkStep, type GroupSetup } from "./group_steps.ts";
import { ERROR_FD } from "./map_ids.ts";
import { place } from "./mount_steps.ts";

// mmap(2)
const [PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS] = [1, 2, 2, 0x20];

/** No signal ends the monitor but SIGKILL: a batch system signals every process of a job. */
export function blockSignalsStep(): Step {
  return step("rt_sigprocmask", [SIG_BLOCK, new Uint8Array(8).fill(0xff), 0, 8], "block", "all signals");
}

/** The container's program starts with no signal blocked. */
export function unblockSignalsStep(): Step {
  return step("rt_sigprocmask", [SIG_SETMASK, new Uint8Array(8), 0, 8], "unblock", "all signals");
}

/** Forks copiers between descriptors, one each, that end with their source or their sink. */
export function relaySteps(relays: readonly Relay[]): Step[] {
  const steps: Step[] = [];
  relays.forEach(({ from, to }, index) => {
    const id = `relay ${index}`;
    steps.push(
      step("clone", [SIGNALS.CHLD, 0, 0, 0, 0], "fork", id, { id, jump: { when: "nonzero", to: `${id} runs` } }),
      ...closeAllBut([from, to]),
      // memory of its own: as a part of the tape it would be read and written with each start
      step("mmap", [0, RELAY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0], "get memory for", id, {
        id: `${id} memory`,
      }),
      // from here on nobody can be told of a failure: the stream ends
      place(`${id} loop`, "copy"),
      ...copyPieceSteps({ from, to }, id, { result: `${id} memory` }),
      operate("nop", [], "again", { jump: { when: "always", to: `${id} loop` } }),
      place(`${id} end`, "end of copying"),
      step("exit_group", [0], "end", id),
      place(`${id} runs`, "copier runs"),
      step("close", [from], "close", `descriptor ${from}`, { ignore: true }),
      step("close", [to], "close", `descriptor ${to}`, { ignore: true }),
    );
  });
  return steps;
}

/** Reads a piece and writes it; goes on at `<id> end` where there is none, or nobody to take it. @param memory {@linkcode RELAY_BYTES} of it. */
export function copyPieceSteps({ from, to }: Pick<Relay, "from" | "to">, id: string, memory: Arg): Step[] {
  const orEnd = { retry: true, jump: { when: "error", to: `${id} end` } } as const;
  return [
    step("read", [from, memory, RELAY_BYTES], "read from", `descriptor ${from}`, { id: `${id} read`, ...orEnd }),
    compute("add", { result: `${id} read` }, 0, "bytes read", {
      id: `${id} left`,
      jump: { when: "zero", to: `${id} end` },
    }),
    // writes to a pipe or a file of a user's disk may be short only when they fail: the next one tells
    step("write", [to, memory, { result: `${id} left` }], "write to", `descriptor ${to}`, orEnd),
  ];
}

/** Waits for copiers: of output until all has arrived, of input not at all (C-073, C-074). */
export function endRelaysSteps(relays: readonly Relay[]): Step[] {
  return relays.flatMap(({ output }, index) => {
    const id = `relay ${index}`;
    const wait = step("wait4", [{ result: id }, 0, 0, 0], "wait for", id, { retry: true, ignore: true });
    return output ? [wait] : [step("kill", [{ result: id }, SIGNALS.KILL], "end", id, { ignore: true }), wait];
  });
}

/**
 * Writes the wait status beside, then puts it in place. The container, and the directory with it, may be gone.
 * @param hasGroup Whether what `endGroupSteps` found stands behind it.
 */
export function exitRecordSteps(hasGroup = false): Step[] {
  const flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  return [
    step("openat", [STATE_FD, `${EXIT_RECORD}.new`, flags, 0o600], "make", "exit record", {
      id: "record",
      jump: { when: "error", to: "recorded" },
    }),
    ...(hasGroup ? [operate("load", [{ buffer: "record length" }, 0, 8], "its length", { id: "record length" })] : []),
    step("write", [{ result: "record" }, { buffer: "status" }, recordLength(hasGroup)], "write", "exit record", {
      ignore: true,
    }),
    step("close", [{ result: "record" }], "close", "exit record", { ignore: true }),
    step("renameat2", [STATE_FD, `${EXIT_RECORD}.new`, STATE_FD, EXIT_RECORD, 0], "put in place", "exit record", {
      ignore: true,
    }),
    place("recorded", "end is recorded"),
  ];
}

/** How much of the buffer "status" is the record. Needs the step "record length" where there is a group. */
export function recordLength(hasGroup: boolean): Arg {
  return hasGroup ? { result: "record length" } : 4;
}

/** Where a tape goes on whose extras cannot end the container's affairs. */
export const LEFT = "left";

/** How much a copier takes at once. */
export const RELAY_BYTES = 65536;

/** Closes all descriptors but those. The error pipe, which has a low number, goes last, so that failures can be told. */
export function closeAllBut(keep: readonly number[]): Step[] {
  const steps: Step[] = [];
  let from = 0;
  for (const fd of [...keep].sort((a, b) => a - b)) {
    if (fd > from) steps.push(step("close_range", [from, fd - 1, 0], "close", `descriptors ${from} to ${fd - 1}`));
    from = fd + 1;
  }
  steps.push(step("close_range", [from, 0xffffffff, 0], "close", `descriptors from ${from} on`));
  return steps.reverse();
}

/** Forks the container's first process, perhaps into its control group; `child` is the id to go on at in it. */
export function forkSteps(child: string, inGroup = false): Step[] {
  return [
    forkStep(inGroup, 0, "the container's first process", {
      id: "init",
      jump: { when: "zero", to: child },
      hints: {
        EAGAIN: "the limit of processes is reached (ulimit -u)",
        ENOMEM: "the limit of pid namespaces is reached",
      },
    }),
  ];
}

/**
 * Tells the pid, waits, and records the end. What is written to the container's streams has arrived by then (C-073);
 * what is still to be read from the caller has nobody to read it (C-074).
 *
 * Nothing fails here: the container runs already, and failures are its own.
 */
export function waitSteps(
  relays: readonly Relay[],
  cleanUp: readonly Step[],
  group?: GroupSetup,
  extras?: { readonly atEnd: readonly Step[]; readonly afterEnd: readonly Step[] },
  errorFd = ERROR_FD,
): Step[] {
  return [
    // the streams are the container's alone, so that they end with it; copiers would wait for ever
    step("close_range", [0, 2, 0], "close", "the streams", { jump: { when: "error", to: "lost" } }),
    step("close", [errorFd], "close", "the error pipe", { ignore: true }),
    operate("store", [{ buffer: "pid" }, { result: "init" }, 4], "note the pid"),
    step("write", [REPORT_FD, { buffer: "pid" }, 4], "tell", "the pid", { jump: { when: "error", to: "lost" } }),
    step("wait4", [{ result: "init" }, { buffer: "status" }, 0, 0], "wait for", "the container", {
      retry: true,
      jump: { when: "error", to: "lost" },
    }),
    ...endRelaysSteps(relays),
    ...cleanUp,
    ...(group === undefined ? [] : endGroupSteps(group)),
    ...(extras === undefined ? [] : [
      ...extras.atEnd,
      step("write", [REPORT_FD, { buffer: "status" }, 4], "tell", "the end", { ignore: true }),
      ...extras.afterEnd,
      step("exit_group", [0], "end", "the monitor"),
      place(LEFT, "more is left"),
    ]),
    ...exitRecordSteps(group !== undefined),
    step("write", [REPORT_FD, { buffer: "status" }, 4], "tell", "the end", { ignore: true }),
    step("exit_group", [0], "end", "the monitor"),
  ];
}

/** Nobody has heard of the container, or its end cannot be known. */
export function lostSteps(): Step[] {
  return [
    place("lost", "the container is lost"),
    step("kill", [{ result: "init" }, SIGNALS.KILL], "end", "the container", { ignore: true }),
    step("exit_group", [ENGINE_FAILED], "end", "the monitor"),
  ];
}

/** The steps of `--init`: process 1 forks the program, passes signals on, and reaps (`child` goes on in the program). */
export function reaperSteps(child: string): Step[] {
  const all = new Uint8Array(8).fill(0xff);
  return [
    blockSignalsStep(),
    step("clone", [SIGNALS.CHLD, 0, 0, 0, 0], "fork", "the program", {
      id: "program",
      jump: { when: "zero", to: child },
    }),
    step("close_range", [0, 0xffffffff, 0], "close", "all descriptors"),
    place("reaper", "wait for a signal"),
    step("rt_sigtimedwait", [all, 0, 0, 8], "wait for", "a signal", { id: "signal", retry: true, ignore: true }),
    compute("eq", { result: "signal" }, SIGNALS.CHLD, "is it SIGCHLD", {
      jump: { when: "nonzero", to: "reap" },
    }),
    step("kill", [{ result: "program" }, { result: "signal" }], "pass on", "the signal", { ignore: true }),
    operate("nop", [], "again", { jump: { when: "always", to: "reaper" } }),
    place("reap", "reap"),
    step("wait4", [-1, { buffer: "reaped" }, WNOHANG, 0], "reap", "any child", {
      id: "reaped pid",
      jump: { when: "zero", to: "reaper" },
      ignore: true,
    }),
    compute("eq", { result: "reaped pid" }, { result: "program" }, "was it the program", { id: "was program" }),
    compute("eq", { result: "was program" }, 0, "another one", { jump: { when: "nonzero", to: "reap" } }),
    operate("load", [{ buffer: "reaped" }, 0, 4], "its wait status", { id: "program status" }),
    compute("and", { result: "program status" }, 0x7f, "its signal", { id: "program signal" }),
    compute("eq", { result: "program signal" }, 0, "was there none", { jump: { when: "nonzero", to: "exited" } }),
    compute("add", { result: "program signal" }, 128, "128 and the signal", { id: "signal code" }),
    step("exit_group", [{ result: "signal code" }], "end as", "the program"),
    place("exited", "it exited"),
    compute("shr", { result: "program status" }, 8, "its exit code", { id: "exit code" }),
    step("exit_group", [{ result: "exit code" }], "end as", "the program"),
  ];
}
