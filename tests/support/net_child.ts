/**
 * One end of a measurement or a test, by blocking system calls, so that the runtime's own loop costs nothing:
 *
 *     rtt ADDRESS PORT ROUNDS          a byte there and back; prints microseconds, one a line
 *     connect ADDRESS PORT ROUNDS      connects, and closes when the other has; prints seconds for all
 *     hold ADDRESS PORT COUNT          connects so many, says `up`, waits for a line on stdin, sends a byte on each and wants it back
 *     echo ADDRESS PORT                sends back what comes, of all who connect (epoll)
 *     storm INTERFACE PORT COUNT       sends so many raw frames, most of them nearly right, many to loopbacks and PORT
 *     accept ADDRESS PORT              accepts and closes at once
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { call, type Fd, tryCall } from "#linux/call.ts";
import { EPOLL_CTL_ADD, EPOLL_EVENT, EPOLLIN } from "#linux/epoll.ts";
import { IPPROTO_TCP } from "#linux/inet.ts";
import { AF_INET, AF_INET6, AF_PACKET, SO_REUSEADDR, SOCK_RAW, SOCK_STREAM, SOL_SOCKET } from "#linux/socket.ts";
import { checksumOf, sumBytes } from "../../src/netstack/wire/checksum.ts";
import { makeRandom } from "../../src/netstack/wire/testing.ts";
import { TCP_NODELAY } from "#linux/tcp.ts";
import { putSocketAddress } from "../../src/netstack/host/socket_address.ts";
import { isIpv4, makeAddress, parseIpAddress } from "../../src/netstack/ip_address.ts";

const [what, addressText = "", portText = "", countText = "0"] = process.argv.slice(2);
const address = parseIpAddress(addressText) ?? makeAddress();
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

/** Raw frames by AF_PACKET: what the container's root may send, with addresses and protocols of all kinds. */
function storm(interfaceName: string, frames: number): void {
  const ETH_P_ALL = 0x0300;
  const SIOCGIFINDEX = 0x8933;
  const raw = call("socket", "packet", AF_PACKET, SOCK_RAW, ETH_P_ALL);
  const request = allocate(40);
  request.set(new TextEncoder().encode(interfaceName));
  call("ioctl", interfaceName, raw, SIOCGIFINDEX, addressOf(request));
  const index = new DataView(request.buffer).getInt32(16, true);
  const link = allocate(20);
  const linkView = new DataView(link.buffer);
  linkView.setUint16(0, AF_PACKET, true);
  linkView.setInt32(4, index, true);
  call("bind", interfaceName, raw, addressOf(link), link.length);
  const random = makeRandom(4711);
  const frame = allocate(2048);
  const view = new DataView(frame.buffer);
  const pick = (...all: number[]) => all[random() % all.length]!;
  for (let i = 0; i < frames; i++) {
    for (let at = 0; at < 128; at++) frame[at] = random();
    frame.set([2, 0x64, 0, 0, 0, 1, 2, 0, 0, 0, 0, random() % 4]);
    view.setUint16(12, pick(0x0800, 0x0800, 0x0800, 0x86dd, 0x86dd, 0x0806, 0x8100, random() % 65_536));
    const isV6 = view.getUint16(12) === 0x86dd;
    const length = pick(14, 20, 34, 60, 74, 1400, 14 + random() % 1500);
    if (isV6) {
      view.setUint32(14, 0x60000000);
      view.setUint16(18, pick(length - 54, random() % 65_536));
      frame[20] = pick(6, 17, 58, 0, 43, 44, 60, random() % 256);
      frame.set(pick(0, 1) === 0 ? [0xfd, 0, 0, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2] : [], 22);
      // ::1, ::, v4-mapped, the gateway, others
      if (random() % 2 === 0) frame.fill(0, 38, 53).set([pick(0, 1)], 53);
    } else {
      frame[14] = pick(0x45, 0x45, 0x45, 0x46, random() % 256);
      view.setUint16(16, pick(length - 14, length - 14, random() % 65_536));
      view.setUint16(20, pick(0, 0x4000, 0x2000, random() % 65_536));
      frame[23] = pick(6, 6, 17, 1, 2, random() % 256);
      view.setUint32(26, pick(0x0a580002, 0x0a580002, 0x0a580001, random()));
      view.setUint32(30, pick(0x7f000001, 0x7f000002, 0, 0xffffffff, 0x0a580001, 0xe0000001, 0xa9fea9fe, random()));
      view.setUint16(24, 0);
      view.setUint16(24, checksumOf(sumBytes(view, 14, 34)));
    }
    const transport = isV6 ? 54 : 34;
    view.setUint16(transport + 2, pick(port, port, 53, 67, 0, random() % 65_536));
    tryCall("sendto", raw, addressOf(frame), Math.max(length, 14), 0, 0, 0);
  }
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
      // the other closes first: TIME_WAITs at this end would use up its ports, and make each search for one longer
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
  case "storm":
    storm(addressText, count);
    console.log("sent");
    break;
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
          const accepted = call("accept4", "", listener, 0, 0, 0);
          if (what === "echo") watch(accepted);
          else call("close", "", accepted);
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
