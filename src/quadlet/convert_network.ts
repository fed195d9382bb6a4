import { quadletError } from "./error.ts";
import {
  entryError,
  type KeyTable,
  list,
  onOff,
  own,
  readAllWords,
  readFlags,
  readSwitch,
  readValue,
  refused,
  words,
} from "./keys.ts";
import { commandLine, makeService, serviceName } from "./service.ts";
import { type QuadletContext, type Service, type Source, stemOf, templateOf } from "./source.ts";
import { type Entry, lastEntry } from "./unit_file.ts";

/** `[Network]`: podman's keys (podman-network.unit(5)), and what they become. */
const NETWORK_KEYS: KeyTable = new Map([
  ["ContainersConfModule", refused("containers.conf is podman's")],
  ["DNS", refused("a network has one name server, which knows its containers; DNS= in [Container] names others")],
  ["DisableDNS", refused("a network has always a name server, which knows its containers")],
  ["Driver", own()],
  ["Gateway", list("gateway")],
  ["GlobalArgs", own()],
  ["IPAMDriver", own()],
  ["IPRange", list("ip-range")],
  ["IPv6", onOff("ipv6")],
  ["InterfaceName", own()],
  ["Internal", onOff("internal")],
  ["Label", words("label")],
  ["NetworkDeleteOnStop", own()],
  ["NetworkName", own()],
  ["Options", words("opt")],
  ["PodmanArgs", own()],
  ["ServiceName", own()],
  ["Subnet", list("subnet")],
]);

/** The network's name: as the file says, else `systemd-` and the file's. */
export function networkName(source: Source): string {
  const named = readValue(source.unit.get("Network") ?? [], "NetworkName");
  if (named !== undefined) return named;
  return templateOf(stemOf(source.file)) === undefined ? `systemd-${stemOf(source.file)}` : "systemd-%p_%i";
}

/**
 * A `.network` file → a service that makes the network, if it is not there. One that is there stays as it is.
 * @throws {DugoutError} QUADLET_INVALID.
 */
export function convertNetwork(source: Source, context: QuadletContext): Service {
  const entries = source.unit.get("Network");
  if (entries === undefined) throw quadletError(source.path, undefined, "it has no section [Network]");
  const flags = readFlags("Network", entries, NETWORK_KEYS);
  checkDrivers(entries);
  const bridge = readValue(entries, "InterfaceName");
  const name = networkName(source);
  const global = readAllWords(entries, "GlobalArgs");
  const create = [
    ...global,
    "network",
    "create",
    "--ignore",
    ...flags.map((flag) => `--${flag.name}=${flag.value}`),
    ...(bridge === undefined ? [] : [`--opt=com.docker.network.bridge.name=${bridge}`]),
    ...readAllWords(entries, "PodmanArgs"),
    name,
  ];
  const isRemoved = readSwitch(entries, "NetworkDeleteOnStop") === true;
  return makeService(source, context, {
    name: serviceName(source, readValue(entries, "ServiceName")),
    needs: [],
    defaults: [["Type", "oneshot"], ["RemainAfterExit", "yes"]],
    lines: [
      ["ExecStart", commandLine(context, create)],
      ...(isRemoved
        ? [["ExecStopPost", commandLine(context, [...global, "network", "rm", "--force", name])] as const]
        : []),
    ],
  });
}

/** There is one driver of each sort; other names are told here, not at the start of the service. */
function checkDrivers(entries: readonly Entry[]): void {
  const driver = lastEntry(entries, "Driver");
  if (driver !== undefined && driver.value !== "" && driver.value !== "bridge") {
    throw entryError(driver, `Driver= is bridge, not "${driver.value}": others take rights that a user has not`);
  }
  const addresses = lastEntry(entries, "IPAMDriver");
  if (addresses !== undefined && addresses.value !== "" && addresses.value !== "host-local") {
    throw entryError(addresses, `IPAMDriver= is host-local, not "${addresses.value}": addresses are given from here`);
  }
}
