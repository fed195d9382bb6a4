/**
 * A `.container` file → a service that runs the container in the foreground: its processes are the unit's, in the unit's
 * control group; what it writes goes to the journal; its exit code is the unit's, so that `Restart=` works.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseNetwork } from "#docker/network.ts";
import { isRunFlag } from "#docker/read_run.ts";
import { findRefusal, refuseNetwork } from "#docker/refused.ts";
import { DugoutError } from "#oci/error.ts";
import { CONTAINER_KEYS } from "./container_keys.ts";
import { quadletError } from "./error.ts";
import { joinNetwork, splitNetwork } from "./network_options.ts";
import { entryError, readAllWords, readFlags, readSwitch, readValue, readWords } from "./keys.ts";
import { commandLine, makeService, serviceName } from "./service.ts";
import { type QuadletContext, type Service, type Source, stemOf, templateOf } from "./source.ts";
import { type Entry, lastEntry, listEntries } from "./unit_file.ts";

/** A flag of `run` on its way: where it comes from tells of errors. */
interface RunFlag {
  readonly name: string;
  readonly value: string;
  readonly entry: Entry;
}

/** The container's name: as the file says, else `systemd-` and the unit's. */
export function containerName(source: Source): string {
  const named = readValue(source.unit.get("Container") ?? [], "ContainerName");
  if (named !== undefined) return named;
  return templateOf(stemOf(source.file)) === undefined ? `systemd-${stemOf(source.file)}` : "systemd-%p_%i";
}

/**
 * Converts a `.container` file.
 * @throws {DugoutError} QUADLET_INVALID.
 */
export function convertContainer(source: Source, context: QuadletContext): Service {
  const entries = source.unit.get("Container");
  if (entries === undefined) throw quadletError(source.path, undefined, "it has no section [Container]");
  const needs: string[] = [];
  const flags: RunFlag[] = [
    ...readFlags("Container", entries, CONTAINER_KEYS),
    ...ownFlags(source, entries, context, needs),
  ];
  for (const flag of flags) checkFlag(flag);
  const name = containerName(source);
  const isOneshot = checkServiceSection(source);
  const notify = isOneshot ? [] : [`--sdnotify=${notifyMode(entries)}`];
  const global = readAllWords(entries, "GlobalArgs");
  const run = [
    ...global,
    "run",
    `--name=${name}`,
    "--replace",
    "--rm",
    ...notify,
    ...flags.map(({ name, value }) => `--${name}=${value}`),
    ...readAllWords(entries, "PodmanArgs"),
    ...readRoot(source, entries, context, needs),
  ];
  return makeService(source, context, {
    name: serviceName(source, readValue(entries, "ServiceName")),
    needs,
    defaults: [
      ["Type", "notify"],
      // the signal goes to us alone, who pass it on; what is left is killed as a whole
      ["KillMode", "mixed"],
      // limits of the container are set in the unit's own control group
      ["Delegate", "yes"],
      // ended by the signal that asked it to is no failure
      ["SuccessExitStatus", "143"],
    ],
    lines: [
      ...(isOneshot ? [] : [["NotifyAccess", "all"] as const]),
      ["Environment", "DUGOUT_SYSTEMD_UNIT=%n"],
      ["ExecStart", commandLine(context, run)],
      ["ExecStop", commandLine(context, [...global, "stop", name])],
      ...reloadLines(entries, global, name, context),
    ],
  });
}

/** Refuses a flag that cannot be had, with its own reason. What holds specifiers is checked when it runs. */
function checkFlag({ name, value, entry }: RunFlag): void {
  if (!isRunFlag(name)) throw entryError(entry, `${entry.key}= cannot be had: 'dugout run' has no --${name}`);
  const refusal = findRefusal(name, value);
  if (refusal !== undefined) throw entryError(entry, `${entry.key}= cannot be had: ${refusal.reason}`, refusal.hint);
}

/** Checks `[Service]`. @returns Whether it is a command that ends. */
function checkServiceSection(source: Source): boolean {
  const entries = source.unit.get("Service") ?? [];
  for (const key of ["ExecStart", "ExecStop"]) {
    const entry = lastEntry(entries, key);
    if (entry !== undefined) throw entryError(entry, `${key}= is made from [Container]`);
  }
  const kill = lastEntry(entries, "KillMode");
  if (kill !== undefined && kill.value !== "mixed" && kill.value !== "control-group") {
    throw entryError(kill, `KillMode= is mixed or control-group, not "${kill.value}": containers would be left`);
  }
  const type = lastEntry(entries, "Type");
  if (type !== undefined && type.value !== "notify" && type.value !== "oneshot") {
    throw entryError(type, `Type= is notify or oneshot, not "${type.value}"`);
  }
  return type?.value === "oneshot";
}

/** Who says that the service is up: we, when the container runs; the container itself; its health check. */
function notifyMode(entries: readonly Entry[]): string {
  const entry = lastEntry(entries, "Notify");
  if (entry?.value === "healthy") {
    throw entryError(entry, "Notify=healthy cannot be had: 'dugout run' has no such mode");
  }
  return readSwitch(entries, "Notify") === true ? "container" : "conmon";
}

/** What is run: a directory or an image, then the words of `Exec=`. */
function readRoot(source: Source, entries: readonly Entry[], context: QuadletContext, needs: string[]): string[] {
  const image = readValue(entries, "Image");
  const rootfs = readValue(entries, "Rootfs");
  if ((image === undefined) === (rootfs === undefined)) {
    const why = image === undefined
      ? "neither Image= nor Rootfs= says what to run"
      : "Image= and Rootfs= exclude each other";
    throw quadletError(source.path, undefined, why);
  }
  const entrypoint = readEntrypoint(entries);
  const exec = lastEntry(entries, "Exec");
  const command = [...entrypoint.slice(1), ...(exec === undefined ? [] : readWords(exec))];
  const flags = entrypoint.length === 0 ? [] : [`--entrypoint=${entrypoint[0]}`];
  if (rootfs !== undefined) return [...flags, `--rootfs=${besideFile(source, rootfs)}`, ...command];
  return [
    ...flags,
    referTo(source, lastEntry(entries, "Image")!, image!, ["image", "build"], context, needs),
    ...command,
  ];
}

/** `Entrypoint=`: a program, or a JSON list of a program and its first arguments. */
function readEntrypoint(entries: readonly Entry[]): string[] {
  const text = readValue(entries, "Entrypoint");
  if (text === undefined) return [];
  if (!text.startsWith("[")) return [text];
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = undefined;
  }
  if (!Array.isArray(parsed) || parsed.length === 0 || !parsed.every((word) => typeof word === "string")) {
    throw entryError(lastEntry(entries, "Entrypoint")!, "Entrypoint= is a program, or a JSON list of strings");
  }
  return parsed;
}

/** Flags that need more than their value. */
function ownFlags(source: Source, entries: readonly Entry[], context: QuadletContext, needs: string[]): RunFlag[] {
  const flags: RunFlag[] = [];
  const add = (entry: Entry, name: string, value: string) => void flags.push({ name, value, entry });
  const forEach = (key: string, act: (entry: Entry) => void) => listEntries(entries, key).forEach(act);
  const forLast = (key: string, act: (entry: Entry, value: string) => void) => {
    const entry = lastEntry(entries, key);
    const value = readValue(entries, key);
    if (entry !== undefined && value !== undefined) act(entry, value);
  };

  forEach("AddDevice", (entry) => {
    for (const device of readWords(entry)) {
      // `-` in front: where it is there
      if (!device.startsWith("-")) add(entry, "device", device);
      else if (existsSync(device.slice(1).split(":")[0] ?? "")) add(entry, "device", device.slice(1));
    }
  });
  forLast("CgroupsMode", (entry, value) => {
    if (value !== "split") {
      throw entryError(entry, `CgroupsMode= is split, not "${value}": a unit's processes are its own`);
    }
  });
  forEach("EnvironmentFile", (entry) => {
    for (const path of readWords(entry)) add(entry, "env-file", besideFile(source, path));
  });
  forLast("Group", (entry) => {
    if (readValue(entries, "User") === undefined) throw entryError(entry, "Group= needs User=");
  });
  forLast("User", (entry, user) => {
    const group = readValue(entries, "Group");
    add(entry, "user", group === undefined ? user : `${user}:${group}`);
  });
  forLast("HealthCmd", (entry, value) => {
    if (value === "none") add(entry, "no-healthcheck", "true");
    else add(entry, "health-cmd", value);
  });
  forLast("HealthOnFailure", (entry, value) => {
    if (value !== "none") add(entry, "health-on-failure", value);
  });
  forLast("LogDriver", (entry, value) => {
    if (value === "none") throw entryError(entry, "LogDriver=none cannot be had: StandardOutput=null in [Service] can");
    if (value !== "journald" && value !== "passthrough") {
      throw entryError(
        entry,
        `LogDriver= is journald or passthrough, not "${value}": a unit's output is the journal's`,
      );
    }
  });
  for (const [key, option] of [["Mask", "mask"], ["Unmask", "unmask"]] as const) {
    forLast(key, (entry, value) => add(entry, "security-opt", `${option}=${value}`));
  }
  forLast("NoNewPrivileges", (entry) => {
    if (readSwitch(entries, "NoNewPrivileges") === true) add(entry, "security-opt", "no-new-privileges");
  });
  forLast("SeccompProfile", (entry, value) => {
    add(entry, "security-opt", `seccomp=${value === "unconfined" ? value : besideFile(source, value)}`);
  });
  forLast("SecurityLabelDisable", (entry) => {
    if (readSwitch(entries, "SecurityLabelDisable") === true) add(entry, "security-opt", "label=disable");
  });
  forEach("Network", (entry) => add(entry, "network", readNetwork(source, entry, context, needs)));
  forEach("Volume", (entry) => add(entry, "volume", readVolume(source, entry, context, needs)));
  forEach("Mount", (entry) => {
    for (const mount of readWords(entry)) add(entry, "mount", readMount(source, entry, mount, context, needs));
  });
  if (readSwitch(entries, "ReadOnly") === true && readSwitch(entries, "ReadOnlyTmpfs") !== false) {
    const taken = [...flags, ...readFlags("Container", entries, CONTAINER_KEYS)].map(({ value }) => value).join("\n");
    for (const target of ["/run", "/tmp", "/var/tmp"]) {
      // what the file mounts there itself comes first
      const isTaken = taken.split(/[\n:,=]/).includes(target);
      if (!isTaken) add(lastEntry(entries, "ReadOnly")!, "tmpfs", `${target}:exec`);
    }
  }
  return flags;
}

/** A path of the file's, from its directory; what begins with a specifier is systemd's to resolve. */
function besideFile(source: Source, path: string): string {
  return path.startsWith("/") || path.startsWith("%") ? path : join(dirname(source.path), path);
}

/** `Network=`: a kind that can be had, another file's network, or the network of another file's container. */
function readNetwork(source: Source, entry: Entry, context: QuadletContext, needs: string[]): string {
  if (entry.value.endsWith(".container")) {
    return `container:${referTo(source, entry, entry.value, ["container"], context, needs)}`;
  }
  const { name, options } = splitNetwork(entry.value);
  const text = joinNetwork(entry, { name: referTo(source, entry, name, ["network"], context, needs), options });
  if (text.includes("%")) return text;
  let refusal;
  try {
    refusal = refuseNetwork(parseNetwork(text).network.kind);
  } catch (error) {
    throw error instanceof DugoutError ? entryError(entry, error.message, error.hint) : error;
  }
  if (refusal === undefined) return text;
  throw entryError(entry, `Network=${entry.value} cannot be had: ${refusal.reason}`, refusal.hint);
}

/** `Volume=SOURCE:TARGET[:OPTIONS]`, its source a volume of another file, or a path beside this one. */
function readVolume(source: Source, entry: Entry, context: QuadletContext, needs: string[]): string {
  const [from = "", ...rest] = entry.value.split(":");
  if (rest.length === 0) return entry.value;
  if (from.endsWith(".volume")) return [referTo(source, entry, from, ["volume"], context, needs), ...rest].join(":");
  return [from.startsWith(".") ? besideFile(source, from) : from, ...rest].join(":");
}

/** The same for `Mount=type=volume,source=…`. */
function readMount(source: Source, entry: Entry, text: string, context: QuadletContext, needs: string[]): string {
  return text.split(",").map((field) => {
    const match = /^(source|src)=(.*)$/.exec(field);
    const [, key = "", from = ""] = match ?? [];
    if (match === null) return field;
    if (from.endsWith(".volume")) return `${key}=${referTo(source, entry, from, ["volume"], context, needs)}`;
    if (from.endsWith(".image")) return `${key}=${referTo(source, entry, from, ["image"], context, needs)}`;
    return from.startsWith(".") ? `${key}=${besideFile(source, from)}` : field;
  }).join(",");
}

/** The name of what another file makes, whose service is then needed; any other text is itself. */
function referTo(
  source: Source,
  entry: Entry,
  text: string,
  kinds: readonly string[],
  context: QuadletContext,
  needs: string[],
): string {
  if (!kinds.some((kind) => text.endsWith(`.${kind}`)) || text.includes("/")) return text;
  const resource = context.resources.get(text);
  if (resource === undefined) throw entryError(entry, `${entry.key}= names ${text}, which is not there`);
  if (resource.service !== serviceName(source, undefined) && !needs.includes(resource.service)) {
    needs.push(resource.service);
  }
  return resource.name;
}

function reloadLines(
  entries: readonly Entry[],
  global: readonly string[],
  name: string,
  context: QuadletContext,
): [string, string][] {
  const command = lastEntry(entries, "ReloadCmd");
  const signal = lastEntry(entries, "ReloadSignal");
  if (command !== undefined && signal !== undefined) {
    throw entryError(signal, "ReloadCmd= and ReloadSignal= exclude each other");
  }
  if (command === undefined && signal === undefined) return [];
  const words = command === undefined
    ? ["kill", "--signal", signal!.value, name]
    : ["exec", name, ...readWords(command)];
  return [["ExecReload", commandLine(context, [...global, ...words])]];
}
