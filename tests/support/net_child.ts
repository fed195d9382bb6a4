/**
 * One end of a measurement or a test, by blocking system calls, so that the runtime's own loop costs nothing:
 *
 *     rtt ADDRESS PORT ROUNDS          a byte there and back; prints microseconds, one a line
 *     connect ADDRESS PORT ROUNDS      connects and closes; prints seconds for all
 *     hold ADDRESS PORT COUNT          connects so many, says `up`, waits for a line on stdin, sends a byte on each and wants it back
 *     echo ADDRESS PORT                sends back what comes, of all who connect (epoll)
 *     accept ADDRESS PORT              accepts and closes when the other closes
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { call, type Fd, tryCall } from "#linux/call.ts";
import { EPOLL_CTL_ADD, EPOLL_EVENT, EPOLLIN } from "#linux/epoll.ts";
import { IPPROTO_TCP } from "#linux/inet.ts";
import { AF_INET, AF_INET6, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET } from "#linux/socket.ts";
import { TCP_NODELAY } from "#linux/tcp.ts";
import { putSocketAddress } from "../../src/netstack/host/socket_address.ts";
import { isIpv4, parseIpAddress } from "../../src/netstack/ip_address.ts";

const [what, addressText = "", portText = "", countText = "0"] = process.argv.slice(2);
const address = parseIpAddress(addressText)!;
const port = Number(portText);
const count = Number(countText);
const name = allocate(32);
const nameLength = putSocketAddress(new DataView(name.buffer), 0, address, port);
const nameAt = addressOf(name);
const one = allocate(4);
one[0] = 1;
const buffer = allocate(65_536);
const bufferAt = addressOf(buffer);

function makeSocket(): number {
  const fd = call("socket", "", isIpv4(address) ? AF_INET : AF_INET6, SOCK_STREAM, 0);
  call("setsockopt", "", fd, IPPROTO_TCP, TCP_NODELAY, addressOf(one), 4);
  return fd;
}

function connectOne(): number {
  const fd = makeSocket();
  call("connect", `${addressText}:${port}`, fd, nameAt, nameLength);
  return fd;
}

function listen(): number {
  const fd = makeSocket();
  call("setsockopt", "", fd, SOL_SOCKET, SO_REUSEADDR, addressOf(one), 4);
  call("bind", `${addressText}:${port}`, fd, nameAt, nameLength);
  call("listen", "", fd, 4096);
  console.log("listening");
  return fd;
}

function raiseDescriptors(): void {
  const both = allocate(16);
  tryCall("prlimit64", 0, 7, 0, addressOf(both));
  both.copyWithin(0, 8, 16);
  tryCall("prlimit64", 0, 7, addressOf(both), 0);
}

function echoOne(fd: number): void {
  call("sendto", "", fd, bufferAt, 1, 0, 0, 0);
  if (call("recvfrom", "", fd, bufferAt, 1, 0, 0, 0) !== 1) throw new Error("The connection ended");
}

raiseDescriptors();
switch (what) {
  case "rtt": {
    const fd = connectOne();
    const times = new Float64Array(count);
    for (let i = 0; i < 200; i++) echoOne(fd);
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      echoOne(fd);
      times[i] = (performance.now() - start) * 1000;
    }
    console.log(times.join("\n"));
    break;
  }
  case "connect": {
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      const fd = connectOne();
      // the other closes first, so that no TIME_WAIT eats up this end's ports
      call("shutdown", "", fd, 1);
      call("recvfrom", "", fd, bufferAt, 1, 0, 0, 0);
      call("close", "", fd);
    }
    console.log((performance.now() - start) / 1000);
    break;
  }
  case "hold": {
    const fds = Array.from({ length: count }, connectOne);
    console.log("up");
    call("read", "stdin", 0, bufferAt, 1);
    for (const fd of fds) echoOne(fd);
    console.log("echoed");
    call("read", "stdin", 0, bufferAt, 1);
    break;
  }
  case "echo":
  case "accept": {
    const listener = listen();
    const epoll = call("epoll_create1", "", 0);
    const events = allocate(EPOLL_EVENT.SIZE * 64);
    const view = new DataView(events.buffer);
    const watch = (fd: number) => {
      view.setInt32(EPOLL_EVENT.events, EPOLLIN, true);
      view.setInt32(EPOLL_EVENT.data, fd, true);
      call("epoll_ctl", "", epoll, EPOLL_CTL_ADD, fd as Fd, addressOf(events));
    };
    watch(listener);
    for (;;) {
      const ready = tryCall("epoll_pwait", epoll, addressOf(events), 64, -1, 0, 8);
      const fds = Array.from(
        { length: Math.max(ready, 0) },
        (_, i) => view.getInt32(i * EPOLL_EVENT.SIZE + EPOLL_EVENT.data, true),
      );
      for (const fd of fds) {
        if (fd === listener) {
          watch(call("accept4", "", listener, 0, 0, 0));
          continue;
        }
        const got = tryCall("recvfrom", fd, bufferAt, buffer.length, 0, 0, 0);
        if (got <= 0) tryCall("close", fd);
        else if (what === "echo") tryCall("sendto", fd, bufferAt, got, 0x4000, 0, 0);
      }
    }
  }
  default:
    throw new Error(`Nothing is called "${what}"`);
}
