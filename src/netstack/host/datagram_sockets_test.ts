import test from "node:test";
import assert from "node:assert/strict";
import { addressOf, allocate } from "#ffi/mod.ts";
import type { Fd } from "#linux/call.ts";
import { EADDRINUSE, EAGAIN, ECONNREFUSED } from "#linux/errno_values.ts";
import { POLLIN } from "#linux/poll.ts";
import { call } from "#linux/call.ts";
import { formatIpAddress, parseIpAddress } from "../ip_address.ts";
import type { Memory } from "../memory.ts";
import { makeDatagramError, makeDatagramOrigin } from "../socket/datagram_sockets.ts";
import { makeDatagramSockets } from "./datagram_sockets.ts";

function setUp() {
  const bytes = allocate(4096);
  const memory: Memory = { bytes, view: new DataView(bytes.buffer), address: addressOf(bytes) };
  const sockets = makeDatagramSockets(memory);
  const poll = allocate(8);
  /** Waits until a socket can be read: what went over the loopback is there soon. */
  const wait = (fd: number, events = POLLIN) => {
    const view = new DataView(poll.buffer);
    view.setInt32(0, fd, true);
    view.setInt16(4, events, true);
    view.setInt16(6, 0, true);
    call("ppoll", "socket", addressOf(poll), 1, 0, 0, 8);
  };
  return { memory, sockets, wait };
}

/** A listener on a free port. */
function listen(sockets: ReturnType<typeof makeDatagramSockets>, address: string): { fd: Fd; port: number } {
  const family = address.includes(":") ? 6 : 4;
  for (let port = 20_011; port < 20_500; port++) {
    const fd = sockets.listen(family, parseIpAddress(address)!, port);
    if (fd >= 0) return { fd: fd as Fd, port };
    assert.equal(fd, -EADDRINUSE);
  }
  throw new Error("No port is free");
}

test("C-090 a listener tells who has sent and which address was asked, and answers from that", () => {
  for (const [listened, asked] of [["0.0.0.0", "127.0.0.1"], ["0.0.0.0", "127.0.0.2"], ["::", "::1"]] as const) {
    const { memory, sockets, wait } = setUp();
    const { fd: listener, port } = listen(sockets, listened);
    const client = sockets.open("udp", listened === "::" ? 6 : 4) as Fd;
    assert.equal(sockets.connect(client, parseIpAddress(asked)!, port), 0);
    memory.bytes.set([1, 2, 3]);
    assert.equal(sockets.send(client, 0, 3), 3);
    const origin = makeDatagramOrigin();
    wait(listener);
    assert.equal(sockets.receive(listener, 100, 50, origin), 3);
    assert.deepEqual([...memory.bytes.subarray(100, 103)], [1, 2, 3]);
    assert.equal(formatIpAddress(origin.local), asked);
    assert.equal(sockets.receive(listener, 100, 50, origin), -EAGAIN);
    // the client is connected: it takes an answer from the address that it asked, and from no other
    assert.equal(sockets.answer(listener, 100, 2, origin.local, origin.address, origin.port), 2);
    wait(client);
    assert.equal(sockets.receive(client, 200, 50, undefined), 2);
    for (const fd of [listener, client]) sockets.close(fd);
  }
});

test("a port where nobody listens is told as the network's error, with what it is about", () => {
  for (const address of ["127.0.0.1", "::1"]) {
    const { memory, sockets, wait } = setUp();
    const { fd: listener, port } = listen(sockets, address);
    sockets.close(listener);
    const client = sockets.open("udp", address.includes(":") ? 6 : 4) as Fd;
    assert.equal(sockets.connect(client, parseIpAddress(address)!, port), 0);
    memory.bytes.set([7, 8, 9]);
    assert.equal(sockets.send(client, 0, 3), 3);
    wait(client);
    assert.equal(sockets.receive(client, 100, 50, undefined), -ECONNREFUSED);
    const error = makeDatagramError();
    assert.equal(sockets.takeError(client, 300, 50, error), true);
    const expected = address.includes(":") ? [1, 4] : [3, 3];
    assert.deepEqual([error.type, error.code, error.errno, error.length], [...expected, ECONNREFUSED, 3]);
    assert.equal(formatIpAddress(error.offender), address);
    assert.deepEqual([...memory.bytes.subarray(300, 303)], [7, 8, 9]);
    assert.equal(sockets.takeError(client, 300, 50, error), false);
    assert.equal(sockets.setHopLimit(client, address.includes(":") ? 6 : 4, 5), 0);
    sockets.close(client);
  }
});
