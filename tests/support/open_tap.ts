/** Run inside a network namespace: opens the tap of the name that it is given, and sends it by descriptor 3. */
import { call, type Fd } from "#linux/call.ts";
import { AT_FDCWD, O_RDWR, openAt } from "#linux/file.ts";
import { IFF_NO_PI, IFF_TAP, IFF_VNET_HDR, TUNSETIFF, TUNSETOFFLOAD } from "#linux/ioctl.ts";
import { sendWithFd } from "#linux/socket.ts";
import { addressOf, allocate } from "#ffi/mod.ts";

const TUN_F_CSUM_TSO4_TSO6 = 1 | 2 | 4;

const tap = openAt(AT_FDCWD, "/dev/net/tun", O_RDWR);
const request = allocate(40);
request.set(new TextEncoder().encode(process.argv[2]));
new DataView(request.buffer).setUint16(16, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, true);
call("ioctl", "TUNSETIFF", tap, TUNSETIFF, addressOf(request));
call("ioctl", "TUNSETOFFLOAD", tap, TUNSETOFFLOAD, TUN_F_CSUM_TSO4_TSO6);
const byte = allocate(1);
sendWithFd(3 as Fd, byte, tap);
