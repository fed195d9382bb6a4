/**
 * A tap at a network's bridge: opened by the player in the shared namespace, and sent to whoever plays the tape. The tap is
 * there as long as its descriptor is.
 *
 * @module
 */
import { AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_RDWR } from "#linux/file.ts";
import {
  IFF_NO_PI,
  IFF_TAP,
  IFF_VNET_HDR,
  IFREQ,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUNSETIFF,
  TUNSETOFFLOAD,
} from "#linux/ioctl.ts";
import { setLinkByName } from "#linux/netlink.ts";
import { CMSGHDR, MSG_NOSIGNAL, rightsMessage } from "#linux/socket.ts";
import { operate, type Step, step, type TapeBuffer } from "#tape/step.ts";
import type { Netlink } from "./netlink_steps.ts";

/** The device that taps are made by. */
export const TUN_PATH = "/dev/net/tun";
/** By which the descriptor of the tap is sent. */
export const TAP_SOCKET_FD = 5;

const CONTROL_BYTES = CMSGHDR.SIZE + 8;

/** The buffers of {@linkcode tapSteps}. */
export const TAP_BUFFERS: readonly (readonly [string, TapeBuffer])[] = [
  ["tap byte", { sizeBytes: 8 }],
  ["tap control", { sizeBytes: CONTROL_BYTES, bytes: rightsMessage() }],
];

/** Makes the tap a port of the bridge of that index. */
export function tapSteps(
  netlink: Netlink,
  name: string,
  { bridgeIndex, mtu }: { bridgeIndex: number; mtu: number },
): Step[] {
  const request = new Uint8Array(IFREQ.SIZE);
  request.set(new TextEncoder().encode(name), IFREQ.name);
  new DataView(request.buffer).setUint16(IFREQ.flags, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, true);
  const message = {
    struct: [0, 0, { struct: [{ buffer: "tap byte" }, 1] }, 1, { buffer: "tap control" }, CONTROL_BYTES, 0],
  } as const;
  return [
    step("openat", [AT_FDCWD, TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0], "open", TUN_PATH, { id: "tap" }),
    step("ioctl", [{ result: "tap" }, TUNSETIFF, request], "make tap", name, {
      hints: {
        EBUSY: "a tap of that name is there: two stacks serve one network",
        EPERM: "the process has no rights over the network namespace",
      },
    }),
    step(
      "ioctl",
      [{ result: "tap" }, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6],
      "take segments by tap",
      name,
    ),
    ...netlink.request(
      setLinkByName(name, { up: true, mtuBytes: mtu, master: bridgeIndex }),
      "put at the bridge",
      name,
    ),
    operate("store", [{ buffer: "tap control", offset: CMSGHDR.SIZE }, { result: "tap" }, 4], "note the descriptor"),
    step("sendmsg", [TAP_SOCKET_FD, message, MSG_NOSIGNAL], "send", `tap ${name}`, { retry: true }),
  ];
}
