/**
 * Requests of rtnetlink(7) as steps of a tape: JavaScript never enters a network namespace, so the player asks there.
 *
 * @module
 */
import { NETLINK_ROUTE, NLMSGERR } from "#linux/netlink.ts";
import { AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW } from "#linux/socket.ts";
import { type Arg, compute, mark, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";

/** An answer holds the request's header, and may hold all of it. */
const ANSWER_BYTES = 4096;

/** The buffers that {@linkcode requestSteps} needs. */
export const NETLINK_BUFFERS: readonly (readonly [string, TapeBuffer])[] = [["netlink answer", {
  sizeBytes: ANSWER_BYTES,
}]];

/** A conversation with the kernel about the network namespace that the process is in then. */
export class Netlink {
  private readonly id: string;
  private requests = 0;

  /** @param id Told apart from other conversations of the same tape. */
  constructor(id: string) {
    this.id = id;
  }

  open(): Step[] {
    return [
      step(
        "socket",
        [AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE],
        "open",
        "a socket to the network's settings",
        { id: this.id },
      ),
    ];
  }

  /**
   * Asks, waits for the answer, and fails with its error.
   * @param bytes The request; or the name of a buffer that holds it, and how long it is.
   */
  request(
    bytes: Uint8Array | { readonly buffer: string; readonly sizeBytes: number },
    label: string,
    object: string,
    options: RequestOptions = {},
  ): Step[] {
    const id = `${this.id} ${++this.requests}`;
    const [data, size]: [Arg, number] = bytes instanceof Uint8Array
      ? [bytes, bytes.length]
      : [{ buffer: bytes.buffer }, bytes.sizeBytes];
    const { tolerate = [], hints = {} } = options;
    const socket = { result: this.id };
    const error = { result: `${id} error` };
    return [
      step("sendto", [socket, data, size, 0, 0, 0], label, object, { retry: true, hints }),
      step(
        "recvfrom",
        [socket, { buffer: "netlink answer" }, ANSWER_BYTES, 0, 0, 0],
        "wait for the answer:",
        `${label} ${object}`,
        { retry: true },
      ),
      operate("load", [{ buffer: "netlink answer", offset: NLMSGERR.error }, 0, 4], "its error", {
        id: `${id} answer`,
      }),
      // from a negative number of 32 bits
      compute("sub", 0, { result: `${id} answer` }, "made positive", { id: `${id} negated` }),
      compute("and", { result: `${id} negated` }, 0xffffffff, "as 32 bits", {
        id: `${id} error`,
        jump: { when: "zero", to: `${id} done` },
      }),
      ...tolerate.map((errno) =>
        compute("eq", error, errno, `is it error ${errno}, which is none`, {
          jump: { when: "nonzero", to: `${id} done` },
        })
      ),
      operate("fail", [error], label, { object, hints }),
      mark(`${id} done`, "done"),
    ];
  }

  close(): Step[] {
    return [step("close", [{ result: this.id }], "close", "the socket")];
  }
}

/** Of {@linkcode Netlink.request}. */
export interface RequestOptions {
  /** Errors that are none, by their numbers. */
  readonly tolerate?: readonly number[];
  readonly hints?: Readonly<Record<string, string>>;
}
