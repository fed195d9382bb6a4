/**
 * What cannot be had is told before anything is made.
 *
 * @module
 */
import { lstatSync, readdirSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { parseRlimitName } from "#linux/rlimits.ts";
import type { DeviceSpec, HookSpec, HooksSpec, MountSpec, NamespaceType, RuntimeSpec } from "#oci/runtime_spec.ts";
import { quote } from "#oci/text.ts";
import { deniesDevices, devicesOf, hasOwnDevices } from "#runtime/bundle/device_steps.ts";
import { parseMountOptions } from "#runtime/mount_options.ts";
import { namespaceOf } from "#runtime/namespace_steps.ts";
import { resolveInLayers } from "#runtime/resolve.ts";
import { bundleError } from "./error.ts";

/** What the caller can do. */
export interface SpecRights {
  /** Root of the machine or of a user namespace: a container without a user namespace of its own can be made. */
  readonly isRoot: boolean;
  /** Root of the machine: devices can be made, and hooks are trusted by whose they are. */
  readonly isMachineRoot: boolean;
}

/**
 * Checks a specification that has been read.
 * @throws {DugoutError} BUNDLE_INVALID, UNTRUSTED_BUNDLE.
 */
export function checkSpec(spec: RuntimeSpec, rights: SpecRights): void {
  const { linux, process } = spec;
  if (process === undefined) fail("process", "there is none to start");
  if ((process.args ?? []).length === 0) fail("process.args", "args must not be empty");
  checkNamespaces(spec, rights);
  for (const { type } of process.rlimits ?? []) {
    if (parseRlimitName(type) === undefined) fail("process.rlimits", `${quote(type)} is no resource limit`);
  }
  for (const [key] of linux?.sysctl ?? []) checkSysctl(spec, key);
  (linux?.personality?.flags ?? []).forEach((flag) => fail("linux.personality.flags", `${quote(flag)} is not known`));
  for (const mount of spec.mounts ?? []) checkMount(mount);
  if (!rights.isMachineRoot && hasOwnDevices(spec)) devicesOf(spec).forEach(checkDevice);
  checkDeviceRules(spec, rights);
  checkHooks(spec.hooks ?? {}, rights);
}

/**
 * Rules about devices are kept without a control group: who cannot make nodes opens only those that are there. In a user
 * namespace nobody can; root must not be given CAP_MKNOD, and the root directory is mounted nodev (`container.ts`).
 */
function checkDeviceRules(spec: RuntimeSpec, { isMachineRoot }: SpecRights): void {
  if (!isMachineRoot || namespaceOf(spec, "user") !== "host" || !deniesDevices(spec)) return;
  if (spec.process?.capabilities?.bounding?.includes("CAP_MKNOD")) {
    fail(
      "linux.resources.devices",
      "the rules cannot be kept for root with CAP_MKNOD: take it away, or allow all devices",
    );
  }
}

function fail(field: string, why: string): never {
  throw bundleError("BUNDLE_INVALID", `cannot use config.json: ${field}: ${why}`);
}

function checkNamespaces(spec: RuntimeSpec, { isRoot }: SpecRights): void {
  const { namespaces = [], uidMappings = [], gidMappings = [], timeOffsets } = spec.linux ?? {};
  const types = namespaces.map(({ type }) => type);
  const twice = types.find((type, index) => types.indexOf(type) !== index);
  if (twice !== undefined) fail("linux.namespaces", `${twice} is there twice`);
  const has = (type: NamespaceType) => types.includes(type);
  if (namespaceOf(spec, "mount") !== "new") {
    fail("linux.namespaces", "a mount namespace of its own is needed, so that the machine keeps its mounts");
  }
  const user = namespaceOf(spec, "user");
  if (user === "host" && !isRoot) fail("linux.namespaces", "rootless container requires user namespaces");
  if (user === "new" && (uidMappings.length === 0 || gidMappings.length === 0)) {
    fail("linux.uidMappings", "user namespace has no ids: linux.uidMappings and linux.gidMappings say which");
  }
  if (user === "host" && uidMappings.length + gidMappings.length > 0) {
    fail("linux.uidMappings", "User namespace mappings specified, but user namespace isn't enabled in the config");
  }
  if (timeOffsets !== undefined && namespaceOf(spec, "time") !== "new") {
    fail("linux.timeOffsets", "it needs a time namespace of its own");
  }
  for (const [name, value] of [["hostname", spec.hostname], ["domainname", spec.domainname]] as const) {
    if ((value ?? "") !== "" && !has("uts")) fail(name, `unable to set ${name} without a private UTS namespace`);
  }
  for (const { type, path } of namespaces) {
    if (path !== undefined && !isAbsolute(path)) fail("linux.namespaces", `${type}: ${quote(path)} is not absolute`);
  }
}

/** Which namespace a setting belongs to (sysctl(8), linux/Documentation/admin-guide/sysctl). */
function checkSysctl(spec: RuntimeSpec, key: string): void {
  if (!/^[A-Za-z0-9_.\/-]{1,255}$/.test(key) || key.includes("..")) fail("linux.sysctl", `${quote(key)} is no setting`);
  const name = key.replaceAll("/", ".");
  const ipc = /^(?:kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+)$/.test(
    name,
  );
  const type: NamespaceType | undefined = ipc
    ? "ipc"
    : name.startsWith("net.")
    ? "network"
    : name === "kernel.domainname" || name === "kernel.hostname"
    ? "uts"
    : name.startsWith("user.")
    ? "user"
    : undefined;
  if (type === undefined || namespaceOf(spec, type) === "host") {
    fail("linux.sysctl", `sysctl ${quote(key)} is not in a separate kernel namespace`);
  }
}

function checkMount({ destination, source, type, options = [] }: MountSpec): void {
  const parsed = parseMountOptions(options);
  if (parsed.bind || type === "bind") {
    if (lstatSync(source ?? "", { throwIfNoEntry: false }) === undefined) {
      fail("mounts", `${quote(destination)}: ${quote(source ?? "")} does not exist`);
    }
  }
  for (const [key] of parsed.data) {
    if (key === "x-subpath" || key === "x-lower") {
      fail("mounts", `${quote(destination)}: the option ${key} is not known`);
    }
  }
}

/** Without root the machine's own nodes are bound. */
function checkDevice({ path, type, major, minor }: DeviceSpec): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  const number = stat === undefined ? undefined : [
    (stat.rdev >>> 8) & 0xfff,
    (stat.rdev & 0xff) | ((stat.rdev >>> 12) & 0xfff00),
  ];
  const kind = stat?.isCharacterDevice() ? "c" : stat?.isBlockDevice() ? "b" : stat?.isFIFO() ? "p" : undefined;
  const wanted = type === "u" ? "c" : type;
  if (kind === wanted && (wanted === "p" || (number?.[0] === major && number?.[1] === minor))) return;
  fail("linux.devices", `${quote(path)}: without root only a node that the machine has at the same path can be had`);
}

const OUTSIDE: readonly (keyof HooksSpec)[] = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];

/** Programs of the machine, run with the caller's rights: root's have to be root's. */
function checkHooks(hooks: HooksSpec, { isMachineRoot }: SpecRights): void {
  if (!isMachineRoot) return;
  for (const kind of OUTSIDE) {
    for (const hook of hooks[kind] ?? []) requireRootsProgram(kind, hook);
  }
}

function requireRootsProgram(kind: string, { path }: HookSpec): void {
  // what is not there fails when it is executed
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return;
  const parts = realpathSync(path).split("/").filter((part) => part !== "");
  for (let count = 0; count <= parts.length; count++) {
    const prefix = `/${parts.slice(0, count).join("/")}`;
    const stat = statSync(prefix);
    // a directory such as /tmp lets nobody replace what is another's
    const isSticky = stat.isDirectory() && (stat.mode & 0o1000) !== 0;
    if (stat.uid === 0 && ((stat.mode & 0o022) === 0 || isSticky)) continue;
    throw bundleError(
      "UNTRUSTED_BUNDLE",
      `cannot run the hook ${quote(path)} (${kind}) as root: others than root may change ${quote(prefix)}`,
    );
  }
}

/**
 * A specification as the tape takes it: sources of binds, which are relative to the bundle, are absolute; `tmpcopyup`, which
 * fills a tmpfs with what it hides, is left out where that is nothing.
 * @throws {DugoutError} BUNDLE_INVALID where it is something.
 */
export function settleMounts(spec: RuntimeSpec, bundle: string, rootPath: string): RuntimeSpec {
  const mounts = (spec.mounts ?? []).map((mount) => {
    if (mount.options?.includes("tmpcopyup")) {
      requireEmpty(rootPath, mount.destination);
      return { ...mount, options: mount.options.filter((option) => option !== "tmpcopyup") };
    }
    const isBind = mount.type === "bind" || parseMountOptions(mount.options ?? []).bind;
    if (!isBind || mount.source === undefined || isAbsolute(mount.source)) return mount;
    return { ...mount, source: join(bundle, mount.source) };
  });
  return { ...spec, mounts };
}

function requireEmpty(rootPath: string, destination: string): void {
  const { hostPath, kind } = resolveInLayers([rootPath], destination);
  if (hostPath === undefined || (kind === "directory" && readdirSync(hostPath).length === 0)) return;
  fail("mounts", `${quote(destination)}: the option tmpcopyup is not of this runtime, and there are files to copy`);
}
