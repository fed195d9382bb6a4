import type { Arch } from "#linux/syscall_numbers.ts";
import { syscallNumber } from "#linux/syscall_numbers.ts";
import { BASE, FIRST_OPERATION, FLAG, HEADER, JUMPS, MAGIC, OPERATIONS, RECORD } from "./layout.ts";
import type { Arg, Step, Tape } from "./step.ts";

/** The most that a tape may hold; execve(2) takes 2 MiB of arguments by default, 6 MiB at most. */
const MOST_BYTES = 64 << 20;
const MOST_STEPS = 100_000;

/** The tape under construction: bytes that grow, and a position. */
interface Heap {
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView;
  used: number;
}

/** Where things are that arguments refer to. */
interface Places {
  steps: ReadonlyMap<string, number>;
  buffers: ReadonlyMap<string, { at: number; sizeBytes: number }>;
  /** Strings that are in the heap already. */
  texts: Map<string, number>;
  /** The same of byte arrays and arrays of strings, by identity: a search along PATH gives one environment to every execve. */
  constants: Map<object, number>;
}

const encoder = new TextEncoder();

/**
 * Encodes a tape for the player: see `layout.ts`.
 * @throws {RangeError} When it is too large, refers to a step or buffer that it does not have, or to a result that
 * does not exist yet: mistakes of ours, except that too many arguments may make it too large.
 */
export function encodeTape(tape: Tape, arch: Arch): Uint8Array<ArrayBuffer> {
  const count = tape.steps.length;
  if (count > MOST_STEPS) throw new RangeError(`Tape has ${count} steps, at most ${MOST_STEPS} are possible`);
  const heap = makeHeap(HEADER.SIZE + count * RECORD.SIZE);
  heap.used = HEADER.SIZE + count * RECORD.SIZE;

  const buffers = new Map<string, { at: number; sizeBytes: number }>();
  for (const [name, { sizeBytes, bytes }] of tape.buffers) {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
      throw new RangeError(`Size of buffer "${name}" must be a whole number of bytes, got ${sizeBytes}`);
    }
    if (bytes !== undefined && bytes.length > sizeBytes) {
      throw new RangeError(`Buffer "${name}" of ${sizeBytes} bytes cannot hold ${bytes.length}`);
    }
    const at = reserve(heap, sizeBytes);
    if (bytes !== undefined) heap.bytes.set(bytes, at);
    buffers.set(name, { at, sizeBytes });
  }
  const steps = new Map<string, number>();
  tape.steps.forEach(({ id }, index) => {
    if (id === undefined) return;
    if (steps.has(id)) throw new RangeError(`Tape has two steps called "${id}"`);
    steps.set(id, index);
  });

  const places: Places = { steps, buffers, texts: new Map(), constants: new Map() };
  tape.steps.forEach((step, index) => writeRecord(heap, step, index, places, arch));

  const { view } = heap;
  view.setUint32(HEADER.magic, MAGIC, true);
  view.setUint32(HEADER.count, count, true);
  if (!Number.isSafeInteger(tape.errorFd) || tape.errorFd < 0 || tape.errorFd > 0x7fffffff) {
    throw new RangeError(`Error descriptor must be a number from 0 on, got ${tape.errorFd}`);
  }
  view.setUint32(HEADER.errorFd, tape.errorFd, true);
  view.setBigUint64(HEADER.size, BigInt(heap.used), true);
  return heap.bytes.subarray(0, heap.used);
}

function writeRecord(heap: Heap, step: Step, index: number, places: Places, arch: Arch): void {
  const at = HEADER.SIZE + index * RECORD.SIZE;
  const operation = (OPERATIONS as readonly string[]).indexOf(step.call);
  const nr = operation >= 0 ? FIRST_OPERATION + operation : syscallNumber(arch, step.call);
  if (step.args.length > 6) throw new RangeError(`Step "${step.label}" has ${step.args.length} arguments, at most 6`);

  let flags = (step.ignore ? FLAG.ignore : 0) | (step.retry ? FLAG.retry : 0);
  step.args.forEach((arg, k) => {
    let word: number | bigint;
    if (typeof arg === "object" && "result" in arg) {
      word = stepIndex(places, arg.result);
      if (word >= index) {
        throw new RangeError(`Step "${step.label}" uses the result of "${arg.result}" before it is there`);
      }
      flags |= 1 << k;
    } else {
      word = wordOf(heap, arg, places);
    }
    // after wordOf: the heap may have grown, and its view with it
    setWord(heap.view, at + RECORD.arg + k * 8, word);
  });
  if (step.jump !== undefined) {
    flags |= JUMPS.indexOf(step.jump.when) << FLAG.jumpShift;
    heap.view.setUint32(at + RECORD.jump, stepIndex(places, step.jump.to), true);
    if (step.jump.only !== undefined) heap.view.setUint32(at + RECORD.only, onlyErrno(step.jump), true);
  }
  heap.view.setUint32(at + RECORD.nr, nr, true);
  heap.view.setUint32(at + RECORD.flags, flags, true);
}

function onlyErrno({ when, only }: NonNullable<Step["jump"]>): number {
  if (when !== "error" || only === undefined || !Number.isInteger(only) || only < 1 || only > 4095) {
    throw new RangeError(`Tape cannot jump on "${when}" for error ${only} only`);
  }
  return only;
}

function stepIndex(places: Places, id: string): number {
  const index = places.steps.get(id);
  if (index === undefined) throw new RangeError(`Tape has no step called "${id}"`);
  return index;
}

/** An argument as a word; what it points to is put into the heap. */
function wordOf(heap: Heap, arg: Arg, places: Places): number | bigint {
  if (typeof arg === "bigint") {
    if (arg < -(1n << 63n) || arg >= 1n << 64n) throw new RangeError(`Tape argument must fit 64 bits, got ${arg}`);
    return BigInt.asIntN(64, arg);
  }
  if (typeof arg === "number") {
    if (!Number.isSafeInteger(arg)) throw new RangeError(`Tape argument must be an integer, got ${arg}`);
    return arg;
  }
  if (typeof arg === "string") return address(putText(heap, arg, places));
  if (arg instanceof Uint8Array) return address(remember(places.constants, arg, () => putBytes(heap, arg)));
  if ("buffer" in arg) {
    const buffer = places.buffers.get(arg.buffer);
    if (buffer === undefined) throw new RangeError(`Tape has no buffer called "${arg.buffer}"`);
    const offset = arg.offset ?? 0;
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > buffer.sizeBytes) {
      throw new RangeError(`Offset ${offset} is outside of buffer "${arg.buffer}" of ${buffer.sizeBytes} bytes`);
    }
    return address(buffer.at + offset);
  }
  if ("strings" in arg) {
    const { strings } = arg;
    return address(remember(places.constants, strings, () => putStrings(heap, strings, places)));
  }
  if ("struct" in arg) return address(putWords(heap, arg.struct.map((word) => wordOf(heap, word, places))));
  throw new RangeError(`Tape struct cannot hold the result of step "${arg.result}"`);
}

/** Where a constant lies, put there the first time: tapes name the same strings and structs over and over. */
function remember<Key>(known: Map<Key, number>, key: Key, put: () => number): number {
  let at = known.get(key);
  if (at === undefined) {
    at = put();
    known.set(key, at);
  }
  return at;
}

function putText(heap: Heap, text: string, places: Places): number {
  return remember(places.texts, text, () => putString(heap, encoder.encode(text)));
}

function putStrings(heap: Heap, texts: readonly (string | Uint8Array)[], places: Places): number {
  const words = texts.map((text) =>
    address(typeof text === "string" ? putText(heap, text, places) : putString(heap, text))
  );
  words.push(0);
  return putWords(heap, words);
}

/** A number of 64 bits. Halves are quicker than a BigInt, and most words are small. */
function setWord(view: DataView, at: number, word: number | bigint): void {
  if (typeof word === "bigint") view.setBigInt64(at, BigInt.asIntN(64, word), true);
  else if (word !== 0) {
    view.setUint32(at, word >>> 0, true);
    view.setInt32(at + 4, Math.floor(word / 2 ** 32), true);
  }
}

function address(at: number): number {
  return BASE + at;
}

function putString(heap: Heap, bytes: Uint8Array): number {
  // the kernel would see another, shorter string
  if (bytes.includes(0)) throw new RangeError("Tape string must not contain a NUL byte");
  const at = reserve(heap, bytes.length + 1);
  heap.bytes.set(bytes, at);
  return at;
}

function putBytes(heap: Heap, bytes: Uint8Array): number {
  const at = reserve(heap, bytes.length);
  heap.bytes.set(bytes, at);
  return at;
}

function putWords(heap: Heap, words: readonly (number | bigint)[]): number {
  const at = reserve(heap, words.length * 8);
  words.forEach((word, index) => setWord(heap.view, at + index * 8, word));
  return at;
}

function makeHeap(least: number): Heap {
  const bytes = new Uint8Array(new ArrayBuffer(Math.max(least * 2, 16384)));
  return { bytes, view: new DataView(bytes.buffer), used: 0 };
}

/** Room for `sizeBytes`, aligned to 8; returns its offset. */
function reserve(heap: Heap, sizeBytes: number): number {
  const at = heap.used;
  const end = at + Math.ceil(sizeBytes / 8) * 8;
  if (end > MOST_BYTES) throw new RangeError(`Tape is larger than ${MOST_BYTES} bytes`);
  if (end > heap.bytes.length) {
    const grown = new Uint8Array(new ArrayBuffer(Math.max(end, heap.bytes.length * 2)));
    grown.set(heap.bytes);
    heap.bytes = grown;
    heap.view = new DataView(grown.buffer);
  }
  heap.used = end;
  return at;
}
