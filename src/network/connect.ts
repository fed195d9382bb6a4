/**
 * Links of containers that run: made and removed by a tape of its own, which joins the shared namespaces and then the container's.
 *
 * @module
 */
import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "#linux/file.ts";
import { CLONE_NEWNET } from "#linux/namespaces.ts";
import { addRoute } from "#linux/netlink.ts";
import { playTape } from "#tape/play.ts";
import { type Step, step, type Tape } from "#tape/step.ts";
import type { JoinedNetwork } from "./attachment.ts";
import type { Holder } from "./holder.ts";
import { addressSteps, joinSharedSteps, removeLinkSteps, vethSteps } from "./link_steps.ts";
import { Netlink, NETLINK_BUFFERS } from "./netlink_steps.ts";
import { addressBytes, parseAddress } from "./subnet.ts";

const TARGET = "container network";

function openTarget(pid: number): Step {
  return step(
    "openat",
    [AT_FDCWD, `/proc/${pid}/ns/net`, O_RDONLY | O_CLOEXEC, 0],
    "open",
    "the container's network namespace",
    { id: TARGET },
  );
}

function enterTarget(): Step {
  return step("setns", [{ result: TARGET }, CLONE_NEWNET], "join", "the container's network namespace", {
    hints: { EPERM: "it does not belong to a container of a network: --network host and none cannot be connected" },
  });
}

/** Gives a running container a link. @param pid A process of it. @param isDefaultRoute Whether everything else goes by it. */
export function planConnect(
  holder: Holder,
  pid: number,
  { network, endpoint, bridgeIndex }: JoinedNetwork,
  isDefaultRoute: boolean,
): Tape {
  const [outer, inner] = [new Netlink("shared netlink"), new Netlink("own netlink")];
  const veth = vethSteps(outer, endpoint, { bridgeIndex, mtu: network.mtu }, TARGET);
  return {
    steps: [
      openTarget(pid),
      ...joinSharedSteps(holder),
      ...outer.open(),
      ...veth.steps,
      enterTarget(),
      ...inner.open(),
      ...addressSteps(inner, endpoint, network, isDefaultRoute),
    ],
    buffers: new Map([...NETLINK_BUFFERS, ...veth.buffers]),
    errorFd: 4,
  };
}

/** Takes a link away from a running container; what went by it goes by the other network from then on. */
export function planDisconnect(
  holder: Holder,
  pid: number,
  gone: JoinedNetwork,
  next: JoinedNetwork | undefined,
): Tape {
  const [outer, inner] = [new Netlink("shared netlink"), new Netlink("own netlink")];
  const gateways = next === undefined
    ? []
    : [next.network.ipv4, next.network.ipv6].flatMap((range) => range?.gateway ?? []);
  return {
    steps: [
      openTarget(pid),
      ...joinSharedSteps(holder),
      ...outer.open(),
      ...removeLinkSteps(outer, gone.endpoint.port),
      ...(next === undefined ? [] : [
        enterTarget(),
        ...inner.open(),
        ...gateways.flatMap((text) =>
          inner.request(
            addRoute({ gateway: addressBytes(parseAddress(text)!), link: next.endpoint.index }),
            "add default route",
            `by ${text}`,
          )
        ),
      ]),
    ],
    buffers: new Map(NETLINK_BUFFERS),
    errorFd: 4,
  };
}

/** Plays {@linkcode planConnect}. @throws {OsError} */
export function connectLink(...plan: Parameters<typeof planConnect>): void {
  playTape(planConnect(...plan));
}

/** Plays {@linkcode planDisconnect}. @throws {OsError} */
export function disconnectLink(...plan: Parameters<typeof planDisconnect>): void {
  playTape(planDisconnect(...plan));
}
