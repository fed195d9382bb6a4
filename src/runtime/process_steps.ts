/**
 * From a prepared root file system to the container's program: limits, session, ids, capabilities, filter, exec.
 *
 * @module
 */
import { ALL_CAPABILITIES, capabilityWords, LAST_CAPABILITY } from "#linux/capabilities.ts";
import {
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  PR_CAPBSET_DROP,
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
  PR_SET_PDEATHSIG,
} from "#linux/prctl.ts";
import { SECCOMP_SET_MODE_FILTER } from "#linux/seccomp_call.ts";
import { KEYCTL_JOIN_SESSION_KEYRING } from "#linux/keyctl.ts";
import { LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, LANDLOCK_SCOPE_SIGNAL } from "#linux/landlock.ts";
import { packList } from "#tape/pack.ts";
import { ENOSYS } from "#linux/errno_values.ts";
import { compute, jumpTo, mark, operate, type Step, step } from "#tape/step.ts";

/** The id of the step that executes the container's program: its failure is exit code 126 or 127. */
export const EXEC = "execute";

const ENOENT = -2;
const EACCES = -13;
const ENOTDIR = -20;

/** Resource limits, by number (asm-generic/resource.h) and in the units of setrlimit(2). */
export function limitSteps(limits: readonly { number: number; name: string; soft: bigint; hard: bigint }[]): Step[] {
  return limits.map(({ number, name, soft, hard }) =>
    step("prlimit64", [0, number, { struct: [soft, hard] }, 0], "limit", name, {
      hints: { EPERM: "a hard limit cannot be raised above your own" },
    })
  );
}

/**
 * A keyring of its own, so that the caller's keys are not in reach. Kernels without keyrings have none to hide.
 * @param required Whether nothing else keeps the program from the keys. Where the filter does, the container starts
 * although the user's quota of keys is used up: it is 200, and each keyring takes one.
 */
export function keyringSteps(required: boolean): Step[] {
  const args = [KEYCTL_JOIN_SESSION_KEYRING, 0];
  const [label, object] = ["join", "a new session keyring"];
  if (!required) return [step("keyctl", args, label, object, { ignore: true })];
  return [
    step("keyctl", args, label, object, {
      jump: { when: "error", only: ENOSYS, to: "keyring" },
      hints: { EDQUOT: "your quota of keys is used up (sysctl kernel.keys.maxkeys)" },
    }),
    mark("keyring", "the caller's keys are out of reach"),
  ];
}

/** Dies with the process that forked this one. The kernel forgets it with each change of ids (prctl(2)). */
export function deathSignalSteps({ deathSignal }: { readonly deathSignal?: number | undefined }, whom: string): Step[] {
  return deathSignal === undefined ? [] : [step("prctl", [PR_SET_PDEATHSIG, deathSignal, 0, 0, 0], "die with", whom)];
}

/** Keeps a process, and those that it starts, to some processors: until one of them asks for others (sched_setaffinity(2)). */
export function affinitySteps(processors: readonly number[] | undefined): Step[] {
  if (processors === undefined) return [];
  // a bit for each, in words of 64
  const mask = new Uint8Array(8 * (Math.floor(Math.max(0, ...processors) / 64) + 1));
  for (const number of processors) mask[number >> 3]! |= 1 << (number & 7);
  return [
    step("sched_setaffinity", [0, mask.length, mask], "keep to processors", processors.join(","), {
      hints: { EINVAL: "none of them is there for you" },
    }),
  ];
}

/** Becomes a user of the container. @param groups Supplementary groups, or undefined to keep the caller's. */
export function userSteps(uid: number, gid: number, groups: readonly number[] | undefined): Step[] {
  const hints = { EINVAL: "the id is outside of the range that this user namespace maps" };
  const steps: Step[] = [step("prctl", [PR_SET_KEEPCAPS, 1, 0, 0, 0], "keep capabilities over", "the change of user")];
  if (groups !== undefined) {
    steps.push(
      step("setgroups", [groups.length, packList("id", groups)], "set groups", groups.join(",") || "none", { hints }),
    );
  }
  steps.push(
    step("setresgid", [gid, gid, gid], "become group", String(gid), { hints }),
    step("setresuid", [uid, uid, uid], "become user", String(uid), { hints }),
  );
  return steps;
}

/** The capability sets of a process, each a bit set. */
export interface CapabilitySets {
  readonly bounding: bigint;
  readonly effective: bigint;
  readonly permitted: bigint;
}

/** Drops what is not in the bounding set. Needs CAP_SETPCAP. */
export function boundingSteps(bounding: bigint, last: number): Step[] {
  const steps: Step[] = [];
  for (let number = 0; number <= last; number++) {
    if (bounding >> BigInt(number) & 1n) continue;
    steps.push(step("prctl", [PR_CAPBSET_DROP, number, 0, 0, 0], "drop capability", String(number)));
  }
  return steps;
}

const CAPABILITY_VERSION_3 = 0x20080522;

/** Sets effective and permitted; inheritable and ambient stay empty. */
export function capabilityStep(effective: bigint, permitted: bigint, object: string): Step {
  return capsetStep({ effective, permitted, inheritable: 0n }, object);
}

/** Keeps all capabilities over an exec that is not root's: of a worker of ours, never of a container's program. */
export function keepCapabilitiesSteps(): Step[] {
  const all = ALL_CAPABILITIES;
  return [
    capsetStep({ effective: all, permitted: all, inheritable: all }, "that are inherited"),
    ...Array.from({ length: LAST_CAPABILITY + 1 }, (_, number) =>
      // a kernel may know fewer
      step("prctl", [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0], "keep capability", String(number), {
        ignore: true,
      })),
  ];
}

export function capsetStep(
  sets: { readonly effective: bigint; readonly permitted: bigint; readonly inheritable: bigint },
  object: string,
): Step {
  const [effectiveLow, effectiveHigh] = capabilityWords(sets.effective);
  const [permittedLow, permittedHigh] = capabilityWords(sets.permitted);
  const [inheritableLow, inheritableHigh] = capabilityWords(sets.inheritable);
  const data = new Uint32Array([
    effectiveLow,
    permittedLow,
    inheritableLow,
    effectiveHigh,
    permittedHigh,
    inheritableHigh,
  ]);
  const header = new Uint8Array(new Uint32Array([CAPABILITY_VERSION_3, 0]).buffer);
  return step("capset", [header, new Uint8Array(data.buffer)], "set capabilities", object);
}

export function clearAmbientStep(): Step {
  return step("prctl", [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0], "clear", "ambient capabilities");
}

export function noNewPrivilegesStep(): Step {
  return step("prctl", [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], "set", "no_new_privs");
}

/** Loads a seccomp program. Needs CAP_SYS_ADMIN or no_new_privs. */
export function filterStep({ program, flags }: { program: Uint8Array; flags: number }): Step {
  const instructions = program.length / 8;
  return step(
    "seccomp",
    [SECCOMP_SET_MODE_FILTER, flags, { struct: [instructions, program] }],
    "load",
    "seccomp filter",
    {
      hints: { EINVAL: "the kernel refuses the filter, or has no seccomp" },
    },
  );
}

/** Closes abstract sockets and signals of the host where its namespaces are shared. Landlock ABI 6. */
export function scopeSteps(sockets: boolean, signals: boolean): Step[] {
  const scopes = (sockets ? LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET : 0) | (signals ? LANDLOCK_SCOPE_SIGNAL : 0);
  if (scopes === 0) return [];
  return [
    step("landlock_create_ruleset", [{ struct: [0, 0, scopes] }, 24, 0], "make", "Landlock scopes", { id: "scopes" }),
    step("landlock_restrict_self", [{ result: "scopes" }, 0], "enforce", "Landlock scopes"),
    step("close", [{ result: "scopes" }], "close", "Landlock scopes"),
  ];
}

/** Enters the working directory and makes sure that it is in the container. */
export function workingDirectorySteps(cwd: string): Step[] {
  const hints = { ENOENT: "the working directory does not exist", ENOTDIR: "the working directory is no directory" };
  return [
    step("chdir", [cwd], "enter", cwd, { hints }),
    step("getcwd", [{ buffer: "cwd" }, 4096], "ask for", "the working directory"),
    operate("load", [{ buffer: "cwd" }, 0, 1], "read its first byte", { id: "cwd byte" }),
    compute("eq", { result: "cwd byte" }, "/".charCodeAt(0), "it must be in the container", {
      jump: { when: "nonzero", to: "cwd inside" },
    }),
    operate("fail", [2], "enter working directory outside of the container", { object: cwd }),
    operate("nop", [], "working directory is inside", { id: "cwd inside" }),
  ];
}

/**
 * Executes a program, searched as execvp(3) does: in each directory of PATH, unless its name has a slash. EACCES in one
 * place does not end the search, but is what is told in the end.
 */
export function executeSteps(args: readonly string[], env: readonly string[]): Step[] {
  const name = args[0] ?? "";
  const argv = { strings: args } as const;
  const envp = { strings: env } as const;
  const hints = {
    ENOENT: "no such program in the container (or the interpreter that its first line names is missing)",
    EACCES: "it is a directory or not executable, or its file system is mounted noexec",
    ENOEXEC:
      "it is for another processor (then an emulator has to be registered in binfmt_misc: package qemu-user-static), or a script without a first line that begins with #!",
    E2BIG: "arguments and environment are larger than this machine allows (ulimit -s)",
  };
  if (name.includes("/")) return [step("execve", [name, argv, envp], "execute", name, { id: EXEC, hints })];

  const steps: Step[] = [];
  if (name !== "") {
    searchPath(env).forEach((directory, index) => {
      const id = `${EXEC} ${index}`;
      const next = `${id} next`;
      steps.push(
        step("execve", [`${directory}/${name}`, argv, envp], "execute", `${directory}/${name}`, { id, ignore: true }),
        compute("eq", { result: id }, ENOENT, "is it missing here", { jump: { when: "nonzero", to: next } }),
        compute("eq", { result: id }, ENOTDIR, "is this no directory", { jump: { when: "nonzero", to: next } }),
        operate("store", [{ buffer: "exec errno" }, { result: id }, 8], "remember the error"),
        compute("eq", { result: id }, EACCES, "may it not be executed", { jump: { when: "nonzero", to: next } }),
        jumpTo(`${EXEC} end`, "give up"),
        operate("nop", [], "next directory", { id: next }),
      );
    });
  }
  steps.push(
    operate("load", [{ buffer: "exec errno" }, 0, 8], "recall the error", { id: `${EXEC} end` }),
    compute("sub", 0, { result: `${EXEC} end` }, "its number", { id: `${EXEC} number` }),
    operate("fail", [{ result: `${EXEC} number` }], "execute", { object: name === "" ? '""' : name, id: EXEC, hints }),
  );
  return steps;
}

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export function searchPath(env: readonly string[]): string[] {
  // the last one counts, as for a shell
  const value = env.findLast((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) ?? DEFAULT_PATH;
  return value.split(":").map((directory) => (directory === "" ? "." : directory)).slice(0, 200);
}

/** What "exec errno" holds before anything was found: ENOENT. */
export function execErrnoBytes(): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(ENOENT), true);
  return bytes;
}
