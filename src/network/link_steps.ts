/**
 * Links as steps: a network's bridge, and a container's link at it.
 *
 * @module
 */
import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "#linux/file.ts";
import { CLONE_NEWNET, CLONE_NEWUSER } from "#linux/namespaces.ts";
import { addAddress, addRoute, deleteLink, makeBridge, makeVeth, setLink } from "#linux/netlink.ts";
import { operate, type Step, step, type TapeBuffer } from "#tape/step.ts";
import type { Holder } from "./holder.ts";
import { holderNamespaces } from "./holder.ts";
import type { Endpoint, LinkState } from "./link_file.ts";
import type { Network } from "./network_file.ts";
import { Netlink } from "./netlink_steps.ts";
import { settingSteps } from "./setting_steps.ts";
import { addressBytes, parseAddress, parseSubnet } from "./subnet.ts";

const ENODEV = 19;

/** Joins the shared namespaces. */
export function joinSharedSteps(holder: Holder): Step[] {
  const { userNamespace, networkNamespace } = holderNamespaces(holder);
  const open = (path: string, id: string) =>
    step("openat", [AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0], "open", id, { id });
  return [
    open(userNamespace, "shared user namespace"),
    open(networkNamespace, "shared network namespace"),
    step("setns", [{ result: "shared user namespace" }, CLONE_NEWUSER], "join", "the shared user namespace"),
    step("setns", [{ result: "shared network namespace" }, CLONE_NEWNET], "join", "the shared network namespace"),
  ];
}

function macBytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (part) => Number.parseInt(part, 16));
}

/** Makes a network's bridge; it has no address: the stack on one of its ports is the gateway. */
export function bridgeSteps(netlink: Netlink, { bridge, bridgeIndex, network: { mtu } }: LinkState): Step[] {
  return netlink.request(
    makeBridge(bridgeIndex, { name: bridge, up: true, mtuBytes: mtu }),
    "make bridge",
    bridge,
    {
      hints: {
        EEXIST: "another network has a bridge of that name",
        EOPNOTSUPP: "this kernel has no bridges (module bridge)",
      },
    },
  );
}

export function removeLinkSteps(netlink: Netlink, name: string): Step[] {
  return netlink.request(deleteLink(name), "remove link", name, { tolerate: [ENODEV] });
}

/** A request that is a buffer of the tape, since a descriptor in it is known only then. */
export interface VethRequest {
  readonly steps: readonly Step[];
  readonly buffers: readonly (readonly [string, TapeBuffer])[];
}

/**
 * Makes a container's link and puts its other end at the bridge.
 * @param namespace The id of the step that has the container's network namespace as a descriptor.
 */
export function vethSteps(
  netlink: Netlink,
  endpoint: Endpoint,
  { bridgeIndex, mtu }: { readonly bridgeIndex: number; readonly mtu: number },
  namespace: string,
): VethRequest {
  const { bytes, namespaceAt } = makeVeth(
    { name: endpoint.port, index: endpoint.portIndex, up: true, mtuBytes: mtu, master: bridgeIndex },
    { name: endpoint.link, index: endpoint.index, mac: macBytes(endpoint.mac), mtuBytes: mtu },
  );
  const buffer = `veth ${endpoint.link}`;
  return {
    steps: [
      operate("store", [{ buffer, offset: namespaceAt }, { result: namespace }, 4], "note the namespace"),
      ...netlink.request({ buffer, sizeBytes: bytes.length }, "make link", `${endpoint.link} at the bridge`, {
        hints: {
          EEXIST: `the container has a link ${endpoint.link} already`,
          EOPNOTSUPP: "this kernel has no veth devices (module veth)",
          ENODEV: "the bridge of the network is gone",
          EADDRNOTAVAIL: "the MAC address is none that a link can have",
        },
      }),
    ],
    buffers: [[buffer, { sizeBytes: bytes.length, bytes }]],
  };
}

/** In the container's network namespace: its link gets its addresses; a gateway is where everything else goes. */
export function addressSteps(netlink: Netlink, endpoint: Endpoint, network: Network, isDefaultRoute: boolean): Step[] {
  const { link, index } = endpoint;
  const steps: Step[] = network.ipv6 === null
    ? settingSteps(`/proc/sys/net/ipv6/conf/${link}/disable_ipv6`, "1")
    // what is advertised is known already
    : settingSteps(`/proc/sys/net/ipv6/conf/${link}/accept_ra`, "0");
  for (const [text, range] of [[endpoint.ipv4, network.ipv4], [endpoint.ipv6, network.ipv6]] as const) {
    if (text === undefined || range === null) continue;
    const address = addressBytes(parseAddress(text)!);
    steps.push(
      ...netlink.request(
        addAddress(index, address, parseSubnet(range.subnet)!.bits),
        "give address",
        `${text} to ${link}`,
      ),
    );
  }
  steps.push(...netlink.request(setLink(index, { up: true }), "bring up", link));
  if (isDefaultRoute && !network.internal) {
    for (const [text, range] of [[endpoint.ipv4, network.ipv4], [endpoint.ipv6, network.ipv6]] as const) {
      if (text === undefined || range === null) continue;
      const gateway = addressBytes(parseAddress(range.gateway)!);
      steps.push(...netlink.request(addRoute({ gateway, link: index }), "add default route", `by ${range.gateway}`));
    }
  }
  return steps;
}
