/**
 * Stream sockets of the kernel. Nothing is allocated a call; numbers and places go straight to it.
 *
 * @module
 */
import { backend } from "#ffi/mod.ts";
import { type Fd, numberOf } from "#linux/call.ts";
import { IPPROTO_IPV6, IPPROTO_TCP, IPV6_V6ONLY, SOCKADDR_IN6 } from "#linux/inet.ts";
import {
  AF_INET,
  AF_INET6,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSGHDR,
  SHUT_WR,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_OOBINLINE,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "#linux/socket.ts";
import { TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_NODELAY } from "#linux/tcp.ts";
import { putPiece } from "../device/tap.ts";
import type { Memory } from "../memory.ts";
import type { StreamSockets } from "../socket/stream_sockets.ts";
import { putSocketAddress, takeSocketAddress } from "./socket_address.ts";

/** A socket address, an option's value, `struct msghdr` and two pieces. */
export const STREAM_SOCKETS_SCRATCH_BYTES = 32 + 16 + MSGHDR.SIZE + 8 + 32;
const LISTEN_BACKLOG = 4096;
/** The kernel's own is two hours; a container that asks more often has middle boxes in mind that forget sooner. */
const KEEPALIVE_SECONDS = 60;

/** @param scratch Offset of STREAM_SOCKETS_SCRATCH_BYTES, aligned to 8. */
export function makeKernelStreams(memory: Memory, scratch: number): StreamSockets {
  const { syscall } = backend();
  const { view, address: base } = memory;
  const call = {
    socket: numberOf("socket"),
    bind: numberOf("bind"),
    listen: numberOf("listen"),
    accept4: numberOf("accept4"),
    connect: numberOf("connect"),
    setsockopt: numberOf("setsockopt"),
    getsockopt: numberOf("getsockopt"),
    recvfrom: numberOf("recvfrom"),
    sendto: numberOf("sendto"),
    recvmsg: numberOf("recvmsg"),
    sendmsg: numberOf("sendmsg"),
    shutdown: numberOf("shutdown"),
    close: numberOf("close"),
  };
  const value = scratch + 32;
  const message = scratch + 48;
  const pieces = message + MSGHDR.SIZE + 8;
  view.setUint32(message + MSGHDR.iov, (base + pieces) >>> 0, true);
  view.setUint32(message + MSGHDR.iov + 4, ((base + pieces) / 2 ** 32) | 0, true);
  view.setUint32(message + MSGHDR.iovCount, 2, true);

  const setOption = (fd: Fd, level: number, name: number, number: number): number => {
    view.setInt32(value, number, true);
    return syscall(call.setsockopt, fd, level, name, base + value, 4);
  };
  const prepare = (fd: number): number => {
    if (fd < 0) return fd;
    setOption(fd as Fd, IPPROTO_TCP, TCP_NODELAY, 1);
    // urgent bytes stay where they are in the stream
    setOption(fd as Fd, SOL_SOCKET, SO_OOBINLINE, 1);
    return fd;
  };
  const makeSocket = (isV4: boolean): number =>
    syscall(call.socket, isV4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  return {
    open: (family) => prepare(makeSocket(family === 4)),
    connect: (fd, address, port) =>
      syscall(call.connect, fd, base + scratch, putSocketAddress(view, scratch, address, port)),
    failureOf(fd) {
      view.setUint32(value + 8, 4, true);
      const result = syscall(call.getsockopt, fd, SOL_SOCKET, SO_ERROR, base + value, base + value + 8);
      return result < 0 ? -result : view.getInt32(value, true);
    },
    listen(family, address, port) {
      const fd = makeSocket(family === 4);
      if (fd < 0) return fd;
      setOption(fd as Fd, SOL_SOCKET, SO_REUSEADDR, 1);
      if (family === 6) setOption(fd as Fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
      let result = syscall(call.bind, fd, base + scratch, putSocketAddress(view, scratch, address, port));
      if (result === 0) result = syscall(call.listen, fd, LISTEN_BACKLOG);
      if (result === 0) return fd;
      syscall(call.close, fd);
      return result;
    },
    accept(listener, peer) {
      view.setUint32(value, SOCKADDR_IN6.SIZE, true);
      const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
      const fd = syscall(call.accept4, listener, base + scratch, base + value, flags);
      if (fd < 0) return fd;
      peer.port = takeSocketAddress(view, scratch, peer.address);
      return prepare(fd);
    },
    receive(fd, first, firstLength, second, secondLength) {
      if (secondLength === 0) return syscall(call.recvfrom, fd, base + first, firstLength, MSG_DONTWAIT, 0, 0);
      putPiece(view, pieces, base + first, firstLength);
      putPiece(view, pieces + 16, base + second, secondLength);
      return syscall(call.recvmsg, fd, base + message, MSG_DONTWAIT);
    },
    send(fd, first, firstLength, second, secondLength) {
      const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
      if (secondLength === 0) return syscall(call.sendto, fd, base + first, firstLength, flags, 0, 0);
      putPiece(view, pieces, base + first, firstLength);
      putPiece(view, pieces + 16, base + second, secondLength);
      return syscall(call.sendmsg, fd, base + message, flags);
    },
    endSending(fd) {
      syscall(call.shutdown, fd, SHUT_WR);
    },
    keepAlive(fd) {
      setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
      setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_SECONDS);
      setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_SECONDS);
    },
    close(fd) {
      syscall(call.close, fd);
    },
    reset(fd) {
      // struct linger: on, 0 seconds
      view.setInt32(value, 1, true);
      view.setInt32(value + 4, 0, true);
      syscall(call.setsockopt, fd, SOL_SOCKET, SO_LINGER, base + value, 8);
      syscall(call.close, fd);
    },
  };
}
