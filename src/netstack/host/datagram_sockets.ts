/**
 * Datagram sockets of this machine's kernel. All structs lie in memory that was made once; payload goes straight from and to the
 * stack's memory.
 *
 * @module
 */
import { addressOf, allocate, syscall } from "#ffi/mod.ts";
import { numberOf } from "#linux/call.ts";
import {
  IN6_PKTINFO,
  IN_PKTINFO,
  IP_PKTINFO,
  IP_RECVERR,
  IP_TTL,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_PKTINFO,
  IPV6_RECVERR,
  IPV6_RECVPKTINFO,
  IPV6_UNICAST_HOPS,
  IPV6_V6ONLY,
  MSG_ERRQUEUE,
  SO_EE_ORIGIN_ICMP,
  SO_EE_ORIGIN_ICMP6,
  SOCK_EXTENDED_ERR,
  SOCKADDR_IN6,
} from "#linux/inet.ts";
import {
  AF_INET,
  AF_INET6,
  CMSGHDR,
  MSG_NOSIGNAL,
  MSGHDR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
} from "#linux/socket.ts";
import { type Family, type IpAddress, isIpv4, V4_MARK } from "../ip_address.ts";
import type { Memory } from "../memory.ts";
import type { DatagramKind, DatagramSockets } from "../socket/datagram_sockets.ts";
import { putSocketAddress, takeSocketAddress } from "./socket_address.ts";

/** The structs of one call, and where each lies. */
const MESSAGE = 0;
const IOV = 64;
const NAME = 80;
const VALUE = 112;
const CONTROL = 128;
const CONTROL_BYTES = 256;
const STRUCTS_BYTES = CONTROL + CONTROL_BYTES;

/** Makes them. @param memory The stack's, whose offsets the calls take. */
export function makeDatagramSockets(memory: Memory): DatagramSockets {
  const structs = allocate(STRUCTS_BYTES);
  const view = new DataView(structs.buffer);
  const base = addressOf(structs);
  const nr = {
    socket: numberOf("socket"),
    connect: numberOf("connect"),
    bind: numberOf("bind"),
    setsockopt: numberOf("setsockopt"),
    recvfrom: numberOf("recvfrom"),
    recvmsg: numberOf("recvmsg"),
    sendto: numberOf("sendto"),
    sendmsg: numberOf("sendmsg"),
    close: numberOf("close"),
  };

  function setOption(fd: number, level: number, option: number, value: number): number {
    view.setInt32(VALUE, value, true);
    return syscall(nr.setsockopt, fd, level, option, base + VALUE, 4);
  }

  /** A socket whose options were set, in pairs of an option and a value; or minus errno. */
  function openWith(family: Family, protocol: number, options: readonly (readonly [number, number])[]): number {
    const domain = family === 4 ? AF_INET : AF_INET6;
    const fd = syscall(nr.socket, domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0) return fd;
    for (const [option, value] of options) {
      const result = setOption(fd, family === 4 ? IPPROTO_IP : IPPROTO_IPV6, option, value);
      if (result < 0) {
        syscall(nr.close, fd);
        return result;
      }
    }
    return fd;
  }

  /** Fills `struct msghdr` for one piece of the stack's memory. */
  function putMessage(offset: number, length: number, nameLength: number, controlLength: number): void {
    putWord(view, IOV, memory.address + offset);
    putWord(view, IOV + 8, length);
    putWord(view, MESSAGE + MSGHDR.name, base + NAME);
    view.setUint32(MESSAGE + MSGHDR.nameLength, nameLength, true);
    putWord(view, MESSAGE + MSGHDR.iov, base + IOV);
    putWord(view, MESSAGE + MSGHDR.iovCount, 1);
    putWord(view, MESSAGE + MSGHDR.control, base + CONTROL);
    putWord(view, MESSAGE + MSGHDR.controlLength, controlLength);
    view.setInt32(MESSAGE + MSGHDR.flags, 0, true);
  }

  /** Where the data of a control message lie that a call has filled in; 0 where there is none of that kind. */
  function findControl(level4: number, type4: number, level6: number, type6: number): number {
    const end = CONTROL + view.getUint32(MESSAGE + MSGHDR.controlLength, true);
    for (let at = CONTROL; at + CMSGHDR.SIZE <= end;) {
      const length = view.getUint32(at + CMSGHDR.length, true);
      const level = view.getInt32(at + CMSGHDR.level, true);
      const type = view.getInt32(at + CMSGHDR.type, true);
      if ((level === level4 && type === type4) || (level === level6 && type === type6)) return at + CMSGHDR.SIZE;
      if (length < CMSGHDR.SIZE) return 0;
      at += (length + 7) & ~7;
    }
    return 0;
  }

  function protocolOf(kind: DatagramKind, family: Family): number {
    if (kind === "udp") return IPPROTO_UDP;
    return family === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
  }

  return {
    open: (kind, family) =>
      openWith(
        family,
        protocolOf(kind, family),
        family === 4 ? [[IP_RECVERR, 1]] : [[IPV6_RECVERR, 1], [IPV6_V6ONLY, 1]],
      ),
    connect: (fd, address, port) => syscall(nr.connect, fd, base + NAME, putSocketAddress(view, NAME, address, port)),
    listen(family, address, port) {
      const options = family === 4
        ? [[IP_PKTINFO, 1] as const]
        : [[IPV6_V6ONLY, 1] as const, [IPV6_RECVPKTINFO, 1] as const];
      const fd = openWith(family, IPPROTO_UDP, options);
      if (fd < 0) return fd;
      const result = syscall(nr.bind, fd, base + NAME, putSocketAddress(view, NAME, address, port));
      if (result >= 0) return fd;
      syscall(nr.close, fd);
      return result;
    },
    receive(fd, offset, room, origin) {
      if (origin === undefined) return syscall(nr.recvfrom, fd, memory.address + offset, room, 0, 0, 0);
      putMessage(offset, room, SOCKADDR_IN6.SIZE, CONTROL_BYTES);
      const length = syscall(nr.recvmsg, fd, base + MESSAGE, 0);
      if (length < 0) return length;
      origin.port = takeSocketAddress(view, NAME, origin.address);
      const found = findControl(IPPROTO_IP, IP_PKTINFO, IPPROTO_IPV6, IPV6_PKTINFO);
      takeLocal(view, found, isIpv4(origin.address), origin.local);
      return length;
    },
    send: (fd, offset, length) => syscall(nr.sendto, fd, memory.address + offset, length, MSG_NOSIGNAL, 0, 0),
    answer(fd, offset, length, local, address, port) {
      const isV4 = isIpv4(address);
      const dataBytes = isV4 ? IN_PKTINFO.SIZE : IN6_PKTINFO.SIZE;
      putMessage(offset, length, putSocketAddress(view, NAME, address, port), (CMSGHDR.SIZE + dataBytes + 7) & ~7);
      putWord(view, CONTROL + CMSGHDR.length, CMSGHDR.SIZE + dataBytes);
      view.setInt32(CONTROL + CMSGHDR.level, isV4 ? IPPROTO_IP : IPPROTO_IPV6, true);
      view.setInt32(CONTROL + CMSGHDR.type, isV4 ? IP_PKTINFO : IPV6_PKTINFO, true);
      putLocal(view, CONTROL + CMSGHDR.SIZE, local);
      return syscall(nr.sendmsg, fd, base + MESSAGE, MSG_NOSIGNAL);
    },
    setHopLimit: (fd, family, hopLimit) =>
      family === 4
        ? setOption(fd, IPPROTO_IP, IP_TTL, hopLimit)
        : setOption(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hopLimit),
    takeError(fd, offset, room, into) {
      putMessage(offset, room, SOCKADDR_IN6.SIZE, CONTROL_BYTES);
      const length = syscall(nr.recvmsg, fd, base + MESSAGE, MSG_ERRQUEUE);
      if (length < 0) return false;
      const found = findControl(IPPROTO_IP, IP_RECVERR, IPPROTO_IPV6, IPV6_RECVERR);
      const origin = found === 0 ? 0 : view.getUint8(found + SOCK_EXTENDED_ERR.origin);
      const isFromNetwork = origin === SO_EE_ORIGIN_ICMP || origin === SO_EE_ORIGIN_ICMP6;
      into.length = length;
      into.errno = found === 0 ? 0 : view.getUint32(found + SOCK_EXTENDED_ERR.errno, true);
      into.type = isFromNetwork ? view.getUint8(found + SOCK_EXTENDED_ERR.type) : -1;
      into.code = isFromNetwork ? view.getUint8(found + SOCK_EXTENDED_ERR.code) : 0;
      into.mtu = found === 0 ? 0 : view.getUint32(found + SOCK_EXTENDED_ERR.info, true);
      if (isFromNetwork) takeSocketAddress(view, found + SOCK_EXTENDED_ERR.SIZE, into.offender);
      return true;
    },
    close: (fd) => void syscall(nr.close, fd),
  };
}

/** Writes a word of 64 bits; addresses of memory stay below 2^53. */
function putWord(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 0x1_0000_0000, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** Which of our addresses a datagram came to. @param at Of `in_pktinfo` or `in6_pktinfo`; 0: the kernel has not told. */
function takeLocal(view: DataView, at: number, isV4: boolean, into: IpAddress): void {
  into.a = isV4 || at === 0 ? 0 : view.getInt32(at);
  into.b = isV4 || at === 0 ? 0 : view.getInt32(at + 4);
  into.c = isV4 ? V4_MARK : at === 0 ? 0 : view.getInt32(at + 8);
  into.d = at === 0 ? 0 : view.getInt32(isV4 ? at + IN_PKTINFO.local : at + 12);
}

/** Writes the address that a datagram is to come from, of whichever interface. */
function putLocal(view: DataView, at: number, local: IpAddress): void {
  if (isIpv4(local)) {
    view.setUint32(at + IN_PKTINFO.index, 0);
    view.setInt32(at + IN_PKTINFO.local, local.d);
    view.setUint32(at + IN_PKTINFO.destination, 0);
    return;
  }
  view.setInt32(at, local.a);
  view.setInt32(at + 4, local.b);
  view.setInt32(at + 8, local.c);
  view.setInt32(at + 12, local.d);
  view.setUint32(at + IN6_PKTINFO.index, 0);
}
