/**
 * Addresses of the stack as the kernel's socket addresses.
 *
 * @module
 */
import { putSockaddrIn, putSockaddrIn6, SOCKADDR_IN, SOCKADDR_IN6 } from "#linux/inet.ts";
import { AF_INET } from "#linux/socket.ts";
import { type IpAddress, isIpv4, V4_MARK } from "../ip_address.ts";

/** Writes one. @returns Its size. */
export function putSocketAddress(view: DataView, at: number, address: IpAddress, port: number): number {
  return isIpv4(address)
    ? putSockaddrIn(view, at, address.d, port)
    : putSockaddrIn6(view, at, address.a, address.b, address.c, address.d, port);
}

/** Reads one. @returns The port. */
export function takeSocketAddress(view: DataView, at: number, into: IpAddress): number {
  const isV4 = view.getUint16(at, true) === AF_INET;
  const address = at + (isV4 ? SOCKADDR_IN.address : SOCKADDR_IN6.address);
  into.a = isV4 ? 0 : view.getInt32(address);
  into.b = isV4 ? 0 : view.getInt32(address + 4);
  into.c = isV4 ? V4_MARK : view.getInt32(address + 8);
  into.d = view.getInt32(isV4 ? address : address + 12);
  return view.getUint16(at + 2);
}
