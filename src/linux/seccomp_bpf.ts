/**
 * Classic BPF as seccomp takes it: a program as a graph of nodes, and the assembler that lays it out.
 *
 * The graph is what the compiler thinks in: a node loads a word, masks it, branches on it, or returns. The assembler
 * writes the nodes from the last to the first, so that every jump's distance is known when it is written, and goes
 * around the one limit of the format: a conditional jump reaches 255 instructions ahead and no further.
 *
 * Loads of the number and the architecture, and unsigned comparisons, are all that stands on the way to most answers:
 * since Linux 5.11 the kernel recognizes calls that such a program always allows, and does not run it for them.
 *
 * @module
 */

/** Offsets in `struct seccomp_data` (linux/seccomp.h). Arguments are 64-bit, little-endian: low word first. */
export const SECCOMP_DATA = { nr: 0, arch: 4, instructionPointer: 8, args: 16, SIZE: 64 } as const;

/** Operation codes (linux/bpf_common.h): the few that we need. */
export const BPF = {
  LOAD: 0x20, // BPF_LD | BPF_W | BPF_ABS
  AND: 0x54, // BPF_ALU | BPF_AND | BPF_K
  JUMP: 0x05, // BPF_JMP | BPF_JA
  EQ: 0x15, // BPF_JMP | BPF_JEQ | BPF_K
  GT: 0x25, // BPF_JMP | BPF_JGT | BPF_K
  GE: 0x35, // BPF_JMP | BPF_JGE | BPF_K
  RETURN: 0x06, // BPF_RET | BPF_K
} as const;

/** What a filter may answer (linux/seccomp.h). The lower the value, signed, the more restrictive. */
export const RET = {
  KILL_PROCESS: 0x80000000,
  KILL_THREAD: 0x00000000,
  TRAP: 0x00030000,
  ERRNO: 0x00050000,
  TRACE: 0x7ff00000,
  LOG: 0x7ffc0000,
  ALLOW: 0x7fff0000,
} as const;

/** The part of an answer that is the action; the rest is its data. */
export const RET_ACTION = 0xffff0000;

/** The kernel refuses longer programs (BPF_MAXINSNS). */
export const MAX_INSTRUCTIONS = 4096;

/** An answer that makes the call fail with an error number; 0 makes it seem to succeed. */
export function retErrno(errno: number): number {
  return RET.ERRNO | errno;
}

/** One step of a program. Nodes may be shared: they are laid out once. */
export type BpfNode =
  | { readonly kind: "return"; readonly value: number }
  | { readonly kind: "load"; readonly offset: number; readonly next: BpfNode }
  | { readonly kind: "and"; readonly mask: number; readonly next: BpfNode }
  | {
    readonly kind: "branch";
    readonly op: typeof BPF.EQ | typeof BPF.GT | typeof BPF.GE;
    readonly value: number;
    readonly yes: BpfNode;
    readonly no: BpfNode;
  };

/** `struct sock_filter` (linux/filter.h). */
export interface BpfInstruction {
  code: number;
  jt: number;
  jf: number;
  k: number;
}

/**
 * Lays a graph out as a program.
 * @returns The instructions in the order in which they stand.
 * @throws {RangeError} When there are more than {@linkcode MAX_INSTRUCTIONS}.
 */
export function assemble(root: BpfNode): BpfInstruction[] {
  // index 0 is the program's end; a node's position counts from there
  const reversed: BpfInstruction[] = [];
  const positions = new Map<BpfNode, number>();

  function append(instruction: BpfInstruction): number {
    if (reversed.length === MAX_INSTRUCTIONS) {
      throw new RangeError(`The filter needs more than ${MAX_INSTRUCTIONS} instructions, which the kernel refuses`);
    }
    return reversed.push(instruction) - 1;
  }

  /** How many instructions lie between the next one to be written and the node's place. */
  function distance(node: BpfNode): number {
    const position = positions.get(node);
    if (position === undefined) throw new Error("Assertion: a jump to a node that has no place yet");
    return reversed.length - 1 - position;
  }

  /** Brings a node into reach of an instruction that will be written `ahead` places from here. */
  function bringNear(node: BpfNode, ahead: number): void {
    if (distance(node) + ahead <= 255) return;
    // a second copy of an answer costs what a jump to the first would
    const near: BpfInstruction = node.kind === "return"
      ? { code: BPF.RETURN, jt: 0, jf: 0, k: node.value }
      : { code: BPF.JUMP, jt: 0, jf: 0, k: distance(node) };
    positions.set(node, append(near));
  }

  function place(node: BpfNode): void {
    switch (node.kind) {
      case "return":
        positions.set(node, append({ code: BPF.RETURN, jt: 0, jf: 0, k: node.value }));
        return;
      case "load":
      case "and": {
        const far = distance(node.next);
        if (far !== 0) append({ code: BPF.JUMP, jt: 0, jf: 0, k: far });
        const code = node.kind === "load" ? BPF.LOAD : BPF.AND;
        const k = node.kind === "load" ? node.offset : node.mask;
        positions.set(node, append({ code, jt: 0, jf: 0, k }));
        return;
      }
      case "branch":
        bringNear(node.yes, 1);
        bringNear(node.no, 0);
        positions.set(
          node,
          append({ code: node.op, jt: distance(node.yes), jf: distance(node.no), k: node.value }),
        );
        return;
      default:
        throw new Error(`Unknown node ${node satisfies never}`);
    }
  }

  for (const node of inPostOrder(root)) place(node);
  const entry = distance(root);
  if (entry !== 0) append({ code: BPF.JUMP, jt: 0, jf: 0, k: entry });
  return reversed.reverse();
}

/** Every node once, after all that it leads to. Without recursion: a chain of conditions may be thousands deep. */
function inPostOrder(root: BpfNode): BpfNode[] {
  const order: BpfNode[] = [];
  const seen = new Set<BpfNode>();
  const stack: { node: BpfNode; leaving: boolean }[] = [{ node: root, leaving: false }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    if (top.leaving) {
      order.push(top.node);
      continue;
    }
    if (seen.has(top.node)) continue;
    seen.add(top.node);
    stack.push({ node: top.node, leaving: true });
    for (const next of successors(top.node)) stack.push({ node: next, leaving: false });
  }
  return order;
}

function successors(node: BpfNode): readonly BpfNode[] {
  switch (node.kind) {
    case "return":
      return [];
    case "load":
    case "and":
      return [node.next];
    default:
      // the last one pushed is laid out first, and so furthest away: let "no" be the near one
      return [node.no, node.yes];
  }
}

/** The bytes of a program: an array of `struct sock_filter`, 8 bytes each, little-endian. */
export function encodeProgram(instructions: readonly BpfInstruction[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(instructions.length * 8);
  const view = new DataView(bytes.buffer);
  instructions.forEach(({ code, jt, jf, k }, index) => {
    const at = index * 8;
    view.setUint16(at, code, true);
    view.setUint8(at + 2, jt);
    view.setUint8(at + 3, jf);
    view.setUint32(at + 4, k, true);
  });
  return bytes;
}

/** The instructions of a program's bytes: the inverse of {@linkcode encodeProgram}. */
export function decodeProgram(bytes: Uint8Array): BpfInstruction[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const instructions: BpfInstruction[] = [];
  for (let at = 0; at + 8 <= bytes.byteLength; at += 8) {
    instructions.push({
      code: view.getUint16(at, true),
      jt: view.getUint8(at + 2),
      jf: view.getUint8(at + 3),
      k: view.getUint32(at + 4, true),
    });
  }
  return instructions;
}
