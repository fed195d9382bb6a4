/**
 * `network connect` and `disconnect`: what a container's record asks for is changed, and where it runs, its links too.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { encodeRequest } from "#docker/request_codec.ts";
import type { EndpointRequest, RunRequest } from "#docker/run_request.ts";
import { newEndpoint } from "#docker/network.ts";
import { connectLink, disconnectLink } from "#network/connect.ts";
import { findHolder } from "#network/holder.ts";
import { joinNetworks, leaveNetworks, requireNetwork } from "#network/join.ts";
import { memberships } from "#network/members.ts";
import type { Network } from "#network/network_file.ts";
import { DugoutError } from "#oci/error.ts";
import { openProcess } from "../record/exec_target.ts";
import { containerDirectory, writeRecord } from "../record/container_directory.ts";
import type { ContainerId } from "../record/container_id.ts";
import { type ContainerRecord, networkNames } from "../record/container_record.ts";
import { withContainerLock } from "../record/lock_container.ts";
import type { ContainerState } from "../record/container_state.ts";
import { readState } from "../record/state.ts";
import { readKeptRequest } from "../life/kept_container.ts";
import type { Engine } from "../engine.ts";
import { readSpecFile } from "../prepare/spec_file.ts";
import { networkContext } from "./networking.ts";
import { defaultNetworkKind, wantsNetworks } from "./wants_networks.ts";

function refuse(code: string, why: string): DugoutError {
  return new DugoutError(code, why, { exitCode: 1 });
}

/** The networks that a request names: what it would join. */
function namedEndpoints(request: RunRequest): EndpointRequest[] {
  const endpoints = request.endpoints.length > 0 ? request.endpoints : [newEndpoint(request.network)];
  return endpoints.map((endpoint) =>
    endpoint.network.kind === "default" ? { ...endpoint, network: { kind: "bridge", network: "bridge" } } : endpoint
  );
}

function isFor(engine: Engine, { network }: EndpointRequest, wanted: Network): boolean {
  return network.kind === "bridge" && requireNetwork(networkContext(engine), network.network).id === wanted.id;
}

function processOf(engine: Engine, { id, pid }: ContainerState): number {
  return openProcess(pid, readSpecFile(engine.dataRoot, id)?.init ?? false) ?? pid;
}

/**
 * Connects a container to a network.
 * @throws {DugoutError} NETWORK_UNKNOWN, CONNECT_IMPOSSIBLE, ALREADY_CONNECTED, and what joining throws.
 */
export async function connectContainer(
  engine: Engine,
  record: ContainerRecord,
  endpoint: EndpointRequest,
): Promise<void> {
  const context = networkContext(engine);
  const wanted = requireNetwork(context, endpoint.network.kind === "bridge" ? endpoint.network.network : "");
  await withContainerLock(engine, record.id, async () => {
    const kept = readKeptRequest(record);
    if (!wantsNetworks(kept.request)) {
      const kind = kept.request.network.kind === "default" ? defaultNetworkKind() : kept.request.network.kind;
      throw refuse(
        "CONNECT_IMPOSSIBLE",
        `container cannot be connected to network ${wanted.name}: it has the network mode ${kind}`,
      );
    }
    const before = namedEndpoints(kept.request);
    if (before.some((one) => isFor(engine, one, wanted))) {
      throw refuse("ALREADY_CONNECTED", `endpoint with name ${record.name} already exists in network ${wanted.name}`);
    }
    const state = readState(engine, record.id);
    if (state !== undefined) await connectRunning(engine, record, state, wanted, endpoint);
    const endpoints = [...before, endpoint];
    keepRequest(engine, record, { ...kept.request, network: endpoints[0]!.network, endpoints });
  });
}

async function connectRunning(
  engine: Engine,
  { id, name }: ContainerRecord,
  state: ContainerState,
  wanted: Network,
  { aliases, ipv4, ipv6, macAddress: mac }: EndpointRequest,
): Promise<void> {
  const context = networkContext(engine);
  const there = memberships(context, id);
  // the same everywhere
  const egress = there[0]?.endpoint.egress ?? [];
  const numbers = there.map(({ endpoint }) => Number(endpoint.link.replace("eth", "")));
  const firstLink = Math.max(-1, ...numbers) + 1;
  const wish = { network: wanted.id, aliases, ipv4, ipv6, mac };
  const { holder, networks } = await joinNetworks(context, { id, name, firstLink, ports: [], egress }, [wish]);
  const isFirstWay = !there.some(({ network }) => !network.internal);
  try {
    connectLink(holder, processOf(engine, state), networks[0]!, isFirstWay);
  } catch (error) {
    await leaveNetworks(context, id, [wanted.id]);
    throw error;
  }
}

/**
 * Disconnects a container from a network.
 * @throws {DugoutError} NETWORK_UNKNOWN, NOT_CONNECTED.
 */
export async function disconnectContainer(engine: Engine, record: ContainerRecord, network: string): Promise<void> {
  const context = networkContext(engine);
  const wanted = requireNetwork(context, network);
  await withContainerLock(engine, record.id, async () => {
    const kept = readKeptRequest(record);
    const before = wantsNetworks(kept.request) ? namedEndpoints(kept.request) : [];
    const after = before.filter((one) => !isFor(engine, one, wanted));
    if (after.length === before.length) {
      throw refuse("NOT_CONNECTED", `container ${record.id} is not connected to network ${wanted.name}`);
    }
    const state = readState(engine, record.id);
    const holder = findHolder(engine.runRoot);
    const there = memberships(context, record.id);
    const gone = there.find((one) => one.network.id === wanted.id);
    if (state !== undefined && holder !== undefined && gone !== undefined) {
      const hadWay = there.find((one) => !one.network.internal);
      const next = hadWay === gone ? there.find((one) => one !== gone && !one.network.internal) : undefined;
      disconnectLink(holder, processOf(engine, state), gone, next);
      await leaveNetworks(context, record.id, [wanted.id]);
    }
    keepRequest(engine, record, {
      ...kept.request,
      network: after[0]?.network ?? { kind: "none" },
      endpoints: after,
    });
  });
}

/** What the container is started with the next time. */
function keepRequest(engine: Engine, record: ContainerRecord, request: RunRequest): void {
  const { options } = readKeptRequest(record);
  const directory = containerDirectory(engine.dataRoot, engine.runRoot, record.id as ContainerId);
  const text = readFileSync(join(directory.path, "config.json"), "utf8");
  writeRecord(directory, {
    ...JSON.parse(text) as Record<string, unknown>,
    network: networkNames(request),
    request: encodeRequest(request, options),
  });
}
