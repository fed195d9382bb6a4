/**
 * Runs a seccomp program as the kernel would, on made-up data. For tests: they compare what a compiled filter answers
 * with what its policy says.
 *
 * @module
 */
import { BPF, decodeProgram, MAX_INSTRUCTIONS, SECCOMP_DATA } from "./seccomp_bpf.ts";

/** `struct seccomp_data`. */
export interface CallData {
  /** AUDIT_ARCH_*. */
  arch: number;
  nr: number;
  args: readonly bigint[];
}

/** An answer, and how many instructions it took. */
export interface Answer {
  value: number;
  steps: number;
}

/**
 * Runs a program.
 * @throws {Error} When it does what the kernel's checker refuses: a jump out of the program, an unaligned load, no end.
 */
export function runProgram(program: Uint8Array, data: CallData): Answer {
  const memory = new DataView(new ArrayBuffer(SECCOMP_DATA.SIZE));
  memory.setUint32(SECCOMP_DATA.nr, data.nr, true);
  memory.setUint32(SECCOMP_DATA.arch, data.arch, true);
  data.args.forEach((arg, index) => memory.setBigUint64(SECCOMP_DATA.args + index * 8, BigInt.asUintN(64, arg), true));

  const instructions = decodeProgram(program);
  if (instructions.length === 0 || instructions.length > MAX_INSTRUCTIONS) throw new Error("Bad program length");
  let accumulator = 0;
  let at = 0;
  for (let steps = 1; steps <= MAX_INSTRUCTIONS; steps++) {
    const instruction = instructions[at];
    if (instruction === undefined) throw new Error(`No instruction at ${at}`);
    const { code, jt, jf, k } = instruction;
    at++;
    switch (code) {
      case BPF.LOAD:
        if (k % 4 !== 0 || k >= SECCOMP_DATA.SIZE) throw new Error(`Bad load from ${k}`);
        accumulator = memory.getUint32(k, true);
        break;
      case BPF.AND:
        accumulator = (accumulator & k) >>> 0;
        break;
      case BPF.JUMP:
        at += k;
        break;
      case BPF.EQ:
        at += accumulator === k ? jt : jf;
        break;
      case BPF.GT:
        at += accumulator > k ? jt : jf;
        break;
      case BPF.GE:
        at += accumulator >= k ? jt : jf;
        break;
      case BPF.RETURN:
        return { value: k, steps };
      default:
        throw new Error(`Unknown instruction ${code}`);
    }
  }
  throw new Error("The program does not end");
}
