import type { Egress } from "../egress.ts";
import { type IpAddress, makeAddress } from "../ip_address.ts";
import { type DnsQuestion, readAnswer, TYPE_A, TYPE_AAAA } from "../wire/dns.ts";
import { readAddress4, readAddress6 } from "../wire/ip.ts";

const TYPE_NAMES = new Map<number, string>([[TYPE_A, "A"], [TYPE_AAAA, "AAAA"]]);

/** Tells the rules of a container what a name's addresses are, and its log that it was asked for. */
export function notePolicy(
  egress: Egress,
  link: number,
  source: IpAddress,
  question: DnsQuestion,
  message: Uint8Array,
  timeMs: number,
): void {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const addresses: IpAddress[] = [];
  for (const { type, data, dataLength } of readAnswer(message)?.records ?? []) {
    const address = makeAddress();
    if (type === TYPE_A && dataLength === 4) readAddress4(view, data, address);
    else if (type === TYPE_AAAA && dataLength === 16) readAddress6(view, data, address);
    else continue;
    addresses.push(address);
  }
  const type = TYPE_NAMES.get(question.type) ?? `TYPE${question.type}`;
  egress.learn(link, source, question.name, type, addresses, timeMs);
}
