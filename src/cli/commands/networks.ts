import { newEndpoint, parseNetworkAlias } from "#docker/network.ts";
import { parseIpv4, parseIpv6, parseMac } from "#docker/address.ts";
import { hasLabel } from "#engine/describe/filter_containers.ts";
import type { Engine } from "#engine/engine.ts";
import { networkEvent, noteEvent } from "#engine/events/events.ts";
import { connectContainer, disconnectContainer } from "#engine/network/connect_container.ts";
import { builtInNetworks, describeBuiltIn, describeNetwork, isBuiltIn } from "#engine/network/describe_network.ts";
import { networkContext } from "#engine/network/networking.ts";
import { findContainer } from "#engine/record/containers.ts";
import { parsePointInTime } from "#image/point_in_time.ts";
import { requireNetwork } from "#network/join.ts";
import { endpointsOf } from "#network/members.ts";
import { removeNetwork } from "#network/remove_network.ts";
import { makeNetwork, type NetworkSpec } from "#network/make_network.ts";
import { findNetwork, forgetNetwork, listNetworks, type Network } from "#network/network_file.ts";
import { DugoutError } from "#oci/error.ts";
import { escapeText, quote } from "#oci/text.ts";
import { askYesNo } from "../ask.ts";
import { openContainerContext, warn } from "../context.ts";
import { formatObjects } from "../format/inspect.ts";
import { formatRows, type ListShape, type Row } from "../format/rows.ts";
import { formatGoTime } from "../format/time.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, listOption, switchOption, textOption } from "../options.ts";
import { printError, printOut } from "../output.ts";
import { reportError } from "../report.ts";
import { usageError } from "../usage_error.ts";
import { recordOf } from "./containers.ts";

function splitPair(text: string): [name: string, value: string] {
  const equals = text.indexOf("=");
  return equals < 0 ? [text, ""] : [text.slice(0, equals), text.slice(equals + 1)];
}

/** Why drivers of docker's cannot be had. */
const DRIVER_REFUSALS: ReadonlyMap<string, string> = new Map([
  ["macvlan", "it takes a right on an interface of this machine, which only root has"],
  ["ipvlan", "it takes a right on an interface of this machine, which only root has"],
  ["overlay", "it is for swarms, and takes a right on an interface of this machine"],
  ["host", "there is one network of the host: --network host"],
  ["null", "there is one network of nobody: --network none"],
  ["none", "there is one network of nobody: --network none"],
]);

function refused(why: string): DugoutError {
  // what cannot be had is refused with 125, as flags are
  return new DugoutError("FLAG_REFUSED", `Cannot make the network: ${why}`);
}

const MTU_OPTIONS: ReadonlySet<string> = new Set(["com.docker.network.driver.mtu", "mtu"]);
const BRIDGE_OPTIONS: ReadonlySet<string> = new Set(["com.docker.network.bridge.name"]);
/** What is so anyway when it is asked for with this value. */
const TRUE_ANYWAY: ReadonlyMap<string, string> = new Map([
  ["com.docker.network.bridge.enable_icc", "true"],
  ["com.docker.network.bridge.enable_ip_masquerade", "true"],
  ["com.docker.network.bridge.gateway_mode_ipv4", "nat"],
  ["com.docker.network.bridge.gateway_mode_ipv6", "nat"],
]);

/** `dugout network create` */
export async function runCreateNetwork({ options, args, global }: Invocation): Promise<number> {
  const driver = textOption(options, "driver") || "bridge";
  if (driver !== "bridge") {
    throw refused(`there is no driver ${quote(driver)}: ${DRIVER_REFUSALS.get(driver) ?? "it is bridge"}`);
  }
  for (const flag of ["ingress", "config-only"]) {
    if (hasSwitch(options, flag)) throw refused(`--${flag} is for clusters, and this is none`);
  }
  if (textOption(options, "config-from")) throw refused("--config-from is for clusters, and this is none");
  const ipam = textOption(options, "ipam-driver") || "default";
  if (ipam !== "default") throw refused(`there is no driver of addresses ${quote(ipam)}: it is default`);
  if (listOption(options, "ipam-opt").length > 0) throw refused("the driver of addresses has no options");
  const scope = textOption(options, "scope") || "local";
  if (scope !== "local") throw refused(`there is no scope ${quote(scope)}: it is local`);
  const engine = await openContainerContext(global);
  const given = listOption(options, "opt").map(splitPair);
  const spec: NetworkSpec = {
    name: args[0] ?? "",
    internal: hasSwitch(options, "internal"),
    attachable: hasSwitch(options, "attachable"),
    ipv4: switchOption(options, "ipv4") ?? true,
    ipv6: hasSwitch(options, "ipv6"),
    subnets: splitLists(listOption(options, "subnet")),
    gateways: splitLists(listOption(options, "gateway")),
    ranges: splitLists(listOption(options, "ip-range")),
    reserved: listOption(options, "aux-address").map(splitPair),
    ...readDriverOptions(given),
    labels: listOption(options, "label").map(splitPair),
    options: given,
  };
  const { network, isNew } = await makeNetwork(engine, spec, hasSwitch(options, "ignore"));
  if (isNew) noteEvent(engine, networkEvent(network, "create"));
  printOut(`${network.id}\n`);
  return 0;
}

/** Docker takes several values in one, with commas between. */
function splitLists(values: readonly string[]): string[] {
  return values.flatMap((value) => value.split(",")).map((value) => value.trim()).filter((value) => value !== "");
}

function readDriverOptions(
  given: readonly (readonly [string, string])[],
): Pick<NetworkSpec, "mtu" | "bridge" | "hostLoopback"> {
  let [mtu, bridge, hostLoopback]: [number?, string?, boolean?] = [];
  for (const [name, value] of given) {
    if (MTU_OPTIONS.has(name)) {
      if (!/^[0-9]{1,5}$/.test(value) || Number(value) < 576 || Number(value) > 65_520) {
        throw refused(`${name}=${quote(value)} is no number from 576 to 65520`);
      }
      mtu = Number(value);
    } else if (BRIDGE_OPTIONS.has(name)) {
      if (!/^[A-Za-z0-9_.-]{1,15}$/.test(value)) {
        throw refused(`${name}=${quote(value)} is no name of a link: 1 to 15 letters and digits`);
      }
      bridge = value;
    } else if (name === "host-loopback" && (value === "true" || value === "false" || value === "")) {
      hostLoopback = value !== "false";
    } else if (TRUE_ANYWAY.get(name) !== value) {
      throw refused(`there is no option ${name}=${quote(value)}`);
    }
  }
  return { mtu, bridge, hostLoopback: hostLoopback ?? false };
}

const SHAPE: ListShape = {
  noun: "network",
  headers: {
    ID: "NETWORK ID",
    Name: "NAME",
    Driver: "DRIVER",
    Scope: "SCOPE",
    IPv4: "IPV4",
    IPv6: "IPV6",
    Internal: "INTERNAL",
    Labels: "LABELS",
    CreatedAt: "CREATED AT",
  },
  columns: ["ID", "Name", "Driver", "Scope"],
};

/** What a row shows, of ours and of docker's two others. */
interface Listed {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly network: Network | undefined;
}

function listAll(engine: Engine, onDamaged: (name: string) => void): Listed[] {
  // it is there for whoever looks, though nobody has used it
  requireNetwork(engine, "bridge");
  const { networks, damaged } = listNetworks(engine.dataRoot);
  damaged.forEach(onDamaged);
  const ours = networks.map((network) => ({ id: network.id, name: network.name, driver: "bridge", network }));
  const others = builtInNetworks().map(({ id, name, driver }) => ({ id, name, driver, network: undefined }));
  return [...ours, ...others].sort((one, other) => one.name < other.name ? -1 : 1);
}

const LIST_FILTERS: readonly string[] = ["dangling", "driver", "id", "label", "name", "scope", "type"];

function checkFilter(text: string, allowed: readonly string[]): void {
  const [key] = splitPair(text);
  if (text.includes("=") && allowed.includes(key.replace(/!$/, ""))) return;
  throw new DugoutError(
    "FILTER_INVALID",
    `invalid filter ${quote(text)}: the filters here are ${allowed.map((name) => `${name}=`).join(", ")}`,
    { exitCode: 1 },
  );
}

function fitsFilters(
  { id, name, driver, network }: Listed,
  filters: readonly string[],
  isUsed: () => boolean,
): boolean {
  const pairs = filters.map(splitPair);
  const fits = (key: string, test: (value: string) => boolean): boolean => {
    const values = pairs.filter(([wanted]) => wanted === key).map(([, value]) => value);
    return values.length === 0 || values.some(test);
  };
  const labels = new Map(network?.labels ?? []);
  return fits("driver", (value) => driver === value) && fits("id", (value) => id.includes(value)) &&
    fits("name", (value) => name.includes(value)) && fits("scope", (value) => value === "local") &&
    fits("type", (value) => isBuiltIn(name) === (value === "builtin")) &&
    fits("dangling", (value) => (value === "true" || value === "1") === (!isBuiltIn(name) && !isUsed())) &&
    pairs.every(([key, value]) => key !== "label" || hasLabel(labels, value)) &&
    pairs.every(([key, value]) => key !== "label!" || !hasLabel(labels, value));
}

/** `dugout network ls` */
export async function runListNetworks({ options, global }: Invocation): Promise<number> {
  const filters = listOption(options, "filter");
  for (const text of filters) checkFilter(text, LIST_FILTERS);
  const engine = await openContainerContext(global);
  const context = networkContext(engine);
  const all = listAll(
    engine,
    (name) => warn(global, `the network ${quote(name)} cannot be read; 'dugout network rm' removes it`),
  );
  const chosen = all.filter((one) =>
    fitsFilters(one, filters, () => one.network !== undefined && endpointsOf(context, one.network).length > 0)
  );
  const shorten = (id: string) => hasSwitch(options, "no-trunc") ? id : id.slice(0, 12);
  const format = textOption(options, "format");
  if (hasSwitch(options, "quiet") && (format === undefined || format.startsWith("table"))) {
    printOut(chosen.map(({ id }) => `${shorten(id)}\n`).join(""));
    return 0;
  }
  printOut(formatRows(chosen.map((one) => describeRow(one, shorten)), SHAPE, format));
  return 0;
}

function describeRow({ id, name, driver, network }: Listed, shorten: (id: string) => string): Row {
  const createdMs = network === undefined ? Number.NaN : Date.parse(network.created);
  return {
    ID: shorten(id),
    Name: name,
    Driver: driver,
    Scope: "local",
    IPv4: String(network === undefined || network.ipv4 !== null),
    IPv6: String(network !== undefined && network.ipv6 !== null),
    Internal: String(network?.internal ?? false),
    Labels: (network?.labels ?? []).map(([key, value]) => `${key}=${value}`).join(","),
    CreatedAt: Number.isNaN(createdMs) ? "" : formatGoTime(createdMs),
  };
}

/** A network in docker's shape; undefined where there is none. */
export function findNetworkObject(engine: Engine, text: string): unknown {
  const other = builtInNetworks().find(({ id, name }) => name === text || (text.length >= 12 && id.startsWith(text)));
  if (other !== undefined) return describeBuiltIn(other);
  const network = text === "bridge" ? requireNetwork(engine, text) : findNetwork(engine.dataRoot, text);
  return network === undefined ? undefined : describeNetwork(networkContext(engine), network);
}

/** `dugout network inspect` */
export async function runInspectNetworks({ options, args, global }: Invocation): Promise<number> {
  const engine = await openContainerContext(global);
  const found = args.map((name) => ({ name, object: findNetworkObject(engine, name) }));
  const objects = found.flatMap(({ object }) => object === undefined ? [] : [object]);
  const format = textOption(options, "format");
  if (objects.length > 0 || format === undefined || format === "json") printOut(formatObjects(objects, format));
  const missing = found.filter(({ object }) => object === undefined);
  for (const { name } of missing) printError(`dugout: network ${escapeText(name, 300)} not found\n`);
  return missing.length === 0 ? 0 : 1;
}

/** `dugout network exists`: podman's; the exit code says it. */
export async function runNetworkExists({ args, global }: Invocation): Promise<number> {
  return findNetworkObject(await openContainerContext(global), args[0] ?? "") === undefined ? 1 : 0;
}

async function removeOne(engine: Engine, text: string): Promise<void> {
  if (text === "host" || text === "none" || text === "bridge") {
    throw new DugoutError("NETWORK_PREDEFINED", `${text} is a pre-defined network and cannot be removed`, {
      exitCode: 1,
    });
  }
  let network: Network;
  try {
    network = requireNetwork(engine, text);
  } catch (error) {
    // what cannot be read can still go
    if (!(error instanceof DugoutError) || error.code !== "NETWORK_DAMAGED") throw error;
    return forgetNetwork(engine.dataRoot, text);
  }
  await removeNetwork(networkContext(engine), network);
  noteEvent(engine, networkEvent(network, "destroy"));
}

/** `dugout network rm` */
export async function runRemoveNetworks({ options, args, global }: Invocation): Promise<number> {
  const engine = await openContainerContext(global);
  let exitCode = 0;
  for (const name of args) {
    try {
      await removeOne(engine, name);
      printOut(`${name}\n`);
    } catch (error) {
      const isUnknown = error instanceof DugoutError && error.code === "NETWORK_UNKNOWN";
      if (isUnknown && hasSwitch(options, "force")) continue;
      exitCode = reportError(error, { failureExitCode: 1, debug: global.debug });
      if (isUnknown) exitCode = 1;
    }
  }
  return exitCode;
}

/** Docker's list of what was removed. */
export function tellPrunedNetworks(names: readonly string[]): void {
  if (names.length > 0) printOut(`Deleted Networks:\n${names.join("\n")}\n\n`);
}

/** Removes networks that nobody is in. @returns Their names. */
export async function pruneNetworks(engine: Engine, filters: readonly string[]): Promise<string[]> {
  const context = networkContext(engine);
  const untils = filters.map(splitPair).filter(([key]) => key === "until").map(([, value]) =>
    parsePointInTime(value, Date.now())
  );
  const names: string[] = [];
  for (const network of listNetworks(engine.dataRoot).networks) {
    const listed = { id: network.id, name: network.name, driver: "bridge", network };
    if (isBuiltIn(network.name) || endpointsOf(context, network).length > 0) continue;
    if (!fitsFilters(listed, filters, () => false)) continue;
    if (untils.some((until) => Date.parse(network.created) >= until)) continue;
    try {
      await removeOne(engine, network.name);
      names.push(network.name);
    } catch (error) {
      // somebody has joined or removed it meanwhile
      if (!(error instanceof DugoutError)) throw error;
    }
  }
  return names;
}

/** `dugout network prune` */
export async function runPruneNetworks({ options, global }: Invocation): Promise<number> {
  const filters = listOption(options, "filter");
  for (const text of filters) checkFilter(text, ["until", "label"]);
  const engine = await openContainerContext(global);
  if (!hasSwitch(options, "force")) {
    const question =
      "WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue?";
    if (!askYesNo(question)) return 0;
  }
  tellPrunedNetworks(await pruneNetworks(engine, filters));
  return 0;
}

/** `dugout network connect` */
export async function runConnectNetwork({ options, args, global }: Invocation): Promise<number> {
  for (const flag of ["link", "link-local-ip", "driver-opt"]) {
    if (listOption(options, flag).length > 0) {
      throw new DugoutError(
        "FLAG_REFUSED",
        `Cannot use --${flag} here: containers of a network find each other by name`,
      );
    }
  }
  const [network = "", name = ""] = args;
  const engine = await openContainerContext(global);
  const address = <T>(flag: string, parse: (text: string) => T | undefined): T | undefined => {
    const text = textOption(options, flag);
    const parsed = text === undefined ? undefined : parse(text);
    if (text !== undefined && parsed === undefined) {
      throw usageError(`invalid value ${quote(text)} for --${flag}`, 1, "");
    }
    return parsed;
  };
  const endpoint = {
    ...newEndpoint({ kind: "bridge", network }),
    aliases: listOption(options, "alias").map((text) => parseNetworkAlias(text, "--alias")),
    ipv4: address("ip", parseIpv4),
    ipv6: address("ip6", parseIpv6),
    macAddress: address("mac-address", parseMac),
    gatewayPriority: Number(textOption(options, "gw-priority") ?? 0),
  };
  const record = recordOf(findContainer(engine, name));
  await connectContainer(engine, record, endpoint);
  noteEvent(engine, networkEvent(requireNetwork(engine, network), "connect", record.id));
  return 0;
}

/** `dugout network disconnect` */
export async function runDisconnectNetwork({ options, args, global }: Invocation): Promise<number> {
  const [network = "", name = ""] = args;
  const engine = await openContainerContext(global);
  const record = recordOf(findContainer(engine, name));
  try {
    await disconnectContainer(engine, record, network);
  } catch (error) {
    if (hasSwitch(options, "force") && error instanceof DugoutError && error.code === "NOT_CONNECTED") return 0;
    throw error;
  }
  noteEvent(engine, networkEvent(requireNetwork(engine, network), "disconnect", record.id));
  return 0;
}
