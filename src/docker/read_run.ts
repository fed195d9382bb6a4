/**
 * The flags of `run` → a {@linkcode RunRequest} and {@linkcode RunOptions}.
 *
 * One table says for each flag what it changes; behind it stands what must agree between flags. A flag that nobody
 * understands here is an error, so that none is ignored.
 *
 * @module
 */
import { parseEgress } from "./egress.ts";
import { DugoutError } from "#oci/error.ts";
import { parsePlatform } from "#oci/platform.ts";
import { quote } from "#oci/text.ts";
import { parseCapabilityName } from "./capability_names.ts";
import { parseDetachKeys } from "./detach_keys.ts";
import { parseDevice } from "./device.ts";
import { type LookUp, mergeVariables, parseEnvFile, parseVariable, type Variable } from "./environment.ts";
import { flagConflict, flagError } from "./flag_error.ts";
import { parseHealthAction, parseHealthRetries, parseHealthTime } from "./health.ts";
import { parseDnsOption, parseDnsSearch, parseDnsServer, parseHostEntry, parseHostName } from "./hosts.ts";
import { parseLabel, parseLabelFile } from "./labels.ts";
import { checkLogRequest, parseLogDriver, parseLogOption } from "./log_options.ts";
import { parseMount } from "./mount.ts";
import { checkLimits, RUN_LIMIT_READERS } from "./limits.ts";
import * as names from "./names.ts";
import { parseCgroupnsMode, parseIpcMode, parsePidMode, parseUtsMode } from "./namespaces.ts";
import { newEndpoint, parseLink, parseNetwork, parseNetworkAlias } from "./network.ts";
import { parseExposedPort, parsePort } from "./ports.ts";
import { type FlagValues, refusalError, REFUSED, refuseFlags, refuseNetwork } from "./refused.ts";
import { parseRestartPolicy } from "./restart.ts";
import { parseTimeZone } from "./time_zone.ts";
import {
  DEFAULT_SHM_BYTES,
  type EndpointRequest,
  type MountRequest,
  newRunOptions,
  newRunRequest,
  type RunOptions,
  type RunRequest,
} from "./run_request.ts";
import { applySecurityOption } from "./security_opt.ts";
import { parseSize } from "./size.ts";
import { checkSysctlNamespaces, parseSysctl } from "./sysctl.ts";
import { parseBoolean } from "./boolean.ts";
import { checkNoNul, parseInteger } from "./text_rules.ts";
import { parseTmpfs } from "./tmpfs.ts";
import { parseUlimit } from "./ulimit.ts";
import { parseUserns } from "./userns.ts";
import { parseVolume } from "./volume.ts";
import { parseIp, parseIpv4, parseIpv6, parseMac } from "./address.ts";

/** What flags refer to: the caller's directory, environment and files. */
export interface RunContext {
  /** A path of the caller's from his directory: absolute. */
  readonly makeAbsolute: (path: string) => string;
  readonly lookUp: LookUp;
  /** All of the caller's variables, for `--env-host`. */
  readonly environment: () => Iterable<Variable>;
  /** Reads a file of the caller's (`--env-file`, `--label-file`, a seccomp profile). Throws what the user shall see. */
  readonly readFile: (path: string) => Uint8Array;
}

/** A run, read. */
export interface RunRead {
  readonly request: RunRequest;
  readonly options: RunOptions;
}

/** What is gathered while flags are read, and put together at the end. */
interface Draft extends RunRead {
  readonly context: RunContext;
  envHost: boolean;
  envJob: boolean;
  readonly envFiles: string[];
  readonly envTexts: string[];
  readonly labelFiles: string[];
  readonly labelTexts: string[];
  readonly volumes: MountRequest[];
  readonly mounts: MountRequest[];
  readonly tmpfs: MountRequest[];
  readonly endpoints: EndpointRequest[];
  /** `--ip`, `--network-alias` and others, which belong to the first network. */
  readonly endpointChanges: ((endpoint: EndpointRequest) => void)[];
}

/** Takes one value of a flag: `true` and `false` as text for a switch. */
type Reader = (draft: Draft, value: string, flag: string) => void;

function readSwitch(value: string, flag: string): boolean {
  const on = parseBoolean(value);
  if (on === undefined) throw flagError(flag, value, "it is true or false");
  return on;
}

/** For a flag whose value is kept as it is. */
function keepPath(set: (draft: Draft, value: string) => void): Reader {
  return (draft, value, flag) => {
    checkNoNul(flag, value);
    if (value === "") throw flagError(flag, value, "it is empty");
    set(draft, value);
  };
}

const healthTime =
  (key: "intervalNs" | "timeoutNs" | "startPeriodNs" | "startIntervalNs"): Reader => (draft, value, flag) => {
    const { health } = draft.request;
    if (health.kind === "image") health[key] = parseHealthTime(flag, value);
  };

/** The highest number of a descriptor that is passed on: those of ours lie above it, and the usual limit is 1024. */
const MOST_FDS = 900;

/** Done by others: the CLI's own, and what has no effect by design. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  "array",
  "batch",
  "job-name",
  "nodes",
  "ntasks",
  "sbatch",
  "time",
  "explain",
  "format",
  "help",
  "disable-content-trust",
  "isolation",
  "replace",
  "runtime",
  "sdnotify",
  "volume-driver",
]);

/** Flag, without dashes, → what it changes. */
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  // how it is started
  ["name", ({ options }, value) => void (options.name = names.parseContainerName(value))],
  ["rm", ({ options }, value, flag) => void (options.rm = readSwitch(value, flag))],
  ["interactive", ({ options }, value, flag) => void (options.interactive = readSwitch(value, flag))],
  ["tty", ({ options }, value, flag) => void (options.tty = readSwitch(value, flag))],
  ["detach", ({ options }, value, flag) => void (options.detach = readSwitch(value, flag))],
  ["attach", ({ options }, value) => void (options.attach ??= []).push(names.parseAttach(value))],
  ["detach-keys", ({ options }, value) => void (options.detachKeys = parseDetachKeys(value))],
  ["sig-proxy", ({ options }, value, flag) => void (options.sigProxy = readSwitch(value, flag))],
  ["cidfile", keepPath(({ options }, value) => options.cidfile = value)],
  ["pidfile", keepPath(({ options }, value) => options.pidfile = value)],
  ["pull", ({ options }, value) => void (options.pull = names.parsePullPolicy(value))],
  ["platform", ({ options }, value) => void (options.platform = value === "" ? undefined : parsePlatform(value))],
  ["quiet", ({ options }, value, flag) => void (options.quiet = readSwitch(value, flag))],
  ["tls-verify", ({ options }, value, flag) => void (options.tlsVerify = readSwitch(value, flag))],
  ["rootfs", (draft, value) => void (draft.options.rootfs = names.parseRootfs(value, draft.context.makeAbsolute))],

  // the process
  ["entrypoint", ({ request }, value, flag) => {
    checkNoNul(flag, value);
    request.entrypoint = value === "" ? [] : [value];
  }],
  ["env", ({ envTexts }, value) => void envTexts.push(value)],
  ["env-file", ({ envFiles }, value) => void envFiles.push(value)],
  ["env-host", (draft, value, flag) => void (draft.envHost = readSwitch(value, flag))],
  ["env-job", (draft, value, flag) => void (draft.envJob = readSwitch(value, flag))],
  ["preserve-fds", ({ options }, value, flag) => {
    const count = parseInteger(value, 0, MOST_FDS);
    if (count === undefined) throw flagError(flag, value, `it is a number from 0 to ${MOST_FDS}`);
    keepFds(options, Array.from({ length: count }, (_, index) => 3 + index));
  }],
  ["preserve-fd", ({ options }, value, flag) => {
    const numbers = value.split(",").map((text) => parseInteger(text, 3, MOST_FDS));
    if (numbers.includes(undefined)) {
      throw flagError(flag, value, `numbers from 3 to ${MOST_FDS} are wanted, such as 3,11`);
    }
    keepFds(options, numbers as number[]);
  }],
  ["unsetenv", ({ request }, value, flag) => {
    checkNoNul(flag, value);
    if (request.unsetEnv !== "all") request.unsetEnv.push(value);
  }],
  ["unsetenv-all", ({ request }, value, flag) => {
    if (readSwitch(value, flag)) request.unsetEnv = "all";
  }],
  ["tz", ({ mounts }, value) => void mounts.push(parseTimeZone(value))],
  ["workdir", ({ request }, value) => void (request.workingDir = names.parseWorkingDir(value))],
  ["user", ({ request }, value) => void (request.user = names.parseUserText(value, "--user"))],
  ["group-add", ({ request }, value) => void request.groupAdd.push(names.parseUserText(value, "--group-add"))],
  ["init", ({ request }, value, flag) => void (request.init = readSwitch(value, flag))],
  ["stop-signal", ({ request }, value) => void (request.stopSignal = names.parseStopSignal(value))],
  ["stop-timeout", ({ request }, value, flag) => {
    const seconds = parseInteger(value, -1, 2 ** 31 - 1);
    if (seconds === undefined) throw flagError(flag, value, "it is a number of seconds, or -1 for no end");
    request.stopTimeoutSeconds = seconds;
  }],
  ["label", ({ labelTexts }, value) => void labelTexts.push(value)],
  ["label-file", ({ labelFiles }, value) => void labelFiles.push(value)],
  ["annotation", ({ request }, value, flag) => void request.annotations.set(...parseLabel(value, flag))],
  ["health-cmd", ({ request: { health } }, value, flag) => {
    checkNoNul(flag, value);
    if (health.kind === "image") health.command = value === "" ? undefined : value;
  }],
  ["health-interval", healthTime("intervalNs")],
  ["health-timeout", healthTime("timeoutNs")],
  ["health-start-period", healthTime("startPeriodNs")],
  ["health-start-interval", healthTime("startIntervalNs")],
  ["health-on-failure", ({ request: { health } }, value) => {
    const action = parseHealthAction(value);
    if (health.kind === "image" && action !== undefined) health.onFailure = action;
  }],
  ["health-retries", ({ request: { health } }, value) => {
    if (health.kind === "image") health.retries = parseHealthRetries(value);
  }],
  ["restart", ({ request }, value) => void (request.restart = parseRestartPolicy(value))],
  ["log-driver", ({ request }, value) => void (request.log.driver = parseLogDriver(value))],
  ["log-opt", ({ request }, value) => void request.log.options.set(...parseLogOption(value))],

  // files
  ["volume", ({ volumes, context }, value) => void volumes.push(parseVolume(value, context.makeAbsolute))],
  ["mount", ({ mounts, context }, value) => void mounts.push(parseMount(value, context.makeAbsolute))],
  ["tmpfs", ({ tmpfs }, value) => void tmpfs.push(parseTmpfs(value))],
  ["volumes-from", ({ request }, value) => void request.volumesFrom.push(names.parseVolumesFrom(value))],
  ["device", ({ request }, value) => void request.devices.push(parseDevice(value))],
  ["read-only", ({ request }, value, flag) => void (request.readOnlyRoot = readSwitch(value, flag))],
  ["shm-size", ({ request }, value, flag) => {
    const bytes = value === "" ? 0 : parseSize(value);
    if (bytes === undefined) throw flagError(flag, value, "it is no size such as 64m or 1g");
    request.shmSizeBytes = bytes === 0 ? DEFAULT_SHM_BYTES : bytes;
  }],

  // network
  ["network", ({ endpoints }, value) => void endpoints.push(parseNetwork(value))],
  ["publish", ({ request }, value) => void request.ports.push(parsePort(value))],
  ["publish-all", ({ request }, value, flag) => void (request.publishAll = readSwitch(value, flag))],
  ["expose", ({ request }, value) => void request.exposedPorts.push(parseExposedPort(value))],
  ["hostname", ({ request }, value) => {
    request.hostname = value === "" ? undefined : parseHostName(value, "--hostname");
  }],
  ["domainname", ({ request }, value) => {
    request.domainname = value === "" ? undefined : parseHostName(value, "--domainname");
  }],
  ["add-host", ({ request }, value) => void request.extraHosts.push(parseHostEntry(value))],
  ["dns", ({ request }, value) => void request.dns.servers.push(parseDnsServer(value))],
  ["dns-search", ({ request }, value) => void request.dns.search.push(parseDnsSearch(value))],
  ["dns-option", ({ request }, value) => void request.dns.options.push(parseDnsOption(value))],
  ["egress", ({ request }, value) => void request.egress.push(...parseEgress(value))],
  ["link", ({ request }, value) => void request.links.push(parseLink(value))],
  ["network-alias", endpointChange((endpoint, value) => endpoint.aliases.push(parseNetworkAlias(value)))],
  ["ip", endpointChange((endpoint, value, need) => endpoint.ipv4 = need(parseIpv4(value), "IPv4 address"))],
  ["ip6", endpointChange((endpoint, value, need) => endpoint.ipv6 = need(parseIpv6(value), "IPv6 address"))],
  [
    "link-local-ip",
    endpointChange((endpoint, value, need) => endpoint.linkLocal.push(need(parseIp(value), "address"))),
  ],
  [
    "mac-address",
    endpointChange((endpoint, value, need) => endpoint.macAddress = need(parseMac(value), "MAC address")),
  ],

  // rights and limits
  ["privileged", ({ request }, value, flag) => void (request.privileged = readSwitch(value, flag))],
  ["cap-add", ({ request }, value) => void request.capAdd.push(parseCapabilityName(value, "--cap-add"))],
  ["cap-drop", ({ request }, value) => void request.capDrop.push(parseCapabilityName(value, "--cap-drop"))],
  ["security-opt", ({ request, context }, value) => applySecurityOption(request.security, value, context.readFile)],
  ["userns", ({ request }, value) => void (request.userns = parseUserns(value))],
  ["pid", ({ request }, value) => void (request.pid = parsePidMode(value))],
  ["ipc", ({ request }, value) => void (request.ipc = parseIpcMode(value))],
  ["uts", ({ request }, value) => void (request.uts = parseUtsMode(value))],
  ["cgroupns", ({ request }, value) => void (request.cgroupns = parseCgroupnsMode(value))],
  ...Array.from(RUN_LIMIT_READERS, ([flag, read]): [string, Reader] => [
    flag,
    ({ request }, value, flag) => read(request.limits, value, flag),
  ]),
  ["ulimit", ({ request }, value) => {
    const limit = parseUlimit(value);
    request.ulimits = [...request.ulimits.filter(({ name }) => name !== limit.name), limit];
  }],
  ["sysctl", ({ request }, value) => void request.sysctls.set(...parseSysctl(value))],
  ["oom-score-adj", ({ request }, value, flag) => {
    const score = parseInteger(value, -1000, 1000);
    if (score === undefined) throw flagError(flag, value, "it is a number from 0 to 1000");
    if (score < 0) throw flagError(flag, value, "a user can only raise it: 0 to 1000");
    request.oomScoreAdj = score === 0 ? undefined : score;
  }],
]);

type Need = <T>(parsed: T | undefined, what: string) => T;

function endpointChange(change: (endpoint: EndpointRequest, value: string, need: Need) => void): Reader {
  return ({ endpointChanges }, value, flag) => {
    const need: Need = (parsed, what) => {
      if (parsed === undefined) throw flagError(flag, value, `it is no ${what}`);
      return parsed;
    };
    endpointChanges.push((endpoint) => change(endpoint, value, need));
  };
}

/** Whether `run` knows a flag: as something to read, to refuse, or to leave to the CLI. */
export function isRunFlag(flag: string): boolean {
  return READERS.has(flag) || ELSEWHERE.has(flag) || flag === "no-healthcheck" || REFUSED.has(flag);
}

/**
 * Reads a run.
 * @param flags What was given, and nothing else: a flag that has its default is not there.
 * @param operands The image (none with `--rootfs`), then the command.
 * @throws {DugoutError} FLAG_INVALID, FLAG_REFUSED, FLAG_CONFLICT, ENV_TOO_LONG, LIST_FILE_INVALID, USAGE, and what
 *   `context.readFile` throws.
 */
export function readRun(flags: FlagValues, operands: readonly string[], context: RunContext): RunRead {
  refuseFlags(flags);
  const draft: Draft = {
    request: newRunRequest(undefined),
    options: newRunOptions(),
    context,
    envHost: false,
    envJob: false,
    envFiles: [],
    envTexts: [],
    labelFiles: [],
    labelTexts: [],
    volumes: [],
    mounts: [],
    tmpfs: [],
    endpoints: [],
    endpointChanges: [],
  };
  for (const [flag, value] of flags) {
    const reader = READERS.get(flag);
    if (reader !== undefined) {
      for (const text of typeof value === "object" ? value : [String(value)]) reader(draft, text, `--${flag}`);
    } else if (!isRunFlag(flag)) {
      throw new DugoutError("FLAG_INVALID", `Cannot use --${flag}: run does not know it`);
    }
  }
  readOperands(draft, operands);
  readHealthSwitch(draft.request, flags);
  readEnvironment(draft);
  readLabels(draft);
  readMounts(draft);
  readNetworks(draft);
  checkAgreement(draft.request, draft.options);
  return { request: draft.request, options: draft.options };
}

function readOperands(draft: Draft, operands: readonly string[]): void {
  const { request, options } = draft;
  const rest = [...operands];
  if (options.rootfs === undefined) {
    request.image = rest.shift();
    if (request.image === undefined || request.image === "") {
      throw new DugoutError("USAGE", "Cannot run without an image", {
        hint: "dugout run [OPTIONS] IMAGE [COMMAND] [ARG...]",
      });
    }
  }
  for (const argument of rest) checkNoNul("the command", argument);
  request.command = rest.length === 0 ? undefined : rest;
}

function readHealthSwitch(request: RunRequest, flags: FlagValues): void {
  const value = flags.get("no-healthcheck");
  if (value === undefined || !readSwitch(String(value), "--no-healthcheck")) return;
  const health = request.health;
  const { kind: _, ...said } = health;
  if (Object.values(said).some((field) => field !== undefined)) {
    throw flagConflict("--no-healthcheck cannot be given with --health-* flags");
  }
  request.health = { kind: "none" };
}

/** The caller's, then files, then `-e`: the later counts. */
function readEnvironment({ request, options, context, envHost, envJob, envFiles, envTexts }: Draft): void {
  const files = envFiles.flatMap((path) => parseEnvFile(context.readFile(path), path, context.lookUp));
  const given = envTexts.map((text) => parseVariable(text, context.lookUp)).filter((variable) =>
    variable !== undefined
  );
  const ofJob = envJob ? [...context.environment()].filter(([name]) => /^(?:SLURM|PMI|PMIX)_/.test(name)) : [];
  request.env = mergeVariables(envHost ? context.environment() : ofJob, files, given);
  // the socket by which a task talks to those of its kind: PMI of version 1 and 2
  const pmi = ofJob.find(([name]) => name === "PMI_FD")?.[1] ?? "";
  const fd = parseInteger(pmi, 3, MOST_FDS);
  if (fd !== undefined) keepFds(options, [fd]);
}

function keepFds(options: RunOptions, numbers: readonly number[]): void {
  options.preservedFds = [...new Set([...options.preservedFds, ...numbers])];
}

function readLabels({ request, context, labelFiles, labelTexts }: Draft): void {
  for (const path of labelFiles) {
    for (const [name, value] of parseLabelFile(context.readFile(path), path)) request.labels.set(name, value);
  }
  for (const text of labelTexts) request.labels.set(...parseLabel(text));
}

function readMounts({ request, volumes, mounts, tmpfs }: Draft): void {
  request.mounts = [...volumes, ...mounts, ...tmpfs];
  const targets = new Set<string>();
  for (const { target } of request.mounts) {
    if (targets.has(target)) throw flagConflict(`Cannot mount two things at ${quote(target)}`);
    targets.add(target);
  }
}

function readNetworks({ request, endpoints, endpointChanges }: Draft): void {
  for (const { network } of endpoints) {
    const refusal = refuseNetwork(network.kind);
    if (refusal !== undefined) throw refusalError("network", refusal);
  }
  const isLonely = (endpoint: EndpointRequest): boolean =>
    endpoint.network.kind !== "bridge" && endpoint.network.kind !== "default";
  if (endpoints.length > 1 && endpoints.some(isLonely)) {
    throw flagConflict("--network host, none and container:ID cannot be joined with another network");
  }
  const first = endpoints[0] ?? newEndpoint({ kind: "default" });
  for (const change of endpointChanges) change(first);
  request.endpoints = endpoints.length === 0 && endpointChanges.length === 0 ? [] : [first, ...endpoints.slice(1)];
  request.network = first.network;
}

/** How the network is shared, for the message. */
function sharedNetwork(kind: RunRequest["network"]["kind"]): string | undefined {
  return kind === "host" || kind === "container" ? `--network ${kind}` : undefined;
}

/** What must agree between flags, in Docker's rules. */
function checkAgreement(request: RunRequest, options: RunOptions): void {
  const { network, uts, ipc } = request;
  if (options.detach && options.attach !== undefined) throw flagConflict("--detach and --attach cannot both be given");
  if (options.rm && request.restart.kind !== "no") throw flagConflict("--rm and --restart cannot both be given");
  if (request.health.kind === "image" && request.health.onFailure === "restart") {
    if (options.rm) throw flagConflict("--health-on-failure restart and --rm cannot both be given");
    if (request.restart.kind !== "no") {
      throw flagConflict(
        "--health-on-failure restart and --restart cannot both be given: --health-on-failure kill does it",
      );
    }
  }
  if (request.hostname !== undefined || request.domainname !== undefined) {
    const flag = request.hostname !== undefined ? "--hostname" : "--domainname";
    if (uts.kind !== "private") {
      throw flagConflict(`${flag} cannot be given with --uts ${uts.kind}: the name would be another's`);
    }
  }
  if (network.kind === "container") {
    const given: [string, boolean][] = [
      ["--hostname", request.hostname !== undefined],
      ["--add-host", request.extraHosts.length > 0],
      ["--dns", request.dns.servers.length > 0],
      ["--dns-search", request.dns.search.length > 0],
      ["--dns-option", request.dns.options.length > 0],
      ["--publish", request.ports.length > 0],
      ["--expose", request.exposedPorts.length > 0],
    ];
    const conflict = given.find(([, isGiven]) => isGiven);
    if (conflict !== undefined) {
      throw flagConflict(`${conflict[0]} cannot be given with --network container:ID: that container has decided it`);
    }
  }
  if (network.kind === "none" || network.kind === "host") {
    const [asked] = request.endpoints;
    const isAsked = asked !== undefined &&
      (asked.aliases.length > 0 || (asked.ipv4 ?? asked.ipv6 ?? asked.macAddress) !== undefined);
    if (isAsked) {
      throw flagConflict(`an address or a name cannot be had with --network ${network.kind}: they belong to networks`);
    }
    if (network.kind === "none" && (request.ports.length > 0 || request.publishAll)) {
      throw flagConflict("--publish cannot be given with --network none: nothing leads there");
    }
    if (request.egress.length > 0) {
      throw flagConflict(
        `--egress cannot be given with --network ${network.kind}: nothing passes through a network of ours`,
      );
    }
    if (request.links.length > 0) {
      throw flagConflict(`--link cannot be given with --network ${network.kind}: it is for containers of one network`);
    }
  }
  checkSysctlNamespaces(request.sysctls.keys(), {
    ipc: ipc.kind === "host" || ipc.kind === "container" ? `--ipc ${ipc.kind}` : undefined,
    network: sharedNetwork(network.kind),
  });
  if (options.rootfs !== undefined && options.platform !== undefined) {
    throw flagConflict("--platform cannot be given with --rootfs: a directory has no other platform");
  }
  checkLogRequest(request.log);
  checkLimits(request.limits);
}
