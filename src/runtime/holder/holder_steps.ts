/**
 * From a process that has made a user namespace to its holder: the end of such a process's tape.
 *
 * @module
 */
import { AT_EMPTY_PATH } from "#linux/file.ts";
import { PR_SET_NAME } from "#linux/prctl.ts";
import { STATX } from "#linux/stat.ts";
import { compute, jumpTo, mark, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";
import { GO_FD } from "../map_ids.ts";
import { closeAllBut, unblockSignalsStep } from "../monitor_steps.ts";
import { RECORD_FD } from "./record_fd.ts";

/** What `ps` shows. */
export const HOLDER_NAME = "dugout-holder";

/** How often it looks whether it was used. */
const LOOK_SECONDS = 600;
const STATX_BASIC_STATS = 0x7ff;
const LOCK_EX_NB = 2 | 4;

/** The buffers of {@linkcode holdSteps} besides `go`. @param lookSeconds The least time between two looks. */
export function holdBuffers(lookSeconds: number = LOOK_SECONDS): (readonly [string, TapeBuffer])[] {
  return [
    ["record stat", { sizeBytes: STATX.SIZE }],
    ["last use", { sizeBytes: 16 }],
    ["look time", { sizeBytes: 16, bytes: Uint8Array.of(lookSeconds & 0xff, lookSeconds >> 8) }],
  ];
}

/**
 * Holds what the process has until {@linkcode GO_FD} says what next: its end, that nobody needs it any more; a byte, that it is
 * the holder. Then it stays until nobody has touched its record between two looks at it, or another one is in its place; not
 * as long as somebody has a lock of it. Any signal ends it.
 */
export function holdSteps(): Step[] {
  const touched = (field: "seconds" | "nanoseconds", offset: number, saved: number, size: number): Step[] => [
    operate("load", [{ buffer: "record stat", offset }, 0, size], `when it was used, ${field}`, {
      id: `used ${field}`,
    }),
    operate("load", [{ buffer: "last use", offset: saved }, 0, size], "and the time before", { id: `seen ${field}` }),
    compute("eq", { result: `used ${field}` }, { result: `seen ${field}` }, "are they the same", {
      jump: { when: "zero", to: "holder is used" },
    }),
  ];
  return [
    step("read", [GO_FD, { buffer: "go" }, 1], "hold the user namespace until", "it is joined", {
      retry: true,
      jump: { when: "nonzero", to: "holder stays" },
    }),
    step("exit_group", [0], "leave", ""),

    mark("holder stays", "others may join it"),
    // nothing of whoever started it
    ...closeAllBut([RECORD_FD]),
    step("chdir", ["/"], "enter", "/"),
    step("prctl", [PR_SET_NAME, HOLDER_NAME, 0, 0, 0], "be called", HOLDER_NAME, { ignore: true }),
    unblockSignalsStep(),

    mark("holder looks", "look at the record"),
    step(
      "statx",
      [RECORD_FD, "", AT_EMPTY_PATH, STATX_BASIC_STATS, { buffer: "record stat" }],
      "look at",
      "the record",
      {
        jump: { when: "error", to: "holder leaves" },
      },
    ),
    operate("load", [{ buffer: "record stat", offset: STATX.links }, 0, 4], "is it there", {
      jump: { when: "zero", to: "holder leaves" },
    }),
    ...touched("seconds", STATX.mtimeSeconds, 0, 8),
    ...touched("nanoseconds", STATX.mtimeNanoseconds, 8, 4),
    step("flock", [RECORD_FD, LOCK_EX_NB], "does nobody hold", "the record", {
      jump: { when: "error", to: "holder is used" },
    }),
    mark("holder leaves", "nobody needs it"),
    step("exit_group", [0], "leave", ""),

    mark("holder is used", "somebody needs it"),
    operate("store", [{ buffer: "last use" }, { result: "used seconds" }, 8], "note when"),
    operate("load", [{ buffer: "record stat", offset: STATX.mtimeNanoseconds }, 0, 4], "to the nanosecond", {
      id: "used exactly",
    }),
    operate("store", [{ buffer: "last use", offset: 8 }, { result: "used exactly" }, 4], "note it"),
    // of no signal: ppoll would count its time down in place
    step("rt_sigtimedwait", [new Uint8Array(8), 0, { buffer: "look time" }, 8], "wait for", "some minutes", {
      ignore: true,
    }),
    jumpTo("holder looks", "again"),
  ];
}
