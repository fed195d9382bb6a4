import { addressOf, allocate } from "#ffi/mod.ts";
import { call, expectResult, type Fd, tryCall } from "./call.ts";
import { close } from "./file.ts";
import { AF_UNIX, encodeUnixAddress, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM } from "./socket.ts";

/**
 * Sends one datagram to a unix socket.
 * @param name Its path; with `@` in front, the name of an abstract one, as sd_notify(3) writes it.
 * @throws {RangeError} When the name is too long for an address.
 */
export function sendDatagram(name: string, text: string): void {
  const address = encodeUnixAddress(name);
  const payload = new TextEncoder().encode(text);
  const data = allocate(payload.length);
  data.set(payload);
  const socket = call("socket", "unix datagrams", AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) as Fd;
  try {
    const { bytes, length } = address;
    const sent = tryCall("sendto", socket, addressOf(data), data.length, MSG_NOSIGNAL, addressOf(bytes), length);
    expectResult(sent, "sendto", name);
  } finally {
    close(socket);
  }
}
