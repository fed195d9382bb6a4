/**
 * Copiers of the streams of a process that enters a container. They end with the program, not with the stream: what it has
 * left running in the container may hold the stream for ever, and all that it wrote itself is in the pipe by then.
 *
 * @module
 */
import { O_CLOEXEC } from "#linux/file.ts";
import { POLLFD, POLLIN } from "#linux/poll.ts";
import { SIGNALS } from "#linux/signals.ts";
import { packStruct } from "#tape/pack.ts";
import { jumpTo, mark, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";
import { ENDED_FD, NOT_ENDED_FD } from "./exec_setup.ts";
import { closeAllBut, copyPieceSteps, endRelaysSteps, RELAY_BYTES } from "./monitor_steps.ts";
import type { Relay } from "./setup.ts";

/** The buffers that the steps here need. */
export function copierBuffers(relays: readonly Relay[]): (readonly [string, TapeBuffer])[] {
  if (relays.length === 0) return [];
  return [
    ["relay", { sizeBytes: RELAY_BYTES }],
    ["end pipe", { sizeBytes: 8 }],
    ...relays.map(({ from }, index) => {
      const bytes = new Uint8Array(2 * POLLFD.SIZE);
      bytes.set(packStruct("pollfd", { fd: from, events: POLLIN }));
      bytes.set(packStruct("pollfd", { fd: ENDED_FD, events: POLLIN }), POLLFD.SIZE);
      return [`polled ${index}`, { sizeBytes: bytes.length, bytes }] as const;
    }),
  ];
}

/** A pipe that ends with the program: nobody but the waiter holds its writing end. */
export function endPipeSteps(relays: readonly Relay[]): Step[] {
  if (relays.length === 0) return [];
  const moved = (offset: number, to: number, name: string): Step[] => [
    operate("load", [{ buffer: "end pipe", offset }, 0, 4], `its ${name} end`, { id: `${name} end` }),
    step("dup3", [{ result: `${name} end` }, to, O_CLOEXEC], "number", `its ${name} end`),
    step("close", [{ result: `${name} end` }], "close", `its ${name} end`),
  ];
  return [
    step("pipe2", [{ buffer: "end pipe" }, O_CLOEXEC], "make", "a pipe that ends with the program"),
    ...moved(0, ENDED_FD, "reading"),
    ...moved(4, NOT_ENDED_FD, "writing"),
  ];
}

/** Forks a copier for each relay. */
export function copierSteps(relays: readonly Relay[]): Step[] {
  return relays.flatMap(({ from, to }, index) => {
    const id = `relay ${index}`;
    const polled = `polled ${index}`;
    const orEnd = { jump: { when: "error", to: `${id} end` } } as const;
    return [
      step("clone", [SIGNALS.CHLD, 0, 0, 0, 0], "fork", id, { id, jump: { when: "nonzero", to: `${id} runs` } }),
      ...closeAllBut([from, to, ENDED_FD]),
      // from here on nobody can be told of a failure: the stream ends
      mark(`${id} loop`, "copy"),
      step("ppoll", [{ buffer: polled }, 2, 0, 0, 8], "wait for", "a piece, or the end", { retry: true, ...orEnd }),
      operate("load", [{ buffer: polled, offset: POLLFD.revents }, 0, 2], "is there anything", {
        id: `${id} events`,
        jump: { when: "zero", to: `${id} end` },
      }),
      ...copyPieceSteps({ from, to }, id, { buffer: "relay" }),
      jumpTo(`${id} loop`, "again"),
      mark(`${id} end`, "end of copying"),
      step("exit_group", [0], "end", id),
      mark(`${id} runs`, "copier runs"),
      step("close", [from], "close", `descriptor ${from}`, { ignore: true }),
      step("close", [to], "close", `descriptor ${to}`, { ignore: true }),
    ];
  });
}

/** Ends the copiers: of output when all has arrived that the program wrote, of input at once (C-073, C-074). */
export function endCopiersSteps(relays: readonly Relay[]): Step[] {
  if (relays.length === 0) return [];
  return [
    step("close", [NOT_ENDED_FD], "tell", "the end of the program", { ignore: true }),
    ...endRelaysSteps(relays),
  ];
}
