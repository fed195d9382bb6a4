/**
 * Docker's seccomp profiles (JSON) → a policy.
 *
 * The format is the runtime-spec's `linux.seccomp` with Docker's additions: `archMap`, and per rule `includes` and
 * `excludes` by capability, architecture and kernel version. It is read for the machine's own architecture; other ABIs
 * are refused whatever `archMap` says.
 *
 * @module
 */
import { capabilityNumber, type CapabilitySet } from "./capabilities.ts";
import { RET, retErrno } from "./seccomp_bpf.ts";
import { type Comparison, type Condition, permits, type Policy, type Rule } from "./seccomp_policy.ts";
import type { Arch } from "./syscall_numbers.ts";

/** A profile that cannot be used, and why. */
export class SeccompProfileError extends Error {
  override readonly name = "SeccompProfileError";
  readonly code = "SECCOMP_PROFILE_INVALID";
}

/** What a profile's `includes` and `excludes` are compared with. */
export interface ProfileTarget {
  readonly arch: Arch;
  /** The container's bounding set. */
  readonly capabilities: CapabilitySet;
  /** As in `uname -r`: 6.18 is `[6, 18]`. */
  readonly kernel: readonly [major: number, minor: number];
}

/** What a profile says for a target. */
export interface ResolvedProfile {
  /** `undefined` for a profile that is empty, which Docker takes as no filter at all. */
  readonly policy: Policy | undefined;
  /** `flags` of seccomp(2) that the profile asks for; `undefined` when it does not say. */
  readonly flags: number | undefined;
}

const MAX_PROFILE_BYTES = 1 << 20;
const MAX_RULES = 10_000;
const EPERM = 1;
const ENOSYS = 38;
/** The kernel caps an errno there (MAX_ERRNO, linux/err.h). */
const MAX_ERRNO = 4095;

const GO_ARCH: Readonly<Record<Arch, string>> = { x86_64: "amd64", aarch64: "arm64" };

const FLAGS: ReadonlyMap<string, number> = new Map([
  ["SECCOMP_FILTER_FLAG_TSYNC", 1],
  ["SECCOMP_FILTER_FLAG_LOG", 2],
  ["SECCOMP_FILTER_FLAG_SPEC_ALLOW", 4],
]);

const COMPARISONS: ReadonlyMap<string, Comparison> = new Map([
  ["SCMP_CMP_NE", "ne"],
  ["SCMP_CMP_LT", "lt"],
  ["SCMP_CMP_LE", "le"],
  ["SCMP_CMP_EQ", "eq"],
  ["SCMP_CMP_GE", "ge"],
  ["SCMP_CMP_GT", "gt"],
  ["SCMP_CMP_MASKED_EQ", "masked"],
]);

/**
 * Reads a profile for a target.
 * @throws {SeccompProfileError} Saying which field is wrong.
 */
export function readSeccompProfile(text: string, target: ProfileTarget): ResolvedProfile {
  return resolveSeccompProfile(parseJson(text), target);
}

/**
 * The same for one that has been read: `linux.seccomp` of the runtime-spec. Whole numbers are BigInt.
 * @throws {SeccompProfileError} Saying which field is wrong.
 */
export function resolveSeccompProfile(value: unknown, target: ProfileTarget): ResolvedProfile {
  const profile = object(value as Json, "the profile");
  const syscalls = list(field(profile, "syscalls"), "syscalls", MAX_RULES);
  const defaultName = field(profile, "defaultAction");
  if ((defaultName === undefined || defaultName === "") && syscalls.length === 0) {
    return { policy: undefined, flags: undefined };
  }
  if (
    list(field(profile, "architectures"), "architectures", 100).length > 0 && field(profile, "archMap") !== undefined
  ) {
    if (list(field(profile, "archMap"), "archMap", 100).length > 0) {
      fail(`"architectures" and "archMap" cannot both be given`);
    }
  }
  const listener = field(profile, "listenerPath");
  if (listener !== undefined && listener !== "") fail(`"listenerPath" is not supported: nobody would answer the calls`);

  const defaultAction = readAction(defaultName, field(profile, "defaultErrnoRet"), "defaultAction");
  const rules: Rule[] = [];
  syscalls.forEach((value, index) => readRule(value, `syscalls[${index}]`, target, rules));
  return {
    policy: { rules, defaultAction, unknownAction: permits(defaultAction) ? defaultAction : retErrno(ENOSYS) },
    flags: readFlags(field(profile, "flags")),
  };
}

type Json = string | boolean | bigint | number | null | undefined | Json[] | JsonObject;
interface JsonObject {
  [key: string]: Json;
}

/** Numbers become BigInt: an argument may be compared with any 64-bit value. */
function parseJson(text: string): Json {
  if (text.length > MAX_PROFILE_BYTES) fail(`it is longer than ${MAX_PROFILE_BYTES} bytes`);
  type WithSource = (key: string, value: unknown, context?: { source: string }) => unknown;
  const reviver: WithSource = (_key, value, context) => {
    if (typeof value !== "number") return value;
    return context !== undefined && /^-?[0-9]+$/.test(context.source) ? BigInt(context.source) : value;
  };
  try {
    return JSON.parse(text, reviver) as Json;
  } catch (error) {
    fail(error instanceof SyntaxError ? "it is not JSON" : "it is nested too deeply");
  }
}

function fail(reason: string): never {
  throw new SeccompProfileError(`Cannot use the seccomp profile: ${reason}`);
}

function object(value: Json, where: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) fail(`${where} is not an object`);
  return value;
}

function field(from: JsonObject, key: string): Json {
  const value = Object.hasOwn(from, key) ? from[key] : undefined;
  return value === null ? undefined : value;
}

function list(value: Json, where: string, limit: number): Json[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) fail(`${where} is not a list`);
  if (value.length > limit) fail(`${where} has more than ${limit} elements`);
  return value;
}

function names(value: Json, where: string): string[] {
  return list(value, where, MAX_RULES).map((name) => typeof name === "string" ? name : fail(`${where} holds no names`));
}

function number(value: Json, where: string, max: bigint): bigint {
  if (typeof value !== "bigint" || value < 0n || value > max) fail(`${where} is not a number from 0 to ${max}`);
  return value;
}

function readAction(value: Json, errnoRet: Json, where: string): number {
  const data = errnoRet === undefined ? EPERM : Number(number(errnoRet, `${where}'s errno`, 0xffffn));
  switch (value) {
    case "SCMP_ACT_ALLOW":
      return RET.ALLOW;
    case "SCMP_ACT_LOG":
      return RET.LOG;
    case "SCMP_ACT_ERRNO":
      if (data > MAX_ERRNO) fail(`${where}'s errno is above ${MAX_ERRNO}`);
      return retErrno(data);
    case "SCMP_ACT_TRACE":
      return RET.TRACE | data;
    case "SCMP_ACT_TRAP":
      return RET.TRAP;
    case "SCMP_ACT_KILL":
    case "SCMP_ACT_KILL_THREAD":
      return RET.KILL_THREAD;
    case "SCMP_ACT_KILL_PROCESS":
      return RET.KILL_PROCESS;
    case "SCMP_ACT_NOTIFY":
      return fail(`${where} is SCMP_ACT_NOTIFY: nobody would answer the calls`);
    default:
      return fail(`${where} is no action that is known`);
  }
}

function readFlags(value: Json): number | undefined {
  if (value === undefined) return undefined;
  let flags = 0;
  for (const name of names(value, "flags")) {
    // about threads of the process that sets the filter: ours has one
    if (name === "SECCOMP_FILTER_FLAG_TSYNC") continue;
    flags |= FLAGS.get(name) ?? fail(`"flags" holds one that is not known`);
  }
  return flags;
}

function readRule(value: Json, where: string, target: ProfileTarget, rules: Rule[]): void {
  const rule = object(value, where);
  const one = field(rule, "name");
  const many = names(field(rule, "names"), `${where}.names`);
  if (one !== undefined && one !== "") {
    if (many.length > 0) fail(`${where} has both "name" and "names"`);
    many.push(...names([one], `${where}.name`));
  }
  const action = readAction(field(rule, "action"), field(rule, "errnoRet"), `${where}.action`);
  const alternatives = readConditions(list(field(rule, "args"), `${where}.args`, 1000), `${where}.args`);
  if (!isMeant(field(rule, "includes"), field(rule, "excludes"), where, target)) return;
  for (const call of many) {
    for (const conditions of alternatives) rules.push({ call, conditions, action });
    if (rules.length > MAX_RULES) fail(`it has more than ${MAX_RULES} rules`);
  }
}

/**
 * The conditions of a rule: all must hold; but if one argument is named twice, each condition is a rule of its own, as
 * in runc and crun, whose profiles rely on it.
 */
function readConditions(args: Json[], where: string): Condition[][] {
  const conditions = args.map((value, index): Condition => {
    const arg = object(value, `${where}[${index}]`);
    const position = number(field(arg, "index"), `${where}[${index}].index`, 5n);
    const first = number(field(arg, "value") ?? 0n, `${where}[${index}].value`, 0xffff_ffff_ffff_ffffn);
    const second = number(field(arg, "valueTwo") ?? 0n, `${where}[${index}].valueTwo`, 0xffff_ffff_ffff_ffffn);
    const op = field(arg, "op");
    const compare = typeof op === "string" ? COMPARISONS.get(op) : undefined;
    if (compare === undefined) fail(`${where}[${index}].op is no comparison that is known`);
    const common = { index: Number(position), width: 64, compare } as const;
    return compare === "masked" ? { ...common, value: second, mask: first } : { ...common, value: first };
  });
  const repeated = new Set(conditions.map((condition) => condition.index)).size < conditions.length;
  return repeated ? conditions.map((condition) => [condition]) : [conditions];
}

function isMeant(includes: Json, excludes: Json, where: string, target: ProfileTarget): boolean {
  if (excludes !== undefined) {
    const filter = readFilter(excludes, `${where}.excludes`);
    if (filter.arches.includes(GO_ARCH[target.arch])) return false;
    if (filter.caps.some((name) => holds(target, name))) return false;
    if (filter.minKernel !== undefined && isAtLeast(target.kernel, filter.minKernel)) return false;
  }
  if (includes !== undefined) {
    const filter = readFilter(includes, `${where}.includes`);
    if (filter.arches.length > 0 && !filter.arches.includes(GO_ARCH[target.arch])) return false;
    if (!filter.caps.every((name) => holds(target, name))) return false;
    if (filter.minKernel !== undefined && !isAtLeast(target.kernel, filter.minKernel)) return false;
  }
  return true;
}

interface Filter {
  arches: string[];
  caps: string[];
  minKernel: readonly [number, number] | undefined;
}

function readFilter(value: Json, where: string): Filter {
  const filter = object(value, where);
  const version = field(filter, "minKernel");
  let minKernel: readonly [number, number] | undefined;
  if (version !== undefined && version !== "") {
    const match = typeof version === "string" ? /^([0-9]{1,5})\.([0-9]{1,5})$/.exec(version) : null;
    if (match === null) fail(`${where}.minKernel is no version such as "5.10"`);
    minKernel = [Number(match[1]), Number(match[2])];
  }
  return {
    arches: names(field(filter, "arches"), `${where}.arches`),
    caps: names(field(filter, "caps"), `${where}.caps`),
    minKernel,
  };
}

function holds(target: ProfileTarget, name: string): boolean {
  const bit = capabilityNumber(name);
  return bit !== undefined && (target.capabilities >> BigInt(bit) & 1n) === 1n;
}

function isAtLeast(kernel: readonly [number, number], wanted: readonly [number, number]): boolean {
  return kernel[0] > wanted[0] || kernel[0] === wanted[0] && kernel[1] >= wanted[1];
}
