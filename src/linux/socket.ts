import { addressOf, allocate } from "#ffi/mod.ts";
import { expectResult, type Fd, tryCall } from "./call.ts";

const MSG_CMSG_CLOEXEC = 0x40000000;

/** `struct msghdr` and one `struct cmsghdr` with a descriptor, on 64-bit Linux (recvmsg(2), unix(7)). */
const MSGHDR = { iov: 16, iovLength: 24, control: 32, controlLength: 40, SIZE: 56 } as const;
const CMSG_FD = 16;
const CMSG_SIZE = 24;

/**
 * Receives one descriptor that came with one byte over a unix socket (SCM_RIGHTS). Waits for it.
 * @returns The descriptor, close-on-exec, or undefined when the other end closed without sending one.
 */
export function receiveFd(socket: Fd): Fd | undefined {
  const byte = allocate(1);
  const iov = allocate(16);
  const control = allocate(CMSG_SIZE);
  const message = allocate(MSGHDR.SIZE);
  const words = new DataView(message.buffer);
  const iovWords = new DataView(iov.buffer);
  iovWords.setBigUint64(0, BigInt(addressOf(byte)), true);
  iovWords.setBigUint64(8, 1n, true);
  words.setBigUint64(MSGHDR.iov, BigInt(addressOf(iov)), true);
  words.setBigUint64(MSGHDR.iovLength, 1n, true);
  words.setBigUint64(MSGHDR.control, BigInt(addressOf(control)), true);
  words.setBigUint64(MSGHDR.controlLength, BigInt(CMSG_SIZE), true);
  let result: number;
  do result = tryCall("recvmsg", socket, addressOf(message), MSG_CMSG_CLOEXEC); while (result === -4);
  expectResult(result, "recvmsg", "unix socket");
  if (result === 0 || words.getBigUint64(MSGHDR.controlLength, true) < 20n) return undefined;
  return new DataView(control.buffer).getInt32(CMSG_FD, true) as Fd;
}
