/**
 * Policies → one BPF program.
 *
 * The program checks the architecture, then finds the call by a binary search over its number: nine comparisons at
 * most. Calls that are always allowed or refused end there; the others go through the conditions on their arguments.
 *
 * Several policies make one program, not several filters: each filter costs a run of its own at every call. They are
 * asked in order; the first that does not permit the call answers.
 *
 * @module
 */
import {
  assemble,
  BPF,
  type BpfNode,
  encodeProgram,
  MAX_INSTRUCTIONS,
  RET,
  retErrno,
  SECCOMP_DATA,
} from "./seccomp_bpf.ts";
import { TERMINAL_REQUESTS } from "./seccomp_default.ts";
import { type Condition, permits, type Policy, type Rule, strictness } from "./seccomp_policy.ts";
import { type Arch, SYSCALLS } from "./syscall_numbers.ts";

const EPERM = 1;
const ENOSYS = 38;

/** `AUDIT_ARCH_*` of ours, and of the 32-bit ABI that the same kernel may offer (linux/audit.h). */
const AUDIT_ARCH: Readonly<Record<Arch, { native: number; compat: number; compatIoctl: number }>> = {
  x86_64: { native: 0xc000003e, compat: 0x40000003, compatIoctl: 54 },
  aarch64: { native: 0xc00000b7, compat: 0x40000028, compatIoctl: 54 },
};

/** Set in the numbers of x32, which share x86_64's architecture (asm/unistd.h). */
const X32_BIT = 0x40000000;
/** ioctl of x32, and x86_64's own number, which some kernels take with the x32 bit. */
const X32_IOCTLS = [X32_BIT + 514, X32_BIT + 16];

/**
 * What is done with calls of another ABI, which would go around a policy made of our numbers.
 * `refuse` kills the process: its calls cannot be answered one by one. `guard-terminal` is for filters that restrict
 * nothing else: it looks at ioctl alone.
 */
export type ForeignAbi = "refuse" | "guard-terminal" | "allow";

/** What {@linkcode compilePolicies} makes. */
export interface CompileRequest {
  readonly arch: Arch;
  /** Asked in order. */
  readonly policies: readonly Policy[];
  readonly foreign: ForeignAbi;
}

/**
 * Compiles policies into the bytes of a program: `struct sock_filter[]`, 8 bytes each.
 * @throws {RangeError} When the rules need more instructions than the kernel takes.
 */
export function compilePolicies(request: CompileRequest): Uint8Array<ArrayBuffer> {
  return encodeProgram(assemble(planProgram(request)));
}

/** The program as a graph, before it is laid out. */
export function planProgram({ arch, policies, foreign }: CompileRequest): BpfNode {
  const audit = AUDIT_ARCH[arch];
  const answers = new Answers();
  const native = planNumbers(arch, policies, answers, foreign);
  return load(
    SECCOMP_DATA.arch,
    branch(BPF.EQ, audit.native, load(SECCOMP_DATA.nr, native), planCompat(audit, answers, foreign)),
  );
}

/** Answers are shared: each value is one node. */
class Answers {
  readonly #nodes = new Map<number, BpfNode>();

  get(value: number): BpfNode {
    let node = this.#nodes.get(value);
    if (node === undefined) {
      node = { kind: "return", value };
      this.#nodes.set(value, node);
    }
    return node;
  }
}

function load(offset: number, next: BpfNode): BpfNode {
  return { kind: "load", offset, next };
}

function branch(op: typeof BPF.EQ | typeof BPF.GT | typeof BPF.GE, value: number, yes: BpfNode, no: BpfNode): BpfNode {
  return yes === no ? yes : { kind: "branch", op, value, yes, no };
}

/** The terminal's guard for ABIs that have other numbers but the same requests. */
function terminalGuard(answers: Answers): BpfNode {
  const refused = answers.get(retErrno(EPERM));
  let node = answers.get(RET.ALLOW);
  for (const request of TERMINAL_REQUESTS) node = branch(BPF.EQ, Number(request), refused, node);
  return load(SECCOMP_DATA.args + 8, node);
}

function planCompat(audit: typeof AUDIT_ARCH[Arch], answers: Answers, foreign: ForeignAbi): BpfNode {
  if (foreign === "refuse") return answers.get(RET.KILL_PROCESS);
  if (foreign === "allow") return answers.get(RET.ALLOW);
  const guarded = branch(BPF.EQ, audit.compatIoctl, terminalGuard(answers), answers.get(RET.ALLOW));
  return branch(BPF.EQ, audit.compat, load(SECCOMP_DATA.nr, guarded), answers.get(RET.KILL_PROCESS));
}

function planNumbers(arch: Arch, policies: readonly Policy[], answers: Answers, foreign: ForeignAbi): BpfNode {
  const unknown = planUnknown(policies, answers);
  const layers = policies.map((policy) => indexPolicy(policy, arch));
  const byNumber = [...SYSCALLS[arch]].sort((left, right) => left[1] - right[1]);

  // stretches of numbers that lead to the same node: where each starts
  const starts: number[] = [];
  const nodes: BpfNode[] = [];
  const add = (start: number, node: BpfNode): void => {
    if (nodes.at(-1) === node) return;
    starts.push(start);
    nodes.push(node);
  };
  let next = 0;
  for (const [name, number] of byNumber) {
    if (number > next) add(next, unknown);
    add(number, planCall(layers, name, number, answers));
    next = number + 1;
  }
  add(next, unknown);
  if (arch === "x86_64") planX32(answers, foreign, add);
  return planSearch(starts, nodes, 0, starts.length);
}

function planX32(answers: Answers, foreign: ForeignAbi, add: (start: number, node: BpfNode) => void): void {
  // a kernel without x32 answers ENOSYS to such numbers
  add(X32_BIT, answers.get(foreign === "refuse" ? retErrno(ENOSYS) : RET.ALLOW));
  if (foreign !== "guard-terminal") return;
  const guard = terminalGuard(answers);
  for (const number of [...X32_IOCTLS].sort((left, right) => left - right)) {
    add(number, guard);
    add(number + 1, answers.get(RET.ALLOW));
  }
}

/** A tree of comparisons over the stretches [from, to). */
function planSearch(starts: readonly number[], nodes: readonly BpfNode[], from: number, to: number): BpfNode {
  if (to - from === 1) return nodes[from]!;
  const middle = (from + to) >> 1;
  return branch(
    BPF.GE,
    starts[middle]!,
    planSearch(starts, nodes, middle, to),
    planSearch(starts, nodes, from, middle),
  );
}

/** A policy with its rules by call, the most restrictive first. */
interface Layer {
  readonly policy: Policy;
  readonly rules: ReadonlyMap<string, readonly Rule[]>;
  readonly newest: number;
}

/** Before Linux 5.1 numbers tell nothing about age: each architecture had its own. */
const FIRST_COMMON_NUMBER = 424;

function indexPolicy(policy: Policy, arch: Arch): Layer {
  const rules = new Map<string, Rule[]>();
  let newest = FIRST_COMMON_NUMBER - 1;
  let conditions = 0;
  for (const rule of policy.rules) {
    const number = SYSCALLS[arch].get(rule.call);
    if (number === undefined) continue;
    newest = Math.max(newest, number);
    conditions += rule.conditions.length;
    const list = rules.get(rule.call);
    if (list === undefined) rules.set(rule.call, [rule]);
    else list.push(rule);
  }
  // each condition takes two instructions at least
  if (conditions * 2 > MAX_INSTRUCTIONS) {
    throw new RangeError(`The filter needs more than ${MAX_INSTRUCTIONS} instructions, which the kernel refuses`);
  }
  // sort() is stable: among equals the first stays first
  for (const list of rules.values()) list.sort((left, right) => strictness(left.action) - strictness(right.action));
  return { policy, rules, newest };
}

function planUnknown(policies: readonly Policy[], answers: Answers): BpfNode {
  let node = answers.get(RET.ALLOW);
  for (const policy of [...policies].reverse()) node = planAnswer(policy.unknownAction, node, answers);
  return node;
}

/** The node of an answer. One that permits leaves the word to the policies that follow. */
function planAnswer(action: number, following: BpfNode, answers: Answers): BpfNode {
  if (!permits(action)) return answers.get(action);
  if (following === answers.get(RET.ALLOW)) return answers.get(action);
  return following;
}

function planCall(layers: readonly Layer[], name: string, number: number, answers: Answers): BpfNode {
  let node = answers.get(RET.ALLOW);
  for (const layer of [...layers].reverse()) node = planLayer(layer, name, number, node, answers);
  return node;
}

function planLayer(layer: Layer, name: string, number: number, following: BpfNode, answers: Answers): BpfNode {
  const { policy } = layer;
  const rules = layer.rules.get(name);
  if (rules === undefined) {
    return planAnswer(number > layer.newest ? policy.unknownAction : policy.defaultAction, following, answers);
  }
  let node = planAnswer(policy.defaultAction, following, answers);
  for (const rule of [...rules].reverse()) {
    const answer = planAnswer(rule.action, following, answers);
    node = planConditions(rule.conditions, answer, node);
  }
  return node;
}

function planConditions(conditions: readonly Condition[], yes: BpfNode, no: BpfNode): BpfNode {
  let node = yes;
  for (const condition of [...conditions].reverse()) node = planCondition(condition, node, no);
  return node;
}

function planCondition(condition: Condition, yes: BpfNode, no: BpfNode): BpfNode {
  const { index, width, compare, value } = condition;
  const lowOffset = SECCOMP_DATA.args + index * 8;
  const highOffset = lowOffset + 4;
  const low = Number(value & 0xffff_ffffn);
  const high = Number(value >> 32n & 0xffff_ffffn);
  if (compare === "masked") {
    const mask = condition.mask ?? 0xffff_ffff_ffff_ffffn;
    const compared = planMasked(lowOffset, Number(mask & 0xffff_ffffn), low, yes, no);
    return width === 32 ? compared : planMasked(highOffset, Number(mask >> 32n & 0xffff_ffffn), high, compared, no);
  }
  switch (compare) {
    case "ne":
      return planEqual(lowOffset, low, width === 64 ? { offset: highOffset, value: high } : undefined, no, yes);
    case "eq":
      return planEqual(lowOffset, low, width === 64 ? { offset: highOffset, value: high } : undefined, yes, no);
    case "lt":
    case "ge": {
      const [above, below] = compare === "ge" ? [yes, no] : [no, yes];
      return planOrder(
        BPF.GE,
        lowOffset,
        low,
        width === 64 ? { offset: highOffset, value: high } : undefined,
        above,
        below,
      );
    }
    case "gt":
    case "le": {
      const [above, below] = compare === "gt" ? [yes, no] : [no, yes];
      return planOrder(
        BPF.GT,
        lowOffset,
        low,
        width === 64 ? { offset: highOffset, value: high } : undefined,
        above,
        below,
      );
    }
    default:
      throw new Error(`Unknown comparison ${compare satisfies never}`);
  }
}

interface HighWord {
  readonly offset: number;
  readonly value: number;
}

function planEqual(offset: number, low: number, high: HighWord | undefined, yes: BpfNode, no: BpfNode): BpfNode {
  const compared = loadOnce(offset, BPF.EQ, low, yes, no);
  return high === undefined ? compared : loadOnce(high.offset, BPF.EQ, high.value, compared, no);
}

function planOrder(
  op: typeof BPF.GT | typeof BPF.GE,
  offset: number,
  low: number,
  high: HighWord | undefined,
  above: BpfNode,
  below: BpfNode,
): BpfNode {
  const compared = loadOnce(offset, op, low, above, below);
  if (high === undefined) return compared;
  const equal = branch(BPF.EQ, high.value, compared, withoutLoad(below, high.offset));
  return load(high.offset, branch(BPF.GT, high.value, withoutLoad(above, high.offset), equal));
}

function planMasked(offset: number, mask: number, value: number, yes: BpfNode, no: BpfNode): BpfNode {
  if (mask === 0) return value === 0 ? yes : no;
  return load(offset, { kind: "and", mask, next: branch(BPF.EQ, value, yes, no) });
}

/** Loads a word and compares it; what follows and looks at the same word need not load it again. */
function loadOnce(
  offset: number,
  op: typeof BPF.EQ | typeof BPF.GT | typeof BPF.GE,
  value: number,
  yes: BpfNode,
  no: BpfNode,
): BpfNode {
  return load(offset, branch(op, value, withoutLoad(yes, offset), withoutLoad(no, offset)));
}

function withoutLoad(node: BpfNode, offset: number): BpfNode {
  return node.kind === "load" && node.offset === offset ? node.next : node;
}
