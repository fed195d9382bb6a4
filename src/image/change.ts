/**
 * `--change` of `import` and `commit`: Dockerfile instructions that only change how an image is run.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import type { Healthcheck, RunConfig } from "#oci/image_config.ts";
import { type JsonValue, parseJson } from "#oci/json.ts";
import { quote } from "#oci/text.ts";

const CHANGE_MAX = 100_000;
const PORTS_MAX = 65_536;
const DEFAULT_SHELL: readonly string[] = ["/bin/sh", "-c"];

/** Docker's list for `commit`, which `import` shares (Docker CLI reference). */
const INSTRUCTIONS = [
  "CMD",
  "ENTRYPOINT",
  "ENV",
  "EXPOSE",
  "HEALTHCHECK",
  "LABEL",
  "ONBUILD",
  "STOPSIGNAL",
  "USER",
  "VOLUME",
  "WORKDIR",
] as const;

/**
 * A copy of a run config with the instructions carried out, in order.
 * @param changes Each one instruction, as in a Dockerfile: `ENV A=1 B="x y"`, `CMD ["sh"]`.
 * @throws {DugoutError} CHANGE_INVALID, with the instruction.
 */
export function applyChanges(config: RunConfig, changes: readonly string[]): RunConfig {
  let result = config;
  let isCmdGiven = false;
  for (const change of changes) {
    const { name, rest } = splitInstruction(change);
    result = applyChange(result, change, name, rest, isCmdGiven);
    if (name === "CMD") isCmdGiven = true;
  }
  return result;
}

function splitInstruction(change: string): { name: typeof INSTRUCTIONS[number]; rest: string } {
  if (change.length > CHANGE_MAX) throw badChange(change, `it is longer than ${CHANGE_MAX} characters`);
  const text = change.trim();
  const space = text.search(/\s/);
  const word = (space < 0 ? text : text.slice(0, space)).toUpperCase();
  const name = INSTRUCTIONS.find((instruction) => instruction === word);
  if (name === undefined) throw badChange(change, `the instructions here are ${INSTRUCTIONS.join(", ")}`);
  const rest = space < 0 ? "" : text.slice(space).trim();
  if (rest === "") throw badChange(change, `${name} needs a value`);
  return { name, rest };
}

function applyChange(
  config: RunConfig,
  change: string,
  name: typeof INSTRUCTIONS[number],
  rest: string,
  isCmdGiven: boolean,
): RunConfig {
  const env: Environment = readEnvironment(config.Env ?? []);
  switch (name) {
    case "CMD":
      return { ...config, Cmd: readCommand(rest, config) };
    case "ENTRYPOINT": {
      // a new entrypoint makes the old arguments meaningless (Dockerfile reference, ENTRYPOINT)
      const { Cmd, ...others } = config;
      return { ...others, Entrypoint: readCommand(rest, config), ...(isCmdGiven && Cmd !== undefined ? { Cmd } : {}) };
    }
    case "ENV": {
      const entries = new Map((config.Env ?? []).map((entry) => [entry.split("=", 1)[0]!, entry]));
      for (const [key, value] of readPairs(change, rest, env)) entries.set(key, `${key}=${value}`);
      return { ...config, Env: [...entries.values()] };
    }
    case "LABEL": {
      const labels = new Map(config.Labels ?? []);
      for (const [key, value] of readPairs(change, rest, env)) labels.set(key, value);
      return { ...config, Labels: labels };
    }
    case "EXPOSE": {
      const ports = new Set(config.ExposedPorts ?? []);
      for (const word of readWords(change, rest, env)) for (const port of readPorts(change, word)) ports.add(port);
      return { ...config, ExposedPorts: [...ports] };
    }
    case "VOLUME": {
      const volumes = new Set(config.Volumes ?? []);
      for (const path of readList(rest) ?? readWords(change, rest, env)) {
        if (path.trim() === "") throw badChange(change, "a volume has no path");
        volumes.add(path);
      }
      return { ...config, Volumes: [...volumes] };
    }
    case "USER":
      return { ...config, User: readOne(change, rest, env) };
    case "STOPSIGNAL":
      return { ...config, StopSignal: readSignal(change, readOne(change, rest, env)) };
    case "WORKDIR":
      return { ...config, WorkingDir: joinPath(config.WorkingDir ?? "/", readWords(change, rest, env).join(" ")) };
    case "ONBUILD": {
      const word = rest.split(/\s/, 1)[0]!.toUpperCase();
      if (word === "ONBUILD" || word === "FROM" || word === "MAINTAINER") {
        throw badChange(change, `${word} may not stand in ONBUILD`);
      }
      return { ...config, OnBuild: [...config.OnBuild ?? [], rest] };
    }
    case "HEALTHCHECK":
      return { ...config, Healthcheck: readHealthcheck(change, rest) };
    default:
      throw new Error(`Unknown instruction ${name satisfies never}`);
  }
}

/** `["a", "b"]` as it is; anything else is a line for the shell. */
function readCommand(rest: string, config: RunConfig): string[] {
  return readList(rest) ?? [...config.Shell ?? DEFAULT_SHELL, rest];
}

function readList(rest: string): string[] | undefined {
  if (!rest.startsWith("[")) return undefined;
  let value: JsonValue;
  try {
    value = parseJson(rest, "a list", { maxBytes: CHANGE_MAX });
  } catch {
    return undefined; // as Docker: `[ -f x ] && y` is a shell command
  }
  return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
}

/** `A=1 B="x y"`, or the old form `A all the rest`. */
function readPairs(change: string, rest: string, env: Environment): [key: string, value: string][] {
  const words = readWords(change, rest, env);
  if (!words[0]!.includes("=")) {
    const space = rest.search(/\s/);
    if (space < 0) throw badChange(change, `${quote(rest)} has no value`);
    return [[words[0]!, readWords(change, rest.slice(space).trim(), env, " ").join("")]];
  }
  return words.map((word) => {
    const equals = word.indexOf("=");
    if (equals < 1) throw badChange(change, `${quote(word)} is not NAME=VALUE`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

type Environment = ReadonlyMap<string, string>;

function readEnvironment(entries: readonly string[]): Environment {
  return new Map(entries.map((entry) => {
    const equals = entry.indexOf("=");
    return equals < 0 ? [entry, ""] : [entry.slice(0, equals), entry.slice(equals + 1)];
  }));
}

const VARIABLE = /\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})/y;

/**
 * Splits at white space; quotes keep it, a backslash takes the next character as it is, and `$NAME` and `${NAME}` stand
 * for the image's variables but in single quotes. One pass.
 * @param space White space that does not split, for values that reach to the end of the line.
 */
function readWords(change: string, text: string, env: Environment, space = ""): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let open = "";
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (open === "" && char !== space && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word ??= "";
    VARIABLE.lastIndex = at;
    const variable = char === "$" && open !== "'" ? VARIABLE.exec(text) : null;
    if (variable !== null) {
      word += env.get(variable[1] ?? variable[2] ?? "") ?? "";
      at += variable[0].length - 1;
    } else if (open === "" && (char === '"' || char === "'")) open = char;
    else if (char === open) open = "";
    else if (char === "\\" && open !== "'" && at + 1 < text.length) {
      const next = text[++at]!;
      // in double quotes a backslash is one, unless it protects something
      word += open === '"' && next !== '"' && next !== "\\" && next !== "$" ? `\\${next}` : next;
    } else word += char;
  }
  if (open !== "") throw badChange(change, `a quote ${open} is not closed`);
  if (word !== undefined) words.push(word);
  return words;
}

/** `80`, `80/udp`, `8000-8010/tcp`. */
function readPorts(change: string, word: string): string[] {
  const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?(?:\/([a-zA-Z]{1,8}))?$/.exec(word);
  const first = Number(match?.[1]);
  const last = match?.[2] === undefined ? first : Number(match[2]);
  const protocol = (match?.[3] ?? "tcp").toLowerCase();
  const isPort = first >= 1 && last < PORTS_MAX && first <= last;
  if (match === null || !isPort || !["tcp", "udp", "sctp"].includes(protocol)) {
    throw badChange(change, `${quote(word)} is not PORT[-PORT][/tcp|/udp|/sctp]`);
  }
  return Array.from({ length: last - first + 1 }, (_, at) => `${first + at}/${protocol}`);
}

function readOne(change: string, rest: string, env: Environment): string {
  const words = readWords(change, rest, env);
  if (words.length !== 1) throw badChange(change, "it takes one value");
  return words[0]!;
}

function readSignal(change: string, text: string): string {
  if (!/^(?:[0-9]{1,2}|(?:SIG)?[A-Za-z0-9+-]{1,12})$/.test(text)) {
    throw badChange(change, `${quote(text)} is no signal`);
  }
  return text;
}

function joinPath(base: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${base}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

const NANOSECONDS: Readonly<Record<string, number>> = { ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** `NONE`, or `[--interval=30s] [--timeout=…] [--start-period=…] [--start-interval=…] [--retries=3] CMD …`. */
function readHealthcheck(change: string, rest: string): Healthcheck {
  if (/^none$/i.test(rest)) return { Test: ["NONE"] };
  const check: Healthcheck = {};
  let left = rest;
  for (let match = /^--([a-z-]+)=(\S+)\s+/.exec(left); match !== null; match = /^--([a-z-]+)=(\S+)\s+/.exec(left)) {
    const [whole, flag, value = ""] = match;
    left = left.slice(whole.length);
    if (flag === "interval") check.Interval = readDuration(change, value);
    else if (flag === "timeout") check.Timeout = readDuration(change, value);
    else if (flag === "start-period") check.StartPeriod = readDuration(change, value);
    else if (flag === "start-interval") check.StartInterval = readDuration(change, value);
    else if (flag === "retries" && /^[0-9]{1,6}$/.test(value)) check.Retries = Number(value);
    else throw badChange(change, `the flag ${quote(whole.trim())} isn't known`);
  }
  const command = /^cmd\s+(.*)$/is.exec(left)?.[1];
  if (command === undefined) throw badChange(change, "HEALTHCHECK is followed by NONE or CMD");
  const list = readList(command);
  return { Test: list === undefined ? ["CMD-SHELL", command] : ["CMD", ...list], ...check };
}

function readDuration(change: string, text: string): number {
  if (!/^(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h)){1,4}$/.test(text)) {
    throw badChange(change, `${quote(text)} is no duration such as 30s`);
  }
  let total = 0;
  for (const [, number, unit] of text.matchAll(/([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)/g)) {
    total += Number(number) * NANOSECONDS[unit!]!;
  }
  return Math.round(total);
}

function badChange(change: string, why: string): DugoutError {
  return new DugoutError("CHANGE_INVALID", `Cannot carry out the change ${quote(change)}: ${why}`);
}
