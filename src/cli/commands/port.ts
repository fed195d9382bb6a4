import { parsePort } from "#docker/ports.ts";
import { formatHostPort, listPorts, publishedPorts } from "#engine/describe/describe_networks.ts";
import { requireRunning } from "#engine/inside/require_running.ts";
import { networkContext, portWishOf } from "#engine/network/networking.ts";
import { findContainer } from "#engine/record/containers.ts";
import { addPorts, removePorts } from "#network/change_ports.ts";
import { DugoutError } from "#oci/error.ts";
import { openContainerContext } from "../context.ts";
import type { Invocation } from "../invocation.ts";
import { printOut } from "../output.ts";
import { recordOf } from "./containers.ts";
import { withLatest } from "./latest.ts";

/** `dugout port` */
export async function runPort({ options, args, global }: Invocation): Promise<number> {
  const engine = await openContainerContext(global);
  const [container = "", wanted] = withLatest(engine, { options, args });
  const { id, name } = recordOf(findContainer(engine, container));
  const shown = listPorts(publishedPorts(engine, id));
  if (wanted === undefined) {
    printOut(shown.map((one) => `${one.port} -> ${formatHostPort(one)}\n`).join(""));
    return 0;
  }
  if (!/^[0-9]{1,5}(?:\/(?:tcp|udp|sctp))?$/.test(wanted)) {
    throw new DugoutError("PORT_INVALID", `invalid port '${wanted}'`, {
      hint: "it is a number, and /tcp, /udp or /sctp",
    });
  }
  const port = wanted.includes("/") ? wanted : `${wanted}/tcp`;
  const found = shown.filter((one) => one.port === port);
  if (found.length === 0) {
    throw new DugoutError("PORT_NOT_PUBLISHED", `no public port '${port}' published for ${name}`);
  }
  printOut(found.map((one) => `${formatHostPort(one)}\n`).join(""));
  return 0;
}

/** `dugout port add`: until the container ends. */
export async function runAddPort({ args: [container = "", ...texts], global }: Invocation): Promise<number> {
  const wishes = texts.map((text) => portWishOf(parsePort(text)));
  const engine = await openContainerContext(global);
  const { id } = requireRunning(engine, container);
  const before = publishedPorts(engine, id).length;
  await addPorts(networkContext(engine), id, wishes);
  const added = listPorts(publishedPorts(engine, id).slice(before));
  printOut(added.map((one) => `${one.port} -> ${formatHostPort(one)}\n`).join(""));
  return 0;
}

/** `dugout port rm`: by the host's ports where they are named, else by the container's. */
export async function runRemovePort({ args: [container = "", ...texts], global }: Invocation): Promise<number> {
  const wishes = texts.map((text) => portWishOf(parsePort(text)));
  const engine = await openContainerContext(global);
  const { id, name } = requireRunning(engine, container);
  for (const [index, wish] of wishes.entries()) {
    const wasThere = await removePorts(
      networkContext(engine),
      id,
      (port) =>
        port.protocol === wish.protocol && port.containerPort === wish.containerPorts.first &&
        port.count === wish.containerPorts.last - wish.containerPorts.first + 1 &&
        (wish.hostPorts === undefined || port.hostPort === wish.hostPorts.first) &&
        (wish.hostAddress === undefined || port.hostAddress === wish.hostAddress),
    );
    if (!wasThere) {
      throw new DugoutError("PORT_NOT_PUBLISHED", `no public port '${texts[index]}' published for ${name}`, {
        hint: `'dugout port ${name}' lists them`,
      });
    }
  }
  return 0;
}
