import test from "node:test";
import assert from "node:assert/strict";
import type { Fd } from "#linux/call.ts";
import { EAGAIN, ECONNREFUSED, EINPROGRESS } from "#linux/errno_values.ts";
import { HOST_FAILED, HOST_READABLE, HOST_WRITABLE } from "../../host_events.ts";
import { type IpAddress } from "../../ip_address.ts";
import {
  type DnsAnswer,
  type DnsQuery,
  makeAnswer,
  makeQuery,
  type NewRecord,
  readAnswer,
  readQuery,
  setId,
  TYPE_A,
  TYPE_AAAA,
  TYPE_CNAME,
  TYPE_PTR,
} from "../../wire/dns.ts";
import { encodeName, readName } from "../../wire/dns_name.ts";
import { makeUdpHeader, readUdp } from "../../wire/udp.ts";
import type { StreamSockets } from "../stream_sockets.ts";
import {
  ip,
  makeTestHost,
  makeTestStack,
  seeFrame,
  type TestLinkOptions,
  type TestSocket,
  udpFrame,
} from "../testing.ts";
import { DNS_SCRATCH_BYTES, makeDns } from "./dns.ts";
import { parseResolvConf } from "./resolv_conf.ts";

/** Streams as lists of bytes: `toStack` is what the stack may read, `fromStack` what it wrote. */
function makeTestStreams(memory: ReturnType<typeof makeTestStack>["memory"]) {
  const open = new Map<number, { toStack: number[]; fromStack: number[]; hasEnded: boolean; to: number }>();
  let next = 500;
  const add = () => {
    open.set(next, { toStack: [], fromStack: [], hasEnded: false, to: 0 });
    return next++ as Fd;
  };
  const find = (fd: number) => {
    const stream = open.get(fd);
    if (stream === undefined) throw new Error(`Descriptor ${fd} is used after it was closed`);
    return stream;
  };
  const sockets: StreamSockets = {
    open: add,
    connect(fd, _address, port) {
      find(fd).to = port;
      return -EINPROGRESS;
    },
    failureOf: () => 0,
    listen: add,
    accept: () => -EAGAIN,
    receive(fd, first, firstLength) {
      const stream = find(fd);
      if (stream.toStack.length === 0) return stream.hasEnded ? 0 : -EAGAIN;
      const taken = stream.toStack.splice(0, firstLength);
      memory.bytes.set(taken, first);
      return taken.length;
    },
    send(fd, first, firstLength) {
      // a full pipe now and then
      const length = Math.min(firstLength, 700);
      find(fd).fromStack.push(...memory.bytes.subarray(first, first + length));
      return length;
    },
    endSending() {},
    keepAlive() {},
    close: (fd) => void open.delete(fd),
    reset: (fd) => void open.delete(fd),
  };
  return { open, sockets, add, find };
}

const RESOLV_CONF = "nameserver 127.0.0.53\nnameserver 192.0.2.53\nsearch corp.example test\n";

function setUp(options: TestLinkOptions & { resolvConf?: string } = {}) {
  const stack = makeTestStack(options);
  const host = makeTestHost(stack.memory);
  const streams = makeTestStreams(stack.memory);
  let resolvConf = options.resolvConf ?? RESOLV_CONF;
  const scratch = stack.reserve(DNS_SCRATCH_BYTES);
  const replies: { to: string; answer: DnsAnswer; message: Uint8Array }[] = [];
  const dns = makeDns(stack.surroundings, {
    index: 3,
    scratch,
    datagrams: host.sockets,
    streams: streams.sockets,
    makePair: () => [streams.add(), streams.add()],
    resolvConf: () => parseResolvConf(resolvConf),
    send(_link, source, sourcePort, _destination, destinationPort, payload, end) {
      assert.equal(source.d, ip("10.88.0.1").d);
      assert.equal(sourcePort, 53);
      const message = stack.memory.bytes.slice(payload, end);
      replies.push({ to: `${destinationPort}`, answer: readAnswer(message)!, message });
    },
  });
  const header = makeUdpHeader();
  const askRaw = (message: Uint8Array, from = "10.88.0.2", port = 4000, nowMs = 0) => {
    const frame = udpFrame(stack.memory, from, port, "10.88.0.1", 53, message);
    assert.equal(readUdp(stack.memory.view, frame, false, header), undefined);
    dns.onDatagram(frame, header, nowMs);
  };
  const ask = (name: string, type = TYPE_A, nowMs = 0, from = "10.88.0.2", port = 4000) =>
    askRaw(makeQuery(0x1234, { name, type, class: 1 }, false)!, from, port, nowMs);
  const take = () => replies.splice(0);
  /** The sockets on which servers wait to be answered, the newest last. */
  const asked = () => [...host.open.values()];
  const queryOn = (socket: TestSocket): DnsQuery => {
    const query = readQuery(socket.sent[0]!.data);
    assert.ok(query !== undefined && "question" in query);
    return query;
  };
  const reply = (socket: TestSocket, records: NewRecord[], rcode = 0, nowMs = 0) => {
    socket.inbox.push({ data: makeAnswer(queryOn(socket), rcode, records, false), from: "", port: 53, local: "" });
    dns.onHostEvent(stack.watched.get(socket.fd)!.key, HOST_READABLE, nowMs);
  };
  const names = (entries: Record<string, string[]>, link = 0, nowMs = 0) =>
    dns.setNames(link, Object.entries(entries).map(([name, list]) => ({ name, addresses: list.map(ip) })), nowMs);
  return {
    stack,
    host,
    streams,
    dns,
    ask,
    askRaw,
    take,
    asked,
    queryOn,
    reply,
    names,
    follow: (text: string) => resolvConf = text,
  };
}

const A = (...bytes: number[]): NewRecord => ({
  name: undefined,
  type: TYPE_A,
  ttlSeconds: 60,
  data: Uint8Array.from(bytes),
});
const dataOf = (message: Uint8Array, answer: DnsAnswer, type = TYPE_A) =>
  answer.records.filter((record) => record.type === type)
    .map((record) => [...message.subarray(record.data, record.data + record.dataLength)].join("."));

test("names of containers are answered here, for each family, in turn, and nothing else is known of them", () => {
  const { names, ask, take, host } = setUp();
  names({ web: ["10.88.0.2", "fd00:88::2"], alias: ["10.88.0.2", "10.88.0.3"], "Short.Id": ["10.88.0.9"] });
  for (const name of ["web", "WEB"]) ask(name);
  ask("web", TYPE_AAAA);
  ask("alias");
  ask("alias");
  ask("short.id");
  ask("web", 15);
  const got = take();
  assert.deepEqual(got.map(({ message, answer }) => dataOf(message, answer)), [
    ["10.88.0.2"],
    ["10.88.0.2"],
    [],
    ["10.88.0.3", "10.88.0.2"],
    ["10.88.0.2", "10.88.0.3"],
    ["10.88.0.9"],
    [],
  ]);
  assert.deepEqual(got.map(({ answer }) => [answer.id, answer.rcode]), Array(7).fill([0x1234, 0]));
  assert.deepEqual(dataOf(got[2]!.message, got[2]!.answer, TYPE_AAAA), ["253.0.0.136.0.0.0.0.0.0.0.0.0.0.0.2"]);
  assert.equal(host.opened, 0);
});

test("C-145 names answer and stop answering with the table, at once", () => {
  const { names, ask, take, host } = setUp();
  for (let round = 0; round < 200; round++) {
    names({ [`c${round}`]: [`10.88.1.${round % 250}`] });
    ask(`c${round}`);
    assert.deepEqual(take().map(({ message, answer }) => dataOf(message, answer)), [[`10.88.1.${round % 250}`]]);
    if (round === 0) continue;
    ask(`c${round - 1}`);
    assert.deepEqual(take().map(({ answer }) => answer.rcode), [3]);
  }
  assert.equal(host.opened, 0);
});

test("an address of the network has its container's name, and no other's is asked for outside", () => {
  const { names, ask, take, host } = setUp();
  names({ web: ["10.88.0.2", "fd00:88::2"] });
  ask("2.0.88.10.in-addr.arpa", TYPE_PTR);
  ask("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.8.0.0.0.0.d.f.ip6.arpa", TYPE_PTR);
  ask("77.0.88.10.in-addr.arpa", TYPE_PTR);
  const [first, second, third] = take();
  for (const { message, answer } of [first!, second!]) {
    assert.equal(readName(message, 0, answer.records[0]!.data, message.length)?.name, "web");
  }
  assert.equal(third?.answer.rcode, 3);
  assert.equal(host.opened, 0);
});

test("C-092 what is nobody's here is asked at the host's servers, and their answer goes on as it is", () => {
  const { ask, take, asked, queryOn, reply, stack } = setUp();
  ask("www.example.org");
  assert.deepEqual(asked().map(({ address, port }) => [address, port]), [["127.0.0.53", 53]]);
  assert.equal(queryOn(asked()[0]!).question.name, "www.example.org");
  reply(asked()[0]!, [A(192, 0, 2, 1)]);
  const [got] = take();
  assert.equal(got?.answer.id, 0x1234);
  assert.deepEqual(dataOf(got!.message, got!.answer), ["192.0.2.1"]);
  assert.equal(asked().length, 0);
  assert.ok(stack.takeFrames().map(seeFrame).length === 0);
});

test("C-145 a dead server costs a second once, and is asked last from then on", () => {
  const { dns, ask, take, asked, reply } = setUp();
  ask("a.example");
  assert.equal(dns.nextTimerMs(), 1000);
  dns.onTimer(1000);
  assert.deepEqual(asked().map(({ address }) => address), ["127.0.0.53", "192.0.2.53"]);
  reply(asked()[1]!, [A(1, 2, 3, 4)], 0, 1010);
  assert.equal(take().length, 1);
  assert.equal(asked().length, 0);
  ask("b.example", TYPE_A, 1020);
  assert.deepEqual(asked().map(({ address }) => address), ["192.0.2.53"]);
  reply(asked()[0]!, [A(1, 2, 3, 4)], 0, 1020);
  ask("c.example", TYPE_A, 40_000);
  assert.deepEqual(asked().map(({ address }) => address), ["127.0.0.53"]);
});

test("a slow server's answer counts when the next was asked already", () => {
  const { dns, ask, take, asked, reply } = setUp();
  ask("a.example");
  dns.onTimer(1000);
  reply(asked()[0]!, [A(1, 2, 3, 4)], 0, 1200);
  assert.equal(take().length, 1);
});

test("a server that refuses, fails or is not there gives way to the next at once; its answer stands if there is none", () => {
  const { dns, ask, take, asked, reply, stack, host } = setUp();
  ask("a.example");
  const [first] = asked();
  host.sockets.receive = ((receive) => (fd, ...rest) => fd === first?.fd ? -ECONNREFUSED : receive(fd, ...rest))(
    host.sockets.receive,
  );
  dns.onHostEvent(stack.watched.get(first!.fd)!.key, HOST_FAILED, 0);
  assert.deepEqual(asked().map(({ address }) => address), ["192.0.2.53"]);
  reply(asked()[0]!, [], 2);
  // asked once more, the first of them
  reply(asked()[0]!, [], 5);
  assert.deepEqual(take().map(({ answer }) => answer.rcode), [5]);
  assert.equal(dns.pendingCount, 0);
});

test("nobody answers: the container hears of it before its own resolver asks again", () => {
  const { dns, ask, take, asked } = setUp();
  ask("a.example");
  for (let nowMs = dns.nextTimerMs(); nowMs !== Infinity; nowMs = dns.nextTimerMs()) {
    assert.ok(nowMs < 5000);
    dns.onTimer(nowMs);
  }
  assert.deepEqual(take().map(({ answer }) => answer.rcode), [2]);
  assert.deepEqual([asked().length, dns.pendingCount], [0, 0]);
});

test("A-062 answers with another id or question are passed over, and a flood of them ends the attempt", () => {
  const { dns, stack, ask, take, asked, queryOn } = setUp({ resolvConf: "nameserver 192.0.2.53" });
  ask("a.example");
  const [socket] = asked();
  const query = queryOn(socket!);
  const good = makeAnswer(query, 0, [A(1, 2, 3, 4)], false);
  const forged = good.slice();
  setId(forged, query.id ^ 1);
  const other = makeAnswer(
    { ...query, questionBytes: Uint8Array.of(1, 0x62, 0, 0, 1, 0, 1) },
    0,
    [A(6, 6, 6, 6)],
    false,
  );
  const push = (data: Uint8Array) => {
    socket!.inbox.push({ data, from: "", port: 53, local: "" });
    dns.onHostEvent(stack.watched.get(socket!.fd)!.key, HOST_READABLE, 0);
  };
  for (const data of [forged, other, good.slice(0, 20), makeQuery(query.id, query.question, false)!]) push(data);
  assert.deepEqual(take(), []);
  push(good);
  const [got] = take();
  assert.deepEqual(dataOf(got!.message, got!.answer), ["1.2.3.4"]);
});

test("A-057 ids of questions to servers are another each time, and none of the client's", () => {
  const { ask, asked, queryOn } = setUp();
  const ids = new Set<number>();
  for (let i = 0; i < 100; i++) ask(`n${i}.example`);
  for (const socket of asked()) ids.add(queryOn(socket).id);
  assert.ok(ids.size > 95);
  assert.equal(ids.has(0x1234), false);
});

test("C-146 a single label is looked up in the host's search list, with an alias to what was found", () => {
  const { ask, take, asked, queryOn, reply } = setUp();
  ask("intranet");
  assert.equal(queryOn(asked()[0]!).question.name, "intranet.corp.example");
  reply(asked()[0]!, [], 3);
  assert.equal(queryOn(asked()[0]!).question.name, "intranet.test");
  const cname = { name: undefined, type: TYPE_CNAME, ttlSeconds: 9, data: encodeName("real.test")! };
  reply(asked()[0]!, [cname, { ...A(192, 0, 2, 9), name: "real.test" }]);
  const [{ message, answer } = assert.fail()] = take();
  assert.equal(answer.question.name, "intranet");
  assert.deepEqual(answer.records.map(({ name, type }) => [name, type]), [
    ["intranet", TYPE_CNAME],
    ["intranet.test", TYPE_A],
  ]);
  assert.deepEqual(dataOf(message, answer), ["192.0.2.9"]);
  ask("nowhere");
  for (let i = 0; i < 3; i++) reply(asked()[0]!, [], 3);
  assert.deepEqual(take().map((one) => one.answer.rcode), [3]);
});

test("A-063 a container's name is its own, even while it does not run: no stranger answers", () => {
  const { names, ask, take, host } = setUp();
  names({ web: ["10.88.0.2"], stopped: [] });
  ask("web");
  ask("stopped");
  assert.deepEqual(take().map(({ answer }) => answer.rcode), [0, 3]);
  // it has ended, and its network no more knows of it
  names({ stopped: [] }, 0, 1000);
  ask("web", TYPE_A, 2000);
  assert.deepEqual(take().map(({ answer }) => answer.rcode), [3]);
  assert.equal(host.opened, 0);
  ask("web", TYPE_A, 1000 + 600_000);
  assert.equal(host.opened, 1);
});

test("A-061 an internal network answers its own names and refuses all others; no server is asked", () => {
  const { names, ask, take, host } = setUp({ isInternal: true });
  names({ web: ["10.88.0.2"] });
  ask("web");
  for (let i = 0; i < 100; i++) ask(`${"d".repeat(60)}.${i}.example`);
  ask("single");
  ask("1.2.0.192.in-addr.arpa", TYPE_PTR);
  const codes = take().map(({ answer }) => answer.rcode);
  assert.deepEqual(codes, [0, ...Array(102).fill(5)]);
  assert.equal(host.opened, 0);
});

test("A-062 names of one network do not answer on another", () => {
  const { names, ask, take, asked, queryOn } = setUp({ resolvConf: "nameserver 192.0.2.53" });
  names({ web: ["10.89.0.2"] }, 1);
  ask("web");
  assert.deepEqual(take(), []);
  assert.equal(queryOn(asked()[0]!).question.name, "web");
});

test("C-140 changes of the host's servers are followed; a file without any means the machine itself", () => {
  const { ask, asked, follow, reply } = setUp();
  follow("nameserver 198.51.100.1\n");
  ask("a.example");
  assert.deepEqual(asked().map(({ address }) => address), ["198.51.100.1"]);
  reply(asked()[0]!, [A(1, 2, 3, 4)]);
  follow("");
  ask("b.example");
  assert.deepEqual(asked().map(({ address }) => address), ["127.0.0.1"]);
});

test("an answer longer than the client takes is cut to what says: ask again over TCP", () => {
  const { askRaw, take, asked, reply } = setUp();
  const query = makeQuery(7, { name: "big.example", type: TYPE_A, class: 1 }, false)!.slice(0, -11);
  query[11] = 0;
  askRaw(query);
  reply(asked()[0]!, Array.from({ length: 60 }, (_, i) => A(192, 0, 2, i)));
  const [got] = take();
  assert.deepEqual([got?.answer.isTruncated, got?.answer.records.length, got?.answer.id], [true, 0, 7]);
  assert.ok(got!.message.length <= 512);
});

test("A-059 what is no query is not answered, or with an error, and costs nothing", () => {
  const { dns, askRaw, take, host } = setUp();
  const good = makeQuery(7, { name: "a.example", type: TYPE_A, class: 1 }, false)!;
  askRaw(good.slice(0, 11));
  const response = good.slice();
  response[2] = 0x80;
  askRaw(response);
  assert.deepEqual(take(), []);
  const update = good.slice();
  update[2] = 0x28;
  askRaw(update);
  askRaw(good.slice(0, 20));
  const chaos = good.slice();
  chaos[chaos.length - 11 - 1] = 3;
  askRaw(chaos);
  assert.equal(take().length, 3);
  assert.deepEqual([host.opened, dns.pendingCount], [0, 0]);
});

test("A-064 a container that asks on and on is told so, and another is answered", () => {
  const { dns, ask, take, host } = setUp();
  for (let i = 0; i < 10_000; i++) ask(`n${i}.example`);
  assert.equal(dns.pendingCount, 128);
  assert.equal(host.open.size, 128);
  assert.equal(take().length, 10_000 - 128);
  ask("other.example", TYPE_A, 0, "10.88.0.3");
  assert.equal(dns.pendingCount, 129);
});

test("over TCP queries come in pieces and together, and are asked over TCP; answers are sent as the peer reads", () => {
  const { dns, stack, streams, names } = setUp();
  names({ web: ["10.88.0.2"] });
  const source: IpAddress = ip("10.88.0.2");
  const other = dns.openStream(0, source, 0)!;
  const own = streams.find(other - 1);
  const key = stack.watched.get(other - 1)!.key;
  const framed = (name: string) => {
    const query = makeQuery(9, { name, type: TYPE_A, class: 1 }, false)!;
    return [query.length >> 8, query.length & 255, ...query];
  };
  const both = [...framed("web"), ...framed("big.example")];
  for (const byte of both) {
    own.toStack.push(byte);
    dns.onHostEvent(key, HOST_READABLE, 0);
  }
  const read = () => {
    const length = (own.fromStack[0]! << 8) | own.fromStack[1]!;
    return readAnswer(Uint8Array.from(own.fromStack.splice(0, length + 2)).slice(2))!;
  };
  assert.equal(read().records.length, 1);
  // the server's connection
  const [fd, server] = [...streams.open].find(([, stream]) => stream.to === 53)!;
  const serverKey = stack.watched.get(fd)!.key;
  dns.onHostEvent(serverKey, HOST_WRITABLE, 0);
  const asked = Uint8Array.from(server.fromStack);
  assert.equal((asked[0]! << 8) | asked[1]!, asked.length - 2);
  const query = readQuery(asked.slice(2)) as DnsQuery;
  const answer = makeAnswer(query, 0, Array.from({ length: 200 }, (_, i) => A(192, 0, 2, i)), false);
  server.toStack.push(answer.length >> 8, answer.length & 255, ...answer.slice(0, 1000));
  dns.onHostEvent(serverKey, HOST_READABLE, 0);
  server.toStack.push(...answer.slice(1000));
  dns.onHostEvent(serverKey, HOST_READABLE, 0);
  const got = read();
  assert.deepEqual([got.id, got.records.length], [9, 200]);
  assert.equal(streams.open.has(fd), false);
  own.hasEnded = true;
  dns.onHostEvent(key, HOST_READABLE, 0);
  assert.equal(streams.open.has(other - 1), false);
  assert.equal(dns.nextTimerMs(), Infinity);
});

test("connections for names are bounded for each container, end when they are idle, and on nonsense", () => {
  const { dns, stack, streams } = setUp();
  const opened = Array.from({ length: 100 }, () => dns.openStream(0, ip("10.88.0.2"), 0)).filter((fd) =>
    fd !== undefined
  );
  assert.equal(opened.length, 16);
  const own = opened[0]! - 1;
  streams.find(own).toStack.push(0, 0);
  dns.onHostEvent(stack.watched.get(own)!.key, HOST_READABLE, 0);
  assert.equal(streams.open.has(own), false);
  dns.onTimer(30_000);
  assert.equal(opened.filter((fd) => streams.open.has(fd - 1)).length, 0);
});

test("C-093 the host's file is read as its C library reads it", () => {
  const { servers, search } = parseResolvConf(
    "; comment\n# nameserver 9.9.9.9\nnameserver 10.0.0.1 # first\nnameserver\t2001:db8::1\nnameserver fe80::1%eth0\n" +
      "nameserver bad\nsearch one.example\ndomain two.example three.example\nsearch A.Example. b.example ..\noptions ndots:5\n" +
      "nameserver 10.0.0.2\nnameserver 10.0.0.3\n",
  );
  assert.deepEqual(servers, ["10.0.0.1", "2001:db8::1", "10.0.0.2"].map(ip));
  assert.deepEqual(search, ["a.example", "b.example"]);
  assert.deepEqual(parseResolvConf(undefined), { servers: [ip("127.0.0.1")], search: [] });
});
