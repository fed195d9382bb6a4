/**
 * Tapes as text: what `--explain` and the trace show, and what the golden tests compare. One line a step:
 *
 *     fork                        $fork = clone(SIGCHLD, NULL, NULL, NULL, NULL)  → child on 0
 *     wait for the child          wait4($fork, &status, 0, NULL)  EINTR repeats
 *     child:
 *       mount proc at /proc       mount("proc", "/proc", "proc", MS_NOSUID|MS_NOEXEC, NULL)
 *
 * `$fork` is the result of a step, `&status` the address of a buffer, `child:` a place that is jumped to. What a forked
 * child does is indented.
 *
 * @module
 */
import { errnoName } from "#linux/errno.ts";
import { branchDepths } from "./branches.ts";
import { kindsOf } from "./calls.ts";
import {
  isPlace,
  numberOf,
  printArg,
  printArgs,
  type PrintContext,
  printContext,
  type PrintOptions,
  printPlace,
  printReference,
} from "./format.ts";
import { ALU, type AluName, type JumpWhen } from "./layout.ts";
import { escapeControls } from "./quote.ts";
import type { Arg, Step, Tape } from "./step.ts";

export type { PrintOptions } from "./format.ts";

/** Beyond this, a label does not push the others' calls to the right. */
const MOST_COLUMNS = 56;

/**
 * Prints a tape, one line a step. Nothing in it can control a terminal (A-051), and values of environment variables
 * are left out unless they are asked for.
 */
export function printTape(tape: Tape, options: PrintOptions = {}): string[] {
  const context = printContext(tape, options);
  const { results, targets } = references(tape);
  const depths = branchDepths(tape.steps);
  const rows = tape.steps.map((step, index) => {
    const id = step.id !== undefined && results.has(step.id) ? `${printReference(step.id)} = ` : "";
    const place = step.id !== undefined && targets.has(step.id) ? `${escapeControls(step.id)}: ` : "";
    const label = place.slice(0, -2) === escapeControls(step.label) ? "" : labelOf(step);
    const call = step.call === "nop" ? "" : `${id}${printCall(step, context)}`;
    return {
      label: `${"  ".repeat(depths[index]!)}${place}${label}`.trimEnd(),
      call: [call, ...notesOf(step)].filter((part) => part !== "").join("  "),
    };
  });
  const widths = rows.map(({ label, call }) => (call === "" ? 0 : countCharacters(label)));
  const width = widths.reduce((most, next) => (next <= MOST_COLUMNS ? Math.max(most, next) : most), 0);
  return rows.map(({ label, call }, index) => {
    if (call === "") return label;
    return `${label}${" ".repeat(Math.max(0, width - widths[index]!))}  ${call}`;
  });
}

/** A tape as plain data, for `--explain --format json`: escapes of JSON are left to whoever prints it. */
export interface TapeDescription {
  readonly steps: readonly StepDescription[];
  readonly buffers: readonly { readonly name: string; readonly sizeBytes: number }[];
}

/** A step as plain data. What is false or empty is absent. */
export interface StepDescription {
  readonly index: number;
  readonly label: string;
  readonly object?: string;
  readonly id?: string;
  /** The system call, or an operation of the player's own: store, load, alu, fail, nop, same, decimal. */
  readonly call: string;
  /** As {@linkcode printTape} prints them. */
  readonly arguments: readonly string[];
  /** How many forks deep the process is that plays it. */
  readonly depth: number;
  /** `only`: the name of the error that the jump is for. */
  readonly jump?: { readonly when: JumpWhen; readonly to: string; readonly only?: string };
  readonly ignoresErrors?: boolean;
  readonly repeatsOnInterrupt?: boolean;
  /** What an error means and what to do, by its name. */
  readonly hints?: Readonly<Record<string, string>>;
}

/** Describes a tape as plain data. */
export function describeTape(tape: Tape, options: PrintOptions = {}): TapeDescription {
  const context = printContext(tape, options);
  const depths = branchDepths(tape.steps);
  return {
    steps: tape.steps.map((step, index) => ({
      index,
      label: step.label,
      ...(step.object === undefined ? {} : { object: step.object }),
      ...(step.id === undefined ? {} : { id: step.id }),
      call: step.call,
      arguments: printArgs(step, kindsOfStep(step), context),
      depth: depths[index]!,
      ...(step.jump === undefined ? {} : { jump: describeJump(step.jump) }),
      ...(step.ignore ? { ignoresErrors: true } : {}),
      ...(step.retry ? { repeatsOnInterrupt: true } : {}),
      ...(step.hints === undefined ? {} : { hints: step.hints }),
    })),
    buffers: [...tape.buffers].map(([name, { sizeBytes }]) => ({ name, sizeBytes })),
  };
}

function describeJump({ when, to, only }: NonNullable<Step["jump"]>): NonNullable<StepDescription["jump"]> {
  return { when, to, ...(only === undefined ? {} : { only: errnoName(only) }) };
}

/** The steps whose results are used, and those that are jumped to, by id. */
function references(tape: Tape): { results: Set<string>; targets: Set<string> } {
  const results = new Set<string>();
  const targets = new Set<string>();
  for (const step of tape.steps) {
    if (step.jump !== undefined) targets.add(step.jump.to);
    for (const arg of step.args) {
      if (typeof arg === "object" && "result" in arg) results.add(arg.result);
    }
  }
  return { results, targets };
}

function labelOf(step: Step): string {
  const object = step.object === undefined ? "" : ` ${step.object}`;
  return cut(escapeControls(step.label + object), 120);
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${[...text].slice(0, most).join("")}…`;
}

function countCharacters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function kindsOfStep(step: Step) {
  return kindsOf(step.call, (index) => numberOf(step.args[index]));
}

function printCall(step: Step, context: PrintContext): string {
  switch (step.call) {
    case "alu":
      return printCompute(step, context);
    case "load":
      return `${printPlaceOf(step.args[0], step.args[2], context)}`;
    case "store":
      return `${printPlaceOf(step.args[0], step.args[2], context)} = ${printPlainArg(step.args[1], context)}`;
    case "same":
      return `${printPlaceOf(step.args[0], step.args[2], context)} is the same as at ${
        printPlainArg(step.args[1], context)
      }`;
    case "decimal":
      return `${printPlaceOf(step.args[0], step.args[2], context)} = ${printPlainArg(step.args[1], context)} in digits`;
    default:
      return `${escapeControls(step.call)}(${printArgs(step, kindsOfStep(step), context).join(", ")})`;
  }
}

const SIGNS: Readonly<Record<AluName, string>> = {
  add: "+",
  sub: "-",
  and: "&",
  or: "|",
  shr: ">>",
  eq: "==",
  less: "<",
};

function printCompute(step: Step, context: PrintContext): string {
  const [left, right, operation] = step.args;
  const name = ALU[Number(numberOf(operation) ?? -1n)];
  const sign = name === undefined ? "?" : SIGNS[name];
  const number = numberOf(right);
  // results that are compared with small negative numbers are errors
  const isError = name === "eq" && number !== undefined && number < 0n && number >= -133n;
  const printed = isError ? `-${errnoName(Number(-number))}` : printPlainArg(right, context);
  return `${printPlainArg(left, context)} ${sign} ${printed}`;
}

/** Memory that the player itself reads or writes: `u32 at &status`. */
function printPlaceOf(place: Arg | undefined, size: Arg | undefined, context: PrintContext): string {
  const bytes = numberOf(size);
  const address = isPlace(place) ? printPlace(place.buffer, place.offset ?? 0) : printPlainArg(place, context);
  const isWord = bytes !== undefined && [1n, 2n, 4n, 8n].includes(bytes);
  return isWord ? `u${bytes * 8n} at ${address}` : `${bytes ?? "?"} bytes at ${address}`;
}

function printPlainArg(arg: Arg | undefined, context: PrintContext): string {
  if (arg === undefined) return "0";
  return printArg(arg, undefined, () => undefined, context);
}

const JUMP_WORDS: Readonly<Record<Exclude<JumpWhen, "never">, string>> = {
  zero: " on 0",
  nonzero: " unless 0",
  error: " on error",
  always: "",
};

function notesOf(step: Step): string[] {
  const notes: string[] = [];
  if (step.jump !== undefined) {
    const { when, to, only } = step.jump;
    notes.push(`→ ${escapeControls(to)}${only === undefined ? JUMP_WORDS[when] : ` on ${errnoName(only)}`}`);
  }
  if (step.ignore) notes.push("errors ignored");
  if (step.retry) notes.push("EINTR repeats");
  return notes;
}
