/**
 * What the name server answers: names of the network's containers by itself, and everything else as the host's servers do. A
 * container's name wins on its network, and is never asked for outside; an internal network's other names are refused
 * (A-061).
 *
 * Resolvers inside are told no search list, which they would try *before* the name itself: a single label that is no
 * container's is looked up here, in the host's search list (C-146).
 *
 * @module
 */
import { type Family, formatIpAddress, type IpAddress, isInPrefix, type Prefix } from "../../ip_address.ts";
import {
  CLASS_IN,
  type DnsQuery,
  type DnsQuestion,
  makeAnswer,
  makeQuery,
  type NewRecord,
  RCODE_NAME,
  RCODE_OK,
  RCODE_REFUSED,
  RCODE_SERVER_FAILURE,
  setId,
  TYPE_A,
  TYPE_AAAA,
  TYPE_ANY,
  TYPE_CNAME,
  TYPE_PTR,
} from "../../wire/dns.ts";
import { encodeName } from "../../wire/dns_name.ts";
import type { ServerAnswer, ServerAsker } from "./ask_servers.ts";
import { addressData, findAddresses, type NameTable, reverseAddress } from "./names.ts";
import type { ResolvConf } from "./resolv_conf.ts";

/** Names of containers change: nobody is to keep them. */
const OWN_TTL_SECONDS = 0;

/** What is known where a question is asked. */
export interface ResolveContext {
  readonly table: NameTable;
  readonly networks: readonly Prefix[];
  readonly isInternal: boolean;
  readonly resolvConf: ResolvConf;
  readonly asker: ServerAsker;
  /** Another number each time. */
  readonly turn: number;
  readonly nowMs: number;
}

/** Called once with the answer; it may be longer than the client takes. */
export type Respond = (answer: Uint8Array, nowMs: number) => void;

/** @param message The query's own bytes, which go on to servers as they are. */
export function resolveQuery(
  context: ResolveContext,
  query: DnsQuery,
  message: Uint8Array,
  isTcp: boolean,
  respond: Respond,
  nowMs: number,
): void {
  const { question } = query;
  const own = answerOwn(context, query);
  if (own !== undefined) {
    respond(own, nowMs);
    return;
  }
  const isRefused = context.isInternal || question.class !== CLASS_IN;
  if (isRefused) {
    respond(makeAnswer(query, RCODE_REFUSED, [], false), nowMs);
    return;
  }
  const isAddress = question.type === TYPE_A || question.type === TYPE_AAAA;
  const { search, servers } = context.resolvConf;
  if (isAddress && question.name !== "" && !question.name.includes(".") && search.length > 0) {
    searchName(context, query, isTcp, 0, respond, nowMs);
    return;
  }
  context.asker.ask(message, question, isTcp, servers, (answer, endMs) => {
    if (answer === undefined) {
      respond(makeAnswer(query, RCODE_SERVER_FAILURE, [], false), endMs);
      return;
    }
    setId(answer.message, query.id);
    respond(answer.message, endMs);
  }, nowMs);
}

/** The answer to a name that is the network's own, or that nobody outside may be asked for; undefined for others. */
function answerOwn({ table, networks, turn, nowMs }: ResolveContext, query: DnsQuery): Uint8Array | undefined {
  const { name, type } = query.question;
  if (query.question.class !== CLASS_IN) return undefined;
  if (name === "localhost" || name.endsWith(".localhost")) {
    // RFC 6761 §6.3
    const loopback = [{ a: 0, b: 0, c: 0xffff, d: 0x7f000001 }, { a: 0, b: 0, c: 0, d: 1 }];
    const records = familiesOf(type).map((family) => addressRecord(loopback[family === 4 ? 0 : 1]!, family));
    return makeAnswer(query, RCODE_OK, records, true);
  }
  const all = table.addresses.get(name);
  if (all !== undefined) {
    // a container's that does not run
    if (all.length === 0) return makeAnswer(query, RCODE_NAME, [], true);
    const records = familiesOf(type).flatMap((family) =>
      (findAddresses(table, name, family, turn) ?? []).map((address) => addressRecord(address, family))
    );
    return makeAnswer(query, RCODE_OK, records, true);
  }
  if ((table.former.get(name) ?? -Infinity) > nowMs) return makeAnswer(query, RCODE_NAME, [], true);
  const address = reverseAddress(name);
  if (address === undefined || !networks.some((network) => isInPrefix(address, network))) return undefined;
  const found = table.names.get(formatIpAddress(address));
  if (found === undefined) return makeAnswer(query, RCODE_NAME, [], true);
  const data = encodeName(found);
  const isAsked = (type === TYPE_PTR || type === TYPE_ANY) && data !== undefined;
  const records = isAsked ? [{ name: undefined, type: TYPE_PTR, ttlSeconds: OWN_TTL_SECONDS, data }] : [];
  return makeAnswer(query, RCODE_OK, records, true);
}

function familiesOf(type: number): Family[] {
  if (type === TYPE_ANY) return [4, 6];
  if (type === TYPE_A) return [4];
  return type === TYPE_AAAA ? [6] : [];
}

function addressRecord(address: IpAddress, family: Family): NewRecord {
  return {
    name: undefined,
    type: family === 4 ? TYPE_A : TYPE_AAAA,
    ttlSeconds: OWN_TTL_SECONDS,
    data: addressData(address, family),
  };
}

/** Tries a single label in each domain of the search list, then alone. */
function searchName(
  context: ResolveContext,
  query: DnsQuery,
  isTcp: boolean,
  place: number,
  respond: Respond,
  nowMs: number,
): void {
  const { search, servers } = context.resolvConf;
  const domain = search[place];
  const { name, type } = query.question;
  const question: DnsQuestion = { name: domain === undefined ? name : `${name}.${domain}`, type, class: CLASS_IN };
  const message = makeQuery(0, question, query.checkingDisabled);
  const goOn = (endMs: number) => {
    if (domain === undefined) respond(makeAnswer(query, RCODE_NAME, [], false), endMs);
    else searchName(context, query, isTcp, place + 1, respond, endMs);
  };
  // too long with that domain
  if (message === undefined) {
    goOn(nowMs);
    return;
  }
  context.asker.ask(message, question, isTcp, servers, (answer, endMs) => {
    if (answer === undefined) {
      respond(makeAnswer(query, RCODE_SERVER_FAILURE, [], false), endMs);
      return;
    }
    if (answer.answer.isTruncated && !isTcp) {
      searchName(context, query, true, place, respond, endMs);
      return;
    }
    const records = flatten(answer, question, domain !== undefined);
    if (records.length > 0) respond(makeAnswer(query, RCODE_OK, records, false), endMs);
    else goOn(endMs);
  }, nowMs);
}

/**
 * The addresses of an answer, as records of the name that was found; with an alias from the name that was asked to it. What
 * aliases the server followed is left out.
 */
function flatten({ message, answer }: ServerAnswer, { name, type }: DnsQuestion, isAlias: boolean): NewRecord[] {
  const length = type === TYPE_A ? 4 : 16;
  const found = answer.records.filter((record) =>
    record.type === type && record.class === CLASS_IN && record.dataLength === length
  );
  const data = encodeName(name);
  if (found.length === 0 || data === undefined) return [];
  const ttlSeconds = Math.min(...answer.records.map((record) => record.ttlSeconds));
  const records = found.map((record): NewRecord => ({
    name: isAlias ? name : undefined,
    type,
    ttlSeconds,
    data: message.slice(record.data, record.data + length),
  }));
  return isAlias ? [{ name: undefined, type: TYPE_CNAME, ttlSeconds, data }, ...records] : records;
}
