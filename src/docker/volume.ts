/**
 * `-v`, `--volume`: `[SOURCE:]TARGET[:OPTIONS]`.
 *
 * @module
 */
import { flagError } from "./flag_error.ts";
import type { BindRequest, MountRequest, Propagation, VolumeRequest } from "./run_request.ts";
import { cleanPath, isObjectName } from "./text_rules.ts";

const FLAG = "--volume";

const PROPAGATIONS: ReadonlySet<string> = new Set(["private", "rprivate", "shared", "rshared", "slave", "rslave"]);

/** Whether a word is a mount propagation (mount_namespaces(7)); `r…` reaches below. */
export function isPropagation(word: string): word is Propagation {
  return PROPAGATIONS.has(word);
}

/** Options of Podman, and why they are refused. */
const REFUSED_OPTIONS: ReadonlyMap<string, string> = new Map([
  ["U", "it would give the source's files on the host to another owner; --userns keep-id makes them the user's own"],
  ["O", "overlays on a mount are not supported"],
  ["idmap", "the kernel refuses id-mapped mounts of host directories to users"],
]);

/** Accepted for Docker Desktop's sake; without effect on Linux. */
const CONSISTENCIES: ReadonlySet<string> = new Set(["consistent", "cached", "delegated", "default"]);

interface VolumeOptions {
  readOnly: boolean;
  propagation: Propagation | undefined;
  relabel: "shared" | "private" | undefined;
  noCopy: boolean;
}

/**
 * Reads one `-v`.
 * @param makeAbsolute For a source that begins with `.`: the path from the caller's directory.
 * @throws {DugoutError} FLAG_INVALID.
 */
export function parseVolume(text: string, makeAbsolute: (path: string) => string): MountRequest {
  if (text.includes("\0")) throw flagError(FLAG, text, "it has a NUL byte");
  const parts = text.split(":");
  if (parts.length > 3) throw flagError(FLAG, text, "more than SOURCE:TARGET:OPTIONS", hintForColons());
  const [first = "", second, third] = parts;
  if (second === undefined) return newVolume(undefined, parseTarget(text, first), readOptions(text, undefined));

  const target = parseTarget(text, second);
  const options = readOptions(text, third);
  if (first === "") throw flagError(FLAG, text, "the source is empty");
  if (first.startsWith("/") || isRelative(first)) {
    if (options.noCopy) throw flagError(FLAG, text, '"nocopy" is for named volumes');
    return newBind(parseSource(text, first, makeAbsolute), target, options);
  }
  if (!isObjectName(first)) throw flagError(FLAG, text, ...badName(first));
  if (options.propagation !== undefined) {
    throw flagError(FLAG, text, `"${options.propagation}" is for directories of the host`);
  }
  return newVolume(first, target, options);
}

function isRelative(source: string): boolean {
  return source === "." || source === ".." || source.startsWith("./") || source.startsWith("../");
}

function parseSource(text: string, source: string, makeAbsolute: (path: string) => string): string {
  const path = cleanPath(isRelative(source) ? makeAbsolute(source) : source);
  if (path === undefined) throw flagError(FLAG, text, "the source is no usable path");
  return path;
}

function badName(name: string): [why: string, hint?: string] {
  if (name.length === 1) return ["a volume's name has two characters or more"];
  if (name.includes("/")) {
    return ["the source is neither an absolute path nor a name", "A path from the current directory begins with ./"];
  }
  return ["a volume's name has letters, digits, _, . and - only, and begins with a letter or digit"];
}

function hintForColons(): string {
  return "For a path with a colon use --mount type=bind,source=…,target=…";
}

function parseTarget(text: string, target: string): string {
  if (target === "") throw flagError(FLAG, text, "the target is empty");
  const path = cleanPath(target);
  if (path === undefined) throw flagError(FLAG, text, "the target is not an absolute path");
  if (path === "/") throw flagError(FLAG, text, "the target cannot be the root");
  return path;
}

function readOptions(text: string, list: string | undefined): VolumeOptions {
  const options: VolumeOptions = { readOnly: false, propagation: undefined, relabel: undefined, noCopy: false };
  if (list === undefined) return options;
  const seen = new Set<string>();
  for (const word of list.split(",")) {
    const kind = applyOption(options, word);
    if (kind === undefined) {
      const why = REFUSED_OPTIONS.get(word);
      throw flagError(
        FLAG,
        text,
        why === undefined ? `there is no option "${word.slice(0, 100)}"` : `option "${word}": ${why}`,
        OPTIONS_HINT,
      );
    }
    if (seen.has(kind)) throw flagError(FLAG, text, `more than one option says the ${kind}`);
    seen.add(kind);
  }
  return options;
}

const OPTIONS_HINT = "Options are ro, rw, z, Z, nocopy, and rprivate, private, rshared, shared, rslave, slave";

/** @returns What kind of thing the word said; `undefined` when it is no option. */
function applyOption(options: VolumeOptions, word: string): string | undefined {
  if (isPropagation(word)) {
    options.propagation = word;
    return "propagation";
  }
  if (CONSISTENCIES.has(word)) return "consistency";
  switch (word) {
    case "ro":
    case "rw":
      options.readOnly = word === "ro";
      return "mode";
    case "z":
    case "Z":
      options.relabel = word === "z" ? "shared" : "private";
      return "label";
    case "nocopy":
      options.noCopy = true;
      return "copying";
    default:
      return undefined;
  }
}

function newBind(source: string, target: string, options: VolumeOptions): BindRequest {
  return {
    kind: "bind",
    source,
    target,
    readOnly: options.readOnly,
    readOnlyDepth: "if-possible",
    recursive: true,
    propagation: options.propagation ?? "rprivate",
    createSource: true,
    relabel: options.relabel,
  };
}

function newVolume(name: string | undefined, target: string, options: VolumeOptions): VolumeRequest {
  return {
    kind: "volume",
    name,
    target,
    readOnly: options.readOnly,
    noCopy: options.noCopy,
    subpath: undefined,
    driver: "local",
    driverOptions: new Map(),
    labels: new Map(),
  };
}
