/**
 * Sockets: constants of socket(2), sendmsg(2) and cmsg(3), and descriptors that come over one. Both architectures have
 * the same numbers (asm-generic/socket.h, linux/socket.h).
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { call, expectResult, type Fd, tryCall } from "./call.ts";
import { errnoName, OsError } from "./errno.ts";
import { close } from "./file.ts";

export const AF_UNSPEC = 0;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const AF_ALG = 38;
export const AF_VSOCK = 40;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const MSG_PEEK = 0x02;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_WAITALL = 0x100;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x40000000;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_KEEPALIVE = 9;
export const SO_OOBINLINE = 10;
export const SO_LINGER = 13;
export const SO_PEERCRED = 17;
export const SHUT_WR = 1;
export const SCM_RIGHTS = 1;
export const SCM_CREDENTIALS = 2;

/** `struct msghdr` on 64 bits: addresses and u64, but for the two u32 `nameLength` and `flags`. */
export const MSGHDR = {
  name: 0,
  nameLength: 8,
  iov: 16,
  iovCount: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
  SIZE: 56,
} as const;

/** `struct cmsghdr` on 64 bits: a u64 and two s32, then the data, aligned to 8. */
export const CMSGHDR = { length: 0, level: 8, type: 12, SIZE: 16 } as const;

/** socketpair(2) of unix sockets, close-on-exec. @param flags More of them: SOCK_NONBLOCK. */
export function makeSocketPair(flags = 0): [Fd, Fd] {
  const pair = allocate(8);
  expectResult(
    tryCall("socketpair", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, addressOf(pair)),
    "socketpair",
    "",
  );
  const view = new DataView(pair.buffer);
  return [view.getInt32(0, true) as Fd, view.getInt32(4, true) as Fd];
}

/** A control message with one descriptor. */
const CMSG_FD_SIZE = CMSGHDR.SIZE + 8;

/**
 * Receives one descriptor that came with one byte over a unix socket (SCM_RIGHTS). Waits for it.
 * @returns The descriptor, close-on-exec, or undefined when the other end closed without sending one.
 */
export function receiveFd(socket: Fd): Fd | undefined {
  const byte = allocate(1);
  const iov = allocate(16);
  const control = allocate(CMSG_FD_SIZE);
  const message = allocate(MSGHDR.SIZE);
  const words = new DataView(message.buffer);
  const iovWords = new DataView(iov.buffer);
  iovWords.setBigUint64(0, BigInt(addressOf(byte)), true);
  iovWords.setBigUint64(8, 1n, true);
  words.setBigUint64(MSGHDR.iov, BigInt(addressOf(iov)), true);
  words.setBigUint64(MSGHDR.iovCount, 1n, true);
  words.setBigUint64(MSGHDR.control, BigInt(addressOf(control)), true);
  words.setBigUint64(MSGHDR.controlLength, BigInt(CMSG_FD_SIZE), true);
  let result: number;
  do result = tryCall("recvmsg", socket, addressOf(message), MSG_CMSG_CLOEXEC); while (result === -4);
  expectResult(result, "recvmsg", "unix socket");
  if (result === 0 || words.getBigUint64(MSGHDR.controlLength, true) < 20n) return undefined;
  return new DataView(control.buffer).getInt32(CMSGHDR.SIZE, true) as Fd;
}

/** The control message of one descriptor, for whoever sends it: that is to be stored (s32) at {@linkcode CMSGHDR}.SIZE. */
export function rightsMessage(): Uint8Array<ArrayBuffer> {
  const bytes = allocate(CMSG_FD_SIZE);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(CMSGHDR.length, BigInt(CMSGHDR.SIZE + 4), true);
  view.setInt32(CMSGHDR.level, SOL_SOCKET, true);
  view.setInt32(CMSGHDR.type, SCM_RIGHTS, true);
  return bytes;
}

/** Sends bytes over a unix socket, a descriptor with the first of them. Result or minus errno, as sendmsg(2). */
export function sendWithFd(socket: Fd, bytes: Uint8Array<ArrayBuffer>, fd: Fd): number {
  const iov = allocate(16);
  const control = rightsMessage();
  const message = allocate(MSGHDR.SIZE);
  new DataView(control.buffer).setInt32(CMSGHDR.SIZE, fd, true);
  const iovWords = new DataView(iov.buffer);
  iovWords.setBigUint64(0, BigInt(addressOf(bytes)), true);
  iovWords.setBigUint64(8, BigInt(bytes.length), true);
  const words = new DataView(message.buffer);
  words.setBigUint64(MSGHDR.iov, BigInt(addressOf(iov)), true);
  words.setBigUint64(MSGHDR.iovCount, 1n, true);
  words.setBigUint64(MSGHDR.control, BigInt(addressOf(control)), true);
  words.setBigUint64(MSGHDR.controlLength, BigInt(CMSG_FD_SIZE), true);
  let result: number;
  do result = tryCall("sendmsg", socket, addressOf(message), MSG_NOSIGNAL); while (result === -4);
  return result;
}

/** `struct sockaddr_un` (unix(7)): the family as u16, then the name; a leading NUL means an abstract one. */
export const SOCKADDR_UN = { family: 0, name: 2, NAME_BYTES: 108 } as const;

/**
 * The address of a unix socket.
 * @param name Its path; with `@` in front, the name of an abstract one, as sd_notify(3) writes it.
 * @throws {RangeError} When the name is too long for an address.
 */
export function encodeUnixAddress(name: string): { bytes: Uint8Array<ArrayBuffer>; length: number } {
  const text = new TextEncoder().encode(name);
  if (text.length >= SOCKADDR_UN.NAME_BYTES) throw new RangeError(`Socket name of ${text.length} bytes is too long`);
  const bytes = allocate(SOCKADDR_UN.name + SOCKADDR_UN.NAME_BYTES);
  new DataView(bytes.buffer).setUint16(SOCKADDR_UN.family, AF_UNIX, true);
  bytes.set(text, SOCKADDR_UN.name);
  const isAbstract = name.startsWith("@");
  if (isAbstract) bytes[SOCKADDR_UN.name] = 0;
  // a path ends with its NUL, an abstract name with its length
  return { bytes, length: SOCKADDR_UN.name + text.length + (isAbstract ? 0 : 1) };
}

/** `struct ucred` (unix(7)): three u32. */
const UCRED = { pid: 0, uid: 4, gid: 8, SIZE: 12 } as const;

/** The user whose process listens at the other end (SO_PEERCRED): by the kernel's word. */
export function readPeerUid(socket: Fd): number {
  const credentials = allocate(UCRED.SIZE);
  const length = allocate(4);
  new DataView(length.buffer).setUint32(0, UCRED.SIZE, true);
  const result = tryCall("getsockopt", socket, SOL_SOCKET, SO_PEERCRED, addressOf(credentials), addressOf(length));
  expectResult(result, "getsockopt", "unix socket");
  return new DataView(credentials.buffer).getUint32(UCRED.uid, true);
}

/**
 * Connects to a unix stream socket that somebody listens at.
 * @param path Shorter than 108 bytes: a longer one is reached through `/proc/self/fd/N` of its directory.
 * @throws {OsError} ENOENT, ECONNREFUSED where nobody listens. {RangeError} When the path is too long.
 */
export function connectStream(path: string): Fd {
  const { bytes, length } = encodeUnixAddress(path);
  const socket = call("socket", "unix stream", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) as Fd;
  const result = tryCall("connect", socket, addressOf(bytes), length);
  if (result >= 0) return socket;
  close(socket);
  throw new OsError({ call: "connect", object: path, code: errnoName(-result) });
}
