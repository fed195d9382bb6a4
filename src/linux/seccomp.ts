/**
 * The filter of a container: which policies it has, and the program that they make.
 *
 * The filters of containers with Docker's default capabilities are kept ready: to compile one takes 5 ms in a process
 * that has just started (x86_64, 2 cores, Bun 1.4.5), and a whole run is to take 10.
 *
 * @module
 */
import { type CapabilitySet, DEFAULT_CAPABILITIES } from "./capabilities.ts";
import { compilePolicies, type ForeignAbi } from "./seccomp_compile.ts";
import { defaultPolicy, terminalGuardPolicy } from "./seccomp_default.ts";
import type { Policy } from "./seccomp_policy.ts";
import { PRECOMPILED } from "./seccomp_precompiled.ts";
import { readSeccompProfile, resolveSeccompProfile } from "./seccomp_profile.ts";
import { singleIdPolicy } from "./seccomp_single_id.ts";
import type { Arch } from "./syscall_numbers.ts";

/** SECCOMP_FILTER_FLAG_SPEC_ALLOW (seccomp(2)): as Docker's runtime does; without it old kernels slow the process down. */
const SPEC_ALLOW = 4;

/** What a container's filter depends on. */
export interface SeccompRequest {
  readonly arch: Arch;
  /** The default; none (`--security-opt seccomp=unconfined`, `--privileged`); a profile's JSON text, or what was read of it. */
  readonly profile: "default" | "unconfined" | { readonly text: string } | { readonly value: unknown };
  /** The container's bounding set. */
  readonly capabilities: CapabilitySet;
  /** As in `uname -r`: 6.18 is `[6, 18]`. */
  readonly kernel: readonly [major: number, minor: number];
  /** The container has one id, and its first process is 0 inside: answer what would fail for want of ids. */
  readonly singleId: boolean;
  /** A terminal of the caller's is among the descriptors that the container gets: guard it whatever the profile says. */
  readonly guardTerminal: boolean;
}

/** A filter, ready for seccomp(SECCOMP_SET_MODE_FILTER). */
export interface SeccompFilter {
  /** `struct sock_filter[]`, 8 bytes each. */
  readonly program: Uint8Array<ArrayBuffer>;
  /** How many instructions: `len` of `struct sock_fprog`. */
  readonly length: number;
  /** The flags of seccomp(2). */
  readonly flags: number;
}

/**
 * Plans a container's filter.
 * @returns `undefined` when it needs none.
 * @throws {SeccompProfileError} When the profile's text cannot be used.
 * @throws {RangeError} When it makes a program that the kernel would refuse.
 */
export function planSeccomp(request: SeccompRequest): SeccompFilter | undefined {
  if (request.profile === "default" && request.capabilities === DEFAULT_CAPABILITIES) {
    const bytes = new Uint8Array(Buffer.from(PRECOMPILED[precompiledKey(request)], "base64"));
    return { program: bytes, length: bytes.length / 8, flags: SPEC_ALLOW };
  }
  return compileSeccomp(request);
}

/** Which of the filters that are kept ready a request means. */
export function precompiledKey(
  { arch, singleId }: Pick<SeccompRequest, "arch" | "singleId">,
): keyof typeof PRECOMPILED {
  return singleId ? `${arch}+single-id` : arch;
}

/** As {@linkcode planSeccomp}, always from the policies. */
export function compileSeccomp(request: SeccompRequest): SeccompFilter | undefined {
  const policies: Policy[] = [];
  let foreign: ForeignAbi = request.guardTerminal ? "guard-terminal" : "allow";
  let flags = SPEC_ALLOW;
  let guardTerminal = request.guardTerminal;
  if (request.profile === "default") {
    policies.push(defaultPolicy(request.capabilities));
    foreign = "refuse";
    guardTerminal = true;
  } else if (request.profile !== "unconfined") {
    const profile = "text" in request.profile
      ? readSeccompProfile(request.profile.text, request)
      : resolveSeccompProfile(request.profile.value, request);
    if (profile.policy !== undefined) {
      policies.push(profile.policy);
      foreign = "refuse";
    }
    flags = profile.flags ?? SPEC_ALLOW;
  }
  if (guardTerminal) policies.push(terminalGuardPolicy());
  if (request.singleId) policies.push(singleIdPolicy());
  if (policies.length === 0) return undefined;
  const program = compilePolicies({ arch: request.arch, policies, foreign });
  return { program, length: program.length / 8, flags };
}

/** The answers for a container of one id as a filter of its own, which permits everything else. */
export function singleIdFilter(arch: Arch): SeccompFilter {
  const program = compilePolicies({ arch, policies: [singleIdPolicy()], foreign: "allow" });
  return { program, length: program.length / 8, flags: SPEC_ALLOW };
}
