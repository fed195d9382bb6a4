import { addressOf, allocate } from "#ffi/mod.ts";
import { call, expectResult, type Fd, tryCall } from "./call.ts";
import { close } from "./file.ts";
import { AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM } from "./socket.ts";

/** `struct sockaddr_un` (unix(7)): the family as u16, then the name; a leading NUL means an abstract one. */
const SOCKADDR_UN = { family: 0, name: 2, NAME_BYTES: 108 } as const;

/**
 * Sends one datagram to a unix socket.
 * @param name Its path; with `@` in front, the name of an abstract one, as sd_notify(3) writes it.
 * @throws {RangeError} When the name is too long for an address.
 */
export function sendDatagram(name: string, text: string): void {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length >= SOCKADDR_UN.NAME_BYTES) throw new RangeError(`Socket name of ${bytes.length} bytes is too long`);
  const address = allocate(SOCKADDR_UN.name + SOCKADDR_UN.NAME_BYTES);
  new DataView(address.buffer).setUint16(SOCKADDR_UN.family, AF_UNIX, true);
  address.set(bytes, SOCKADDR_UN.name);
  const isAbstract = name.startsWith("@");
  if (isAbstract) address[SOCKADDR_UN.name] = 0;
  // a path ends with its NUL, an abstract name with its length
  const length = SOCKADDR_UN.name + bytes.length + (isAbstract ? 0 : 1);
  const payload = new TextEncoder().encode(text);
  const data = allocate(payload.length);
  data.set(payload);
  const socket = call("socket", "unix datagrams", AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) as Fd;
  try {
    const sent = tryCall("sendto", socket, addressOf(data), data.length, MSG_NOSIGNAL, addressOf(address), length);
    expectResult(sent, "sendto", name);
  } finally {
    close(socket);
  }
}
