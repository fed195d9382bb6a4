/**
 * DNS messages (RFC 1035, EDNS RFC 6891): as much as a server for a few names, and a forwarder, must understand. A
 * query takes memory, since names are rare beside packets.
 *
 * @module
 */
import { encodeName, readName } from "./dns_name.ts";

/** The header: six words. */
export const DNS = { id: 0, flags: 2, questions: 4, answers: 6, authorities: 8, additionals: 10, SIZE: 12 } as const;

export const DNS_PORT = 53;
/** Over UDP, where the client does not offer more (RFC 1035 §4.2.1). */
export const MIN_UDP_BYTES = 512;
/** What we offer to servers: fits every path without fragments (DNS flag day 2020). */
export const OFFERED_UDP_BYTES = 1232;
export const MAX_MESSAGE_BYTES = 65_535;

const FLAG_RESPONSE = 0x8000;
const OPCODE_MASK = 0x7800;
const FLAG_AUTHORITATIVE = 0x0400;
const FLAG_TRUNCATED = 0x0200;
const FLAG_RECURSION_DESIRED = 0x0100;
const FLAG_RECURSION_AVAILABLE = 0x0080;
const FLAG_CHECKING_DISABLED = 0x0010;

export const RCODE_OK = 0;
export const RCODE_FORMAT = 1;
export const RCODE_SERVER_FAILURE = 2;
export const RCODE_NAME = 3;
export const RCODE_NOT_IMPLEMENTED = 4;
export const RCODE_REFUSED = 5;

export const TYPE_A = 1;
export const TYPE_CNAME = 5;
export const TYPE_PTR = 12;
export const TYPE_AAAA = 28;
export const TYPE_OPT = 41;
export const TYPE_ANY = 255;
export const CLASS_IN = 1;

/** What is asked. */
export interface DnsQuestion {
  /** As `dns_name.ts` writes names: lower case. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

/** A query that was read. */
export interface DnsQuery {
  readonly id: number;
  readonly question: DnsQuestion;
  /** The bytes of the question as they came: an answer repeats the letters' case. */
  readonly questionBytes: Uint8Array;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  /** How long an answer over UDP may be. */
  readonly udpBytes: number;
  readonly hasEdns: boolean;
}

/** Why a query is not answered as asked: the code to answer with, or undefined for what gets no answer at all. */
export interface BadQuery {
  readonly id: number;
  readonly rcode: number;
}

/**
 * Reads a query.
 * @param message Its bytes, all of them.
 * @returns `undefined` for what no answer is due to: responses (two servers would talk for ever), and what has no header.
 */
export function readQuery(message: Uint8Array): DnsQuery | BadQuery | undefined {
  if (message.length < DNS.SIZE) return undefined;
  const view = viewOf(message);
  const id = view.getUint16(DNS.id);
  const flags = view.getUint16(DNS.flags);
  if ((flags & FLAG_RESPONSE) !== 0) return undefined;
  if ((flags & OPCODE_MASK) !== 0) return { id, rcode: RCODE_NOT_IMPLEMENTED };
  if (view.getUint16(DNS.questions) !== 1) return { id, rcode: RCODE_FORMAT };
  const read = readQuestion(message, view);
  if (read === undefined) return { id, rcode: RCODE_FORMAT };
  const additionals = view.getUint16(DNS.additionals);
  if (view.getUint16(DNS.answers) !== 0 || view.getUint16(DNS.authorities) !== 0 || additionals > 2) {
    return { id, rcode: RCODE_FORMAT };
  }
  let udpBytes = MIN_UDP_BYTES;
  let hasEdns = false;
  let at = read.next;
  for (let i = 0; i < additionals; i++) {
    const record = readRecord(message, view, at);
    if (record === undefined) return { id, rcode: RCODE_FORMAT };
    if (record.type === TYPE_OPT) {
      hasEdns = true;
      udpBytes = Math.max(MIN_UDP_BYTES, record.class);
    }
    at = record.next;
  }
  return {
    id,
    question: read.question,
    questionBytes: message.slice(DNS.SIZE, read.next),
    recursionDesired: (flags & FLAG_RECURSION_DESIRED) !== 0,
    checkingDisabled: (flags & FLAG_CHECKING_DISABLED) !== 0,
    udpBytes,
    hasEdns,
  };
}

function viewOf(message: Uint8Array): DataView {
  return new DataView(message.buffer, message.byteOffset, message.length);
}

function readQuestion(message: Uint8Array, view: DataView): { question: DnsQuestion; next: number } | undefined {
  const name = readName(message, 0, DNS.SIZE, message.length);
  if (name === undefined || name.next + 4 > message.length) return undefined;
  const question = { name: name.name, type: view.getUint16(name.next), class: view.getUint16(name.next + 2) };
  return { question, next: name.next + 4 };
}

/** A record, without what its data mean. */
export interface DnsRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttlSeconds: number;
  /** Where its data lie. */
  readonly data: number;
  readonly dataLength: number;
  readonly next: number;
}

function readRecord(message: Uint8Array, view: DataView, at: number): DnsRecord | undefined {
  const name = readName(message, 0, at, message.length);
  if (name === undefined || name.next + 10 > message.length) return undefined;
  const dataLength = view.getUint16(name.next + 8);
  const data = name.next + 10;
  if (data + dataLength > message.length) return undefined;
  return {
    name: name.name,
    type: view.getUint16(name.next),
    class: view.getUint16(name.next + 2),
    ttlSeconds: view.getUint32(name.next + 4),
    data,
    dataLength,
    next: data + dataLength,
  };
}

/** Records followed in an answer at most: what fits in 64 KiB, eleven bytes each, is 5,957. */
const MAX_RECORDS = 6000;

/** An answer that was read. */
export interface DnsAnswer {
  readonly id: number;
  readonly rcode: number;
  readonly isTruncated: boolean;
  readonly question: DnsQuestion;
  /** The answer section. */
  readonly records: readonly DnsRecord[];
}

/** Reads a server's answer, all its sections checked; undefined when it is none. */
export function readAnswer(message: Uint8Array): DnsAnswer | undefined {
  if (message.length < DNS.SIZE) return undefined;
  const view = viewOf(message);
  const flags = view.getUint16(DNS.flags);
  if ((flags & FLAG_RESPONSE) === 0 || (flags & OPCODE_MASK) !== 0) return undefined;
  if (view.getUint16(DNS.questions) !== 1) return undefined;
  const read = readQuestion(message, view);
  if (read === undefined) return undefined;
  const answers = view.getUint16(DNS.answers);
  const count = answers + view.getUint16(DNS.authorities) + view.getUint16(DNS.additionals);
  const isTruncated = (flags & FLAG_TRUNCATED) !== 0;
  if (count > MAX_RECORDS) return undefined;
  const records: DnsRecord[] = [];
  let at = read.next;
  for (let i = 0; i < count; i++) {
    const record = readRecord(message, view, at);
    if (record === undefined) {
      // servers may cut anywhere
      if (isTruncated) break;
      return undefined;
    }
    if (i < answers) records.push(record);
    at = record.next;
  }
  return { id: view.getUint16(DNS.id), rcode: flags & 15, isTruncated, question: read.question, records };
}

/** Whether an answer is to that question: name, type and class (RFC 5452 §9.1). */
export function answersQuestion(answer: DnsQuestion, question: DnsQuestion): boolean {
  return answer.name === question.name && answer.type === question.type && answer.class === question.class;
}

/** A record to send: `data` as it stands in the message. */
export interface NewRecord {
  /** undefined: the question's own name, by a pointer to it. */
  readonly name: string | undefined;
  readonly type: number;
  readonly ttlSeconds: number;
  readonly data: Uint8Array;
}

/** Joins a header, a question and records. */
function joinMessage(id: number, flags: number, question: Uint8Array, records: readonly NewRecord[], tail: Uint8Array) {
  const parts: Uint8Array[] = [];
  for (const { name, type, ttlSeconds, data } of records) {
    const owner = name === undefined ? Uint8Array.of(0xc0, DNS.SIZE) : encodeName(name);
    if (owner === undefined) throw new RangeError(`No name of the DNS: ${JSON.stringify(name)}`);
    const fixed = new Uint8Array(10);
    const view = viewOf(fixed);
    view.setUint16(0, type);
    view.setUint16(2, CLASS_IN);
    view.setUint32(4, ttlSeconds);
    view.setUint16(8, data.length);
    parts.push(owner, fixed, data);
  }
  const length = parts.reduce((sum, part) => sum + part.length, DNS.SIZE + question.length + tail.length);
  const message = new Uint8Array(length);
  const view = viewOf(message);
  view.setUint16(DNS.id, id);
  view.setUint16(DNS.flags, flags);
  view.setUint16(DNS.questions, question.length === 0 ? 0 : 1);
  view.setUint16(DNS.answers, records.length);
  view.setUint16(DNS.additionals, tail.length === 0 ? 0 : 1);
  message.set(question, DNS.SIZE);
  let at = DNS.SIZE + question.length;
  for (const part of parts) {
    message.set(part, at);
    at += part.length;
  }
  message.set(tail, at);
  return message;
}

/** The EDNS record: the root, OPT, a size, no flags but DO, no options. */
function ednsRecord(udpBytes: number): Uint8Array {
  return Uint8Array.of(0, 0, TYPE_OPT, udpBytes >> 8, udpBytes & 255, 0, 0, 0, 0, 0, 0);
}

const NOTHING = new Uint8Array(0);

/** An answer of our own. @param isOurs Whether the name is one of the table's, for which we are the authority. */
export function makeAnswer(query: DnsQuery, rcode: number, records: readonly NewRecord[], isOurs: boolean): Uint8Array {
  const flags = FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | (isOurs ? FLAG_AUTHORITATIVE : 0) |
    (query.recursionDesired ? FLAG_RECURSION_DESIRED : 0) | (query.checkingDisabled ? FLAG_CHECKING_DISABLED : 0) |
    rcode;
  return joinMessage(
    query.id,
    flags,
    query.questionBytes,
    records,
    query.hasEdns ? ednsRecord(OFFERED_UDP_BYTES) : NOTHING,
  );
}

/** The answer to what could not be read: a header alone. */
export function makeErrorAnswer({ id, rcode }: BadQuery): Uint8Array {
  return joinMessage(id, FLAG_RESPONSE | rcode, NOTHING, [], NOTHING);
}

/** The question to another server, for a name that is ours to choose. */
export function makeQuery(id: number, question: DnsQuestion, checkingDisabled: boolean): Uint8Array | undefined {
  const name = encodeName(question.name);
  if (name === undefined) return undefined;
  const bytes = new Uint8Array(name.length + 4);
  bytes.set(name);
  const view = viewOf(bytes);
  view.setUint16(name.length, question.type);
  view.setUint16(name.length + 2, question.class);
  const flags = FLAG_RECURSION_DESIRED | (checkingDisabled ? FLAG_CHECKING_DISABLED : 0);
  return joinMessage(id, flags, bytes, [], ednsRecord(OFFERED_UDP_BYTES));
}

/** Sets the id of a message in place. */
export function setId(message: Uint8Array, id: number): void {
  viewOf(message).setUint16(DNS.id, id);
}

/**
 * A message that fits: itself, or its header and question with the bit that says "ask again over TCP".
 * @param limitBytes What the client takes.
 */
export function fitAnswer(message: Uint8Array, query: DnsQuery, limitBytes: number): Uint8Array {
  if (message.length <= limitBytes) return message;
  const flags = viewOf(message).getUint16(DNS.flags) | FLAG_TRUNCATED;
  return joinMessage(
    query.id,
    flags,
    query.questionBytes,
    [],
    query.hasEdns ? ednsRecord(OFFERED_UDP_BYTES) : NOTHING,
  );
}

/** The text of an address of four or sixteen bytes as a name of the reverse tree, read back: undefined for other names. */
export function addressOfReverseName(name: string): Uint8Array | undefined {
  if (name.endsWith(".in-addr.arpa")) {
    const parts = name.slice(0, -".in-addr.arpa".length).split(".");
    if (parts.length !== 4 || !parts.every((part) => /^[0-9]{1,3}$/.test(part) && Number(part) < 256)) return undefined;
    return Uint8Array.from(parts.reverse(), Number);
  }
  if (!name.endsWith(".ip6.arpa")) return undefined;
  const digits = name.slice(0, -".ip6.arpa".length).split(".").reverse();
  if (digits.length !== 32 || !digits.every((digit) => /^[0-9a-f]$/.test(digit))) return undefined;
  return Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(digits[2 * i]! + digits[2 * i + 1]!, 16));
}
