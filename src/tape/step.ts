/**
 * A tape before it is encoded: plain data, one step a system call. Plans make it, the printer shows it, the encoder
 * turns it into bytes.
 *
 * @module
 */
import type { AluName, JumpWhen, Operation } from "./layout.ts";
import { ALU } from "./layout.ts";

/** An argument of a step. */
export type Arg =
  | number
  | bigint
  /** A string; its address is passed, with a NUL behind it. */
  | string
  /** Bytes; their address is passed. The call only reads them: what it writes goes into a buffer of the tape. */
  | Uint8Array
  /** The result of the step of that id, which stands earlier. */
  | { readonly result: string }
  /** The address of the named buffer of the tape. */
  | { readonly buffer: string; readonly offset?: number }
  /** The address of a NULL-terminated array of strings: argv, envp. */
  | { readonly strings: readonly (string | Uint8Array)[] }
  /** The address of a struct of 64-bit words: iovec, sock_fprog, msghdr. */
  | { readonly struct: readonly Arg[] };

/** One record of the tape. */
export interface Step {
  /** A system call's name, or an operation of the player's own. */
  readonly call: string;
  readonly args: readonly Arg[];
  /** What is done, for messages: `mount overlay at`. */
  readonly label: string;
  /** On what: `/proc`. */
  readonly object?: string;
  /** A name by which other steps refer to its result, or jump to it. */
  readonly id?: string;
  /** `only`: the number of the error that a jump on an error is for; any other one is a failure. */
  readonly jump?: { readonly when: Exclude<JumpWhen, "never">; readonly to: string; readonly only?: number };
  /** Whether an error is no failure. */
  readonly ignore?: boolean;
  /** Whether EINTR repeats the call. */
  readonly retry?: boolean;
  /** What an error here means and what to do, by the error's name; `*` for any. */
  readonly hints?: Readonly<Record<string, string>>;
}

/** Memory that steps write to. */
export interface TapeBuffer {
  readonly sizeBytes: number;
  /** What it holds at the start; zeros if absent. */
  readonly bytes?: Uint8Array;
}

/** A whole tape. */
export interface Tape {
  readonly steps: readonly Step[];
  readonly buffers: ReadonlyMap<string, TapeBuffer>;
  /** The descriptor that gets a failure: {@linkcode FAILURE}. */
  readonly errorFd: number;
}

/** Options of a step besides its call, arguments and label. */
export type StepOptions = Omit<Step, "call" | "args" | "label">;

/** A step that makes a system call. */
export function step(call: string, args: readonly Arg[], label: string, object = "", options: StepOptions = {}): Step {
  return { call, args, label, ...(object === "" ? {} : { object }), ...options };
}

/** A step of the player's own: see {@linkcode Operation}. */
export function operate(operation: Operation, args: readonly Arg[], label: string, options: StepOptions = {}): Step {
  return { call: operation, args, label, ...options };
}

/** `left (operation) right`; its result is never an error. */
export function compute(operation: AluName, left: Arg, right: Arg, label: string, options: StepOptions = {}): Step {
  return operate("alu", [left, right, ALU.indexOf(operation)], label, options);
}

/** A place to jump to. */
export function mark(id: string, label: string): Step {
  return operate("nop", [], label, { id });
}

/** Goes on at the step of that id. */
export function jumpTo(id: string, label: string): Step {
  return operate("nop", [], label, { jump: { when: "always", to: id } });
}
