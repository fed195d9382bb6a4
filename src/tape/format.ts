/**
 * Arguments of steps as text, each by its kind (`calls.ts`).
 *
 * @module
 */
import { capabilityName, capabilityNames, LAST_CAPABILITY } from "#linux/capabilities.ts";
import { errnoName } from "#linux/errno.ts";
import { AT_FDCWD, S_IFMT } from "#linux/file.ts";
import { RLIM_INFINITY, RLIMIT_NAMES, rlimitSpecName } from "#linux/rlimits.ts";
import { signalName } from "#linux/signals.ts";
import type { Kind } from "./calls.ts";
import { FLAG_SETS, NAME_SETS, printFlags } from "./flags.ts";
import { escapeControls, quoteBytes, quoteText } from "./quote.ts";
import type { Arg, Step, Tape, TapeBuffer } from "./step.ts";
import { type Field, type Struct, type StructName, STRUCTS } from "./structs.ts";

/** How much is printed. */
export interface PrintOptions {
  /** Whether the values of environment variables are shown: they may be secrets. */
  readonly showEnvironment?: boolean;
  /** Characters after which a text is cut: 200 unless told. */
  readonly textLength?: number;
  /** Entries after which a list is cut: 40 unless told. */
  readonly listLength?: number;
}

/** What the printing of a tape's arguments needs of the rest of the tape. */
export interface PrintContext {
  readonly options: Required<PrintOptions>;
  readonly buffers: ReadonlyMap<string, TapeBuffer>;
  /** What steps store to a place of a buffer, where it is one step alone; `"several"` where it is more. */
  readonly stores: ReadonlyMap<string, Arg | "several">;
}

/** The context of a tape. */
export function printContext(tape: Tape, options: PrintOptions): PrintContext {
  const stores = new Map<string, Arg | "several">();
  for (const step of tape.steps) {
    const [place, value] = step.args;
    if (step.call !== "store" || !isPlace(place) || value === undefined) continue;
    const key = placeKey(place.buffer, place.offset ?? 0);
    stores.set(key, stores.has(key) ? "several" : value);
  }
  return {
    options: { showEnvironment: false, textLength: 200, listLength: 40, ...options },
    buffers: tape.buffers,
    stores,
  };
}

/** Whether an argument is the address of a buffer. */
export function isPlace(arg: Arg | undefined): arg is { readonly buffer: string; readonly offset?: number } {
  return typeof arg === "object" && !(arg instanceof Uint8Array) && "buffer" in arg;
}

function placeKey(buffer: string, offset: number): string {
  return `${offset} ${buffer}`;
}

/** Gives the argument, or the field, of a number. */
type Sibling = (index: number) => Arg | undefined;

/** An argument where it is a plain number. */
export function numberOf(arg: Arg | undefined): bigint | undefined {
  return typeof arg === "number" || typeof arg === "bigint" ? BigInt(arg) : undefined;
}

/** `$fd` refers to a step's result; `${mount fs}` where its id has blanks or the like. */
export function printReference(id: string): string {
  return /^[\w/.:-]+$/.test(id) ? `$${id}` : `\${${escapeControls(id)}}`;
}

/** All arguments of a step. */
export function printArgs(step: Step, kinds: readonly Kind[], context: PrintContext): string[] {
  const sibling: Sibling = (index) => step.args[index];
  return step.args.map((arg, index) => printArg(arg, kinds[index], sibling, context));
}

/** One argument. @param kind Undefined where the table does not know. */
export function printArg(arg: Arg, kind: Kind | undefined, sibling: Sibling, context: PrintContext): string {
  if (typeof arg === "number" || typeof arg === "bigint") return printNumber(BigInt(arg), kind);
  if (typeof arg === "string") return quoteText(arg, context.options.textLength);
  if (arg instanceof Uint8Array) return printMemory(fromBytes(arg), arg, kind, sibling, context);
  if ("result" in arg) return printReference(arg.result);
  if ("strings" in arg) return printStrings(arg.strings, kind === "environment", context);
  if ("struct" in arg) return printMemory(fromWords(arg.struct), undefined, kind, sibling, context);
  const offset = arg.offset ?? 0;
  const address = printPlace(arg.buffer, offset);
  const bytes = context.buffers.get(arg.buffer)?.bytes;
  if (typeof kind !== "object" || !("struct" in kind)) return address;
  const fields = STRUCTS[kind.struct].fields;
  const known = bytes !== undefined || fields.some((f) => context.stores.has(placeKey(arg.buffer, offset + f.offset)));
  if (!known) return address;
  return `${address} ${printMemory(fromBuffer(arg.buffer, offset, context), undefined, kind, sibling, context)}`;
}

/** The address of a buffer: `&name+8`. */
export function printPlace(buffer: string, offset: number): string {
  const name = /^[\w/.:-]+$/.test(buffer) ? `&${buffer}` : `&{${escapeControls(buffer)}}`;
  return offset === 0 ? name : `${name}+${offset}`;
}

function printNumber(value: bigint, kind: Kind | undefined): string {
  if (kind === undefined) return printPlain(value);
  if (typeof kind === "object") {
    if ("flags" in kind) return value < 0n ? String(value) : printFlags(FLAG_SETS[kind.flags], value);
    if ("name" in kind) return NAME_SETS[kind.name].get(value) ?? printPlain(value);
    return printAddress(value);
  }
  switch (kind) {
    case "number":
    case "size":
    case "pid":
    case "id":
      return String(value);
    case "hex":
      return value <= 0n ? String(value) : `0x${value.toString(16)}`;
    case "plain":
      return printPlain(value);
    case "fd":
      return value === BigInt(AT_FDCWD) ? "AT_FDCWD" : String(value);
    case "mode":
      return value < 0n ? String(value) : value === 0n ? "0" : `0${value.toString(8)}`;
    case "fileMode": {
      const type = NAME_SETS.fileType.get(value & BigInt(S_IFMT));
      const mode = (value & ~BigInt(S_IFMT)).toString(8);
      return type === undefined ? `0${value.toString(8)}` : `${type}|0${mode}`;
    }
    case "device":
      // new_decode_dev of linux/kdev_t.h
      return value === 0n ? "0" : `makedev(${value >> 8n & 0xfffn}, ${(value & 0xffn) | (value >> 12n & 0xfff00n)})`;
    case "signal":
      return value > 0n && value <= 64n ? signalName(Number(value)) : String(value);
    case "errno":
      return value > 0n && value < 4096n ? errnoName(Number(value)) : String(value);
    case "capability":
      return value >= 0n && value <= BigInt(LAST_CAPABILITY) ? capabilityName(Number(value)) : String(value);
    case "capabilities":
      return printCapabilities(value);
    case "resource": {
      const name = value >= 0n && value < 64n ? RLIMIT_NAMES[Number(value)] : undefined;
      return name === undefined ? String(value) : rlimitSpecName(name);
    }
    case "limit":
      return BigInt.asUintN(64, value) === RLIM_INFINITY ? "RLIM_INFINITY" : String(value);
    case "chars":
      return printPlain(value);
    case "address":
    case "path":
    case "text":
    case "strings":
    case "environment":
    case "signals":
    case "program":
      return printAddress(value);
    default:
      throw new Error(`Unknown kind ${kind satisfies never}`);
  }
}

function printPlain(value: bigint): string {
  return value > 0xffffn ? `0x${value.toString(16)}` : String(value);
}

function printAddress(value: bigint): string {
  return value === 0n ? "NULL" : `0x${BigInt.asUintN(64, value).toString(16)}`;
}

function printCapabilities(set: bigint): string {
  const names = capabilityNames(set);
  if (names.length === LAST_CAPABILITY + 1) return "all";
  const known = names.join("|");
  const rest = set >> BigInt(LAST_CAPABILITY + 1) << BigInt(LAST_CAPABILITY + 1);
  return [...(known === "" ? [] : [known]), ...(rest === 0n ? [] : [`0x${rest.toString(16)}`])].join("|") || "0";
}

function printStrings(strings: readonly (string | Uint8Array)[], secret: boolean, context: PrintContext): string {
  const { options } = context;
  const shown = strings.slice(0, options.listLength).map((text) => {
    const bytes = typeof text === "string" ? encoder.encode(text) : text;
    const equals = bytes.indexOf(0x3d);
    if (!secret || options.showEnvironment || equals < 0) return quoteBytes(bytes, options.textLength);
    return `${quoteBytes(bytes.subarray(0, equals), options.textLength).slice(0, -1)}=…"`;
  });
  if (strings.length > shown.length) shown.push(`… ${strings.length} in all`);
  return `[${shown.join(", ")}]`;
}

const encoder = new TextEncoder();

/** Memory that an argument points to: where a field of it comes from. Undefined where it holds less than that. */
interface Memory {
  readonly sizeBytes: number;
  field(field: Field, base: number): Arg | undefined;
}

function fromBytes(bytes: Uint8Array): Memory {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    sizeBytes: bytes.length,
    field: ({ offset, sizeBytes, signed, highOffset }, base) => {
      const at = base + offset;
      if (at + sizeBytes > bytes.length || (highOffset !== undefined && base + highOffset + 4 > bytes.length)) return;
      switch (sizeBytes) {
        case 1:
          return view.getUint8(at);
        case 2:
          return view.getUint16(at, true);
        case 4:
          if (signed) return view.getInt32(at, true);
          if (highOffset === undefined) return view.getUint32(at, true);
          return BigInt(view.getUint32(at, true)) | BigInt(view.getUint32(base + highOffset, true)) << 32n;
        case 8:
          return signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true);
        default: {
          const part = bytes.subarray(at, at + sizeBytes);
          const end = part.indexOf(0);
          return end < 0 ? part : part.subarray(0, end);
        }
      }
    },
  };
}

/** 64-bit words, of which smaller fields are parts. */
function fromWords(words: readonly Arg[]): Memory {
  return {
    sizeBytes: words.length * 8,
    field: ({ offset, sizeBytes, signed }, base) => {
      const at = base + offset;
      const word = words[at >> 3];
      if (word === undefined || sizeBytes > 8) return;
      if (sizeBytes === 8) return word;
      const number = numberOf(word);
      if (number === undefined) return at % 8 === 0 ? word : undefined;
      const part = BigInt.asUintN(64, number) >> BigInt(at % 8 * 8);
      return signed ? BigInt.asIntN(sizeBytes * 8, part) : BigInt.asUintN(sizeBytes * 8, part);
    },
  };
}

/** A buffer as it is before the call, as far as that can be told: its bytes, and what one step stores there. */
function fromBuffer(name: string, start: number, context: PrintContext): Memory {
  const buffer = context.buffers.get(name);
  const bytes = new Uint8Array(Math.max(0, Math.min((buffer?.sizeBytes ?? 0) - start, 4096)));
  bytes.set((buffer?.bytes ?? new Uint8Array()).subarray(start, start + bytes.length));
  const initial = fromBytes(bytes);
  return {
    sizeBytes: bytes.length,
    field: (field, base) => {
      const stored = context.stores.get(placeKey(name, start + base + field.offset));
      return stored === undefined || stored === "several" ? initial.field(field, base) : stored;
    },
  };
}

/** What an argument points to, by its kind. @param bytes The memory as bytes, where it is bytes. */
function printMemory(
  memory: Memory,
  bytes: Uint8Array | undefined,
  kind: Kind | undefined,
  sibling: Sibling,
  context: PrintContext,
): string {
  if (kind === "program") return `<${memory.sizeBytes >> 3} instructions>`;
  if (kind === "signals") return printSignals(memory);
  if (typeof kind === "object" && "struct" in kind) {
    const text = printStruct(memory, STRUCTS[kind.struct], 0, context);
    return text.startsWith("{") ? text : `[${text}]`;
  }
  if (typeof kind === "object" && "list" in kind) return printList(memory, kind, sibling, context);
  if (bytes !== undefined) return quoteBytes(bytes, context.options.textLength);
  return printList(memory, { list: "word", exactly: undefined }, sibling, context);
}

function printStruct(memory: Memory, struct: Struct, base: number, context: PrintContext): string {
  const fields = struct.fields.map((field) => ({ field, value: memory.field(field, base) }));
  const sibling: Sibling = (index) => fields[index]?.value;
  const parts = fields.flatMap(({ field, value }) => {
    if (value === undefined) return [];
    if (struct.sparse && numberOf(value) === 0n) return [];
    const text = printArg(value, field.kind, sibling, context);
    return [field.name === "" ? text : `${field.name}=${text}`];
  });
  if (struct.fields.length === 1 && struct.fields[0]!.name === "") return parts[0] ?? "?";
  return `{${parts.join(", ")}}`;
}

function printList(
  memory: Memory,
  kind: Extract<Kind, { readonly list: StructName }>,
  sibling: Sibling,
  context: PrintContext,
): string {
  const struct = STRUCTS[kind.list];
  const told = "count" in kind ? numberOf(sibling(kind.count)) : kind.exactly;
  const holds = Math.floor(memory.sizeBytes / struct.sizeBytes);
  const count = told === undefined || told > holds ? holds : Number(told);
  const shown = Math.min(count, context.options.listLength);
  const parts = Array.from({ length: shown }, (_, k) => printStruct(memory, struct, k * struct.sizeBytes, context));
  if (count > shown) parts.push(`… ${count} in all`);
  return `[${parts.join(", ")}]`;
}

function printSignals(memory: Memory): string {
  const word = memory.field({ name: "", offset: 0, sizeBytes: 8, kind: "hex" }, 0);
  const set = numberOf(word);
  if (set === undefined) return "?";
  const bits = BigInt.asUintN(64, set);
  if (bits === 0xffff_ffff_ffff_ffffn) return "[all]";
  const names: string[] = [];
  for (let signal = 1; signal <= 64; signal++) {
    if (bits >> BigInt(signal - 1) & 1n) names.push(signalName(signal).slice(3));
  }
  return `[${names.join(" ")}]`;
}
