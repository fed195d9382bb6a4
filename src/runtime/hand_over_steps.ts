/**
 * From the tape that sets a container up to the one of its monitor: the process stays, its descriptors get the numbers that
 * they keep, and the player is executed once more.
 *
 * @module
 */
import { AT_EMPTY_PATH, F_SETFD, FD_CLOEXEC, O_CLOEXEC, O_NOCTTY, O_RDWR } from "#linux/file.ts";
import { TIOCGPTPEER } from "#linux/ioctl.ts";
import { CMSGHDR, MSG_CMSG_CLOEXEC } from "#linux/socket.ts";
import { TAPE_FD } from "#tape/layout.ts";
import { compute, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";
import {
  CONSOLE_PEER_FD,
  CONTAINER_FD,
  COPIER_FD,
  FIRST_PROCESS_FD,
  INPUT_FD,
  LAST_WORK_FD,
  LOG_FD,
  MONITOR_TAPE_FD,
  NETWORK_FD,
  PLAYER_FD,
  SLAVE_FD,
  STDERR_FD,
  STDOUT_FD,
} from "./monitor_fds.ts";
import { GROUP_FD } from "./group_steps.ts";
import { closeAllBut } from "./monitor_steps.ts";
import { CONSOLE_FD, type Relay, REPORT_FD, STATE_FD } from "./setup.ts";
import { ERROR_FD } from "./map_ids.ts";

/** What `ps` shows of the monitor. */
export const MONITOR_NAME = "dugout-monitor";

/** A control message with one descriptor. */
const CONTROL_BYTES = CMSGHDR.SIZE + 8;
/** What stands where a descriptor would be. */
const NOTHING = 0xffffffff;

/** The buffers of {@linkcode handOverSteps}. */
export function handOverBuffers(terminal: boolean): [string, TapeBuffer][] {
  return terminal
    ? [["console byte", { sizeBytes: 8 }], ["received", {
      sizeBytes: CONTROL_BYTES,
      bytes: new Uint8Array(CONTROL_BYTES).fill(0xff),
    }]]
    : [];
}

/** Goes on at `lost` where something fails: the container runs already. */
export function handOverSteps(terminal: boolean, relays: readonly Relay[], hasGroup: boolean): Step[] {
  const orElse = { jump: { when: "error", to: "lost" } } as const;
  const openProcess = (process: string, fd: number): Step[] => [
    step("pidfd_open", [{ result: process }, 0], "refer to", process, { id: `${process} pidfd`, ...orElse }),
    step("dup3", [{ result: `${process} pidfd` }, fd, 0], "keep", `pidfd of ${process}`, orElse),
  ];
  return [
    step("close_range", [0, 2, 0], "close", "the streams", orElse),
    ...(terminal ? receiveTerminalSteps() : []),
    ...openProcess("init", FIRST_PROCESS_FD),
    ...relays.flatMap((_, index) => openProcess(`relay ${index}`, COPIER_FD)),
    operate("store", [{ buffer: "pid" }, { result: "init" }, 4], "note the pid"),
    step("write", [REPORT_FD, { buffer: "pid" }, 4], "tell", "the pid", orElse),
    ...closeAllBut([
      ERROR_FD,
      REPORT_FD,
      STATE_FD,
      CONTAINER_FD,
      LOG_FD,
      STDOUT_FD,
      STDERR_FD,
      INPUT_FD,
      SLAVE_FD,
      FIRST_PROCESS_FD,
      COPIER_FD,
      PLAYER_FD,
      MONITOR_TAPE_FD,
      LAST_WORK_FD,
      ...(hasGroup ? [GROUP_FD] : []),
      NETWORK_FD,
    ]),
    // the monitor tells of it at the end
    ...(hasGroup ? [step("fcntl", [GROUP_FD, F_SETFD, 0], "keep open over exec", "the control group", orElse)] : []),
    // its end tells that the monitor is there
    step("fcntl", [ERROR_FD, F_SETFD, FD_CLOEXEC], "close on exec", "the error pipe", orElse),
    step("fcntl", [PLAYER_FD, F_SETFD, FD_CLOEXEC], "close on exec", "the player", orElse),
    step("dup3", [MONITOR_TAPE_FD, TAPE_FD, 0], "hand over", "the monitor's tape", orElse),
    step("close", [MONITOR_TAPE_FD], "close", "the monitor's tape", { ignore: true }),
    step(
      "execveat",
      [PLAYER_FD, "", { strings: [MONITOR_NAME] }, { strings: [] }, AT_EMPTY_PATH],
      "become",
      "the monitor",
      orElse,
    ),
  ];
}

/** The terminal that the first process has opened in its own devpts. */
function receiveTerminalSteps(): Step[] {
  const orElse = { jump: { when: "error", to: "lost" } } as const;
  return [
    // the other end is the first process's alone, so that its end is seen
    step("close", [CONSOLE_FD], "close", "the end of the first process", { ignore: true }),
    step(
      "recvmsg",
      [CONSOLE_PEER_FD, {
        struct: [0, 0, { struct: [{ buffer: "console byte" }, 1] }, 1, { buffer: "received" }, CONTROL_BYTES, 0],
      }, MSG_CMSG_CLOEXEC],
      "receive",
      "terminal master",
      { id: "terminal came", retry: true, ...orElse },
    ),
    operate("load", [{ buffer: "received", offset: CMSGHDR.SIZE }, 0, 4], "which descriptor it is", {
      id: "received master",
    }),
    // nothing came: the first process has told its failure
    compute("eq", { result: "received master" }, NOTHING, "was there none", { jump: { when: "nonzero", to: "lost" } }),
    step("dup3", [{ result: "received master" }, INPUT_FD, 0], "keep", "terminal master", orElse),
    step("ioctl", [INPUT_FD, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC], "open", "terminal slave", {
      id: "kept slave",
      ...orElse,
    }),
    step("dup3", [{ result: "kept slave" }, SLAVE_FD, 0], "keep", "terminal slave", orElse),
  ];
}
