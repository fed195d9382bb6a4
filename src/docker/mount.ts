/**
 * `--mount`: `key=value` pairs as comma-separated values; types bind, volume, tmpfs and image.
 *
 * Pairs are read first, whatever their order; then the type says which of them it takes.
 *
 * @module
 */
import { parseCsvRecord } from "./csv.ts";
import { flagError } from "./flag_error.ts";
import type { BindRequest, ImageMountRequest, MountRequest, TmpfsRequest, VolumeRequest } from "./run_request.ts";
import { parseSize } from "./size.ts";
import { parseBoolean } from "./boolean.ts";
import { cleanPath, isObjectName, splitOnce } from "./text_rules.ts";
import { newTmpfs, parseMode } from "./tmpfs.ts";
import { isPropagation } from "./volume.ts";
import { refuseVolumeOptions } from "./volume_options.ts";

const FLAG = "--mount";

type MountType = MountRequest["kind"];

/** Other names of keys. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["src", "source"],
  ["dst", "target"],
  ["destination", "target"],
  ["ro", "readonly"],
  ["chown", "u"],
  ["subpath", "volume-subpath"],
]);

/** Keys, and the types that take them; `undefined`: all. */
const KEYS: ReadonlyMap<string, MountType | undefined> = new Map([
  ["type", undefined],
  ["source", undefined],
  ["target", undefined],
  ["readonly", undefined],
  ["consistency", undefined],
  ["bind-propagation", "bind"],
  ["bind-nonrecursive", "bind"],
  ["bind-recursive", "bind"],
  ["bind-create-src", "bind"],
  ["relabel", "bind"],
  ["volume-nocopy", "volume"],
  ["volume-subpath", "volume"],
  ["volume-label", "volume"],
  ["volume-driver", "volume"],
  ["volume-opt", "volume"],
  ["tmpfs-size", "tmpfs"],
  ["tmpfs-mode", "tmpfs"],
  ["image-subpath", "image"],
]);

/** Keys that may stand alone and then mean true. */
const SWITCHES: ReadonlySet<string> = new Set(["readonly", "bind-nonrecursive", "bind-create-src", "volume-nocopy"]);

/** Keys whose values add up. */
const MAPS: ReadonlySet<string> = new Set(["volume-label", "volume-opt"]);

const REFUSED_TYPES: ReadonlyMap<string, string> = new Map([
  ["npipe", "named pipes are of Windows"],
  ["cluster", "cluster volumes are of Swarm"],
  ["devpts", "the container has its own already"],
  ["glob", "globs are not supported"],
]);

/** What the pairs said: one value a key, but for those that add up. */
interface Pairs {
  values: Map<string, string>;
  maps: Map<string, Map<string, string>>;
}

/**
 * Reads one `--mount`.
 * @param makeAbsolute For a source of a bind that begins with `.`: the path from the caller's directory.
 * @throws {DugoutError} FLAG_INVALID.
 */
export function parseMount(text: string, makeAbsolute: (path: string) => string): MountRequest {
  const fail = (why: string, hint?: string) => flagError(FLAG, text, why, hint);
  const pairs = readPairs(text, fail);
  const type = readType(pairs.values.get("type"), fail);
  for (const key of [...pairs.values.keys(), ...pairs.maps.keys()]) {
    const owner = KEYS.get(key);
    if (owner !== undefined && owner !== type) throw fail(`"${key}" is for type "${owner}", this one is "${type}"`);
  }
  const common = { target: readTarget(pairs, fail), readOnly: readSwitch(pairs, "readonly", fail) ?? false };
  switch (type) {
    case "bind":
      return readBind(pairs, common, makeAbsolute, fail);
    case "volume":
      return readVolume(pairs, common, fail);
    case "tmpfs":
      return readTmpfs(pairs, common, fail);
    case "image":
      return readImage(pairs, common, fail);
    default:
      throw new Error(`Unknown mount type ${type satisfies never}`);
  }
}

type Fail = (why: string, hint?: string) => Error;
interface Common {
  target: string;
  readOnly: boolean;
}

function readPairs(text: string, fail: Fail): Pairs {
  const pairs: Pairs = { values: new Map(), maps: new Map() };
  if (text.includes("\0")) throw fail("it has a NUL byte");
  const fields = text === "" ? undefined : parseCsvRecord(text);
  if (fields === undefined) {
    throw fail("not a list of key=value pairs", "For example type=bind,source=/src,target=/dst");
  }
  for (const field of fields) {
    const [rawKey, value] = splitOnce(field, "=");
    const lower = rawKey.trim().toLowerCase();
    const key = ALIASES.get(lower) ?? lower;
    if (key === "u") {
      throw fail(
        `"${rawKey}" would give the source's files on the host to another owner`,
        "--userns keep-id makes them the user's own",
      );
    }
    if (key === "idmap") throw fail("the kernel refuses id-mapped mounts of host directories to users");
    if (!KEYS.has(key)) {
      throw fail(`there is no key "${rawKey.slice(0, 100)}"`, `Keys are ${[...KEYS.keys()].join(", ")}`);
    }
    if (value === undefined && !SWITCHES.has(key)) throw fail(`"${rawKey}" needs a value: ${key}=…`);
    if (MAPS.has(key)) {
      const [name, entry] = splitOnce(value ?? "", "=");
      if (name === "") throw fail(`"${key}" needs a name`);
      const map = pairs.maps.get(key) ?? new Map<string, string>();
      pairs.maps.set(key, map.set(name, entry ?? ""));
      continue;
    }
    if (pairs.values.has(key)) throw fail(`"${key}" is given twice`);
    pairs.values.set(key, value ?? "true");
  }
  return pairs;
}

function readType(text: string | undefined, fail: Fail): MountType {
  const type = (text ?? "volume").toLowerCase();
  switch (type) {
    case "bind":
    case "volume":
    case "tmpfs":
    case "image":
      return type;
    default: {
      const why = REFUSED_TYPES.get(type);
      throw fail(
        why === undefined ? `there is no type "${type.slice(0, 100)}"` : `type "${type}": ${why}`,
        "Types are bind, volume, tmpfs and image",
      );
    }
  }
}

function readTarget(pairs: Pairs, fail: Fail): string {
  const text = pairs.values.get("target");
  if (text === undefined || text === "") throw fail("the target is missing", "For example target=/data");
  const target = cleanPath(text);
  if (target === undefined) throw fail("the target is not an absolute path");
  if (target === "/") throw fail("the target cannot be the root");
  return target;
}

function readSwitch(pairs: Pairs, key: string, fail: Fail): boolean | undefined {
  const text = pairs.values.get(key);
  if (text === undefined) return undefined;
  const value = parseBoolean(text);
  if (value === undefined) throw fail(`"${key}" is true or false, not "${text.slice(0, 100)}"`);
  return value;
}

function readBind(pairs: Pairs, common: Common, makeAbsolute: (path: string) => string, fail: Fail): BindRequest {
  const text = pairs.values.get("source");
  if (text === undefined || text === "") throw fail("a bind needs a source");
  const isRelative = text === "." || text === ".." || text.startsWith("./") || text.startsWith("../");
  const source = cleanPath(isRelative ? makeAbsolute(text) : text);
  if (source === undefined) throw fail("the source is not an absolute path");

  const propagation = pairs.values.get("bind-propagation") ?? "rprivate";
  if (!isPropagation(propagation)) throw fail(`there is no propagation "${propagation.slice(0, 100)}"`);
  const relabel = pairs.values.get("relabel");
  if (relabel !== undefined && relabel !== "shared" && relabel !== "private") {
    throw fail('"relabel" is shared or private');
  }
  const bind: BindRequest = {
    kind: "bind",
    source,
    ...common,
    readOnlyDepth: "if-possible",
    recursive: !(readSwitch(pairs, "bind-nonrecursive", fail) ?? false),
    propagation,
    createSource: readSwitch(pairs, "bind-create-src", fail) ?? false,
    relabel,
  };
  return applyRecursion(bind, pairs.values.get("bind-recursive"), pairs.values.has("bind-nonrecursive"), fail);
}

/** `bind-recursive`: how far the bind, and its being read-only, reach below. */
function applyRecursion(bind: BindRequest, text: string | undefined, saidOtherwise: boolean, fail: Fail): BindRequest {
  if (text === undefined) return bind;
  if (saidOtherwise) throw fail('"bind-recursive" and "bind-nonrecursive" cannot both be given');
  switch (text) {
    case "enabled":
    case "true":
    case "1":
      return { ...bind, recursive: true };
    case "disabled":
    case "false":
    case "0":
      return { ...bind, recursive: false };
    case "writable":
      if (!bind.readOnly) throw fail('"bind-recursive=writable" needs "readonly"');
      return { ...bind, readOnlyDepth: "top" };
    case "readonly":
      if (!bind.readOnly) throw fail('"bind-recursive=readonly" needs "readonly"');
      if (bind.propagation !== "rprivate") throw fail('"bind-recursive=readonly" needs "bind-propagation=rprivate"');
      return { ...bind, readOnlyDepth: "required" };
    default:
      throw fail(`"bind-recursive" is enabled, disabled, writable or readonly, not "${text.slice(0, 100)}"`);
  }
}

function readVolume(pairs: Pairs, common: Common, fail: Fail): VolumeRequest {
  const name = pairs.values.get("source");
  if (name !== undefined && name !== "" && !isObjectName(name)) {
    throw fail(
      name.startsWith("/") || name.startsWith(".")
        ? "the source of a volume is a name, not a path"
        : "a volume's name has two or more of letters, digits, _, . and -, and begins with a letter or digit",
      "A directory of the host is type=bind",
    );
  }
  const driver = pairs.values.get("volume-driver") ?? "local";
  if (driver !== "local" && driver !== "") throw fail('the only volume driver is "local"');
  const driverOptions = pairs.maps.get("volume-opt") ?? new Map<string, string>();
  const refusal = refuseVolumeOptions(driverOptions);
  if (refusal !== undefined) throw fail(refusal);
  return {
    kind: "volume",
    name: name === "" ? undefined : name,
    ...common,
    noCopy: readSwitch(pairs, "volume-nocopy", fail) ?? false,
    subpath: readSubpath(pairs, "volume-subpath", fail),
    driver: "local",
    driverOptions,
    labels: pairs.maps.get("volume-label") ?? new Map<string, string>(),
  };
}

/** A path beneath the volume or image: relative, and without a way up. */
function readSubpath(pairs: Pairs, key: string, fail: Fail): string | undefined {
  const text = pairs.values.get(key);
  if (text === undefined || text === "") return undefined;
  if (text.startsWith("/") || text.length > 4095 || text.split("/").includes("..")) {
    throw fail(`"${key}" is a relative path without ".."`);
  }
  return text.split("/").filter((part) => part !== "" && part !== ".").join("/") || undefined;
}

function readTmpfs(pairs: Pairs, common: Common, fail: Fail): TmpfsRequest {
  if (pairs.values.has("source")) throw fail("a tmpfs has no source");
  const sizeText = pairs.values.get("tmpfs-size");
  const size = sizeText === undefined ? undefined : parseSize(sizeText);
  if (sizeText !== undefined && size === undefined) throw fail('"tmpfs-size" is no size such as 64m');
  const modeText = pairs.values.get("tmpfs-mode");
  const mode = modeText === undefined ? undefined : parseMode(modeText);
  if (modeText !== undefined && mode === undefined) throw fail('"tmpfs-mode" is no mode such as 1777');
  // a size of 0 says nothing, as in Docker
  return { ...newTmpfs(common.target), readOnly: common.readOnly, size: size === 0 ? undefined : size, mode };
}

function readImage(pairs: Pairs, common: Common, fail: Fail): ImageMountRequest {
  const image = pairs.values.get("source");
  if (image === undefined || image === "") throw fail("an image mount needs an image as its source");
  return { kind: "image", image, ...common, subpath: readSubpath(pairs, "image-subpath", fail) };
}
