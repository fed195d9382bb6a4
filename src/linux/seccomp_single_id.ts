/**
 * Answers for a container that has one id.
 *
 * Where the user has no subordinate ids, the container's root is the user and nobody else exists: a chown to 33, or a
 * setgroups, fails for want of ids. Package managers then stop. So the filter answers such calls with success and does
 * nothing (C-082): apt-get, dpkg, rpm, useradd, tar -p, install -o, su and the maintainer scripts that call them go on,
 * and the layer's record keeps the owners that matter.
 *
 * What is answered is only what cannot happen. A call that the kernel can carry out (an owner of 0, or −1 for "as it
 * is") happens, and fails truly: `chown root missing` still says ENOENT. Getting ids still tells the truth, so that a
 * program which looks whether it became another user sees that it did not (apt does: it needs
 * `APT::Sandbox::User "root"`; sshd and postgres cannot be satisfied this way).
 *
 * Meant for a process whose id is 0 inside. Another user of the container has no right to any of these calls.
 *
 * @module
 */
import { RET, retErrno } from "./seccomp_bpf.ts";
import type { Condition, Policy, Rule } from "./seccomp_policy.ts";

/** ERRNO with 0: the call is not made and returns 0 (seccomp(2), SECCOMP_RET_ERRNO). */
const SUCCESS = retErrno(0);

/**
 * Calls that take ids, and which of their arguments those are. setfsuid and setfsgid are not among them: they never
 * fail, and return the previous id, which is what the kernel does with an id that it cannot map.
 */
const ID_ARGUMENTS: readonly (readonly [call: string, ...indexes: number[]])[] = [
  ["chown", 1, 2],
  ["lchown", 1, 2],
  ["fchown", 1, 2],
  ["fchownat", 2, 3],
  ["setuid", 0],
  ["setgid", 0],
  ["setreuid", 0, 1],
  ["setregid", 0, 1],
  ["setresuid", 0, 1, 2],
  ["setresgid", 0, 1, 2],
];

/** mknod and mknodat, and where their mode and device stand. */
const NODE_ARGUMENTS: readonly (readonly [call: string, mode: number, device: number])[] = [
  ["mknod", 1, 2],
  ["mknodat", 2, 3],
];

/** File types in a mode (inode(7)). */
const TYPE_MASK = 0o170000n;
const CHARACTER_DEVICE = 0o020000n;
const BLOCK_DEVICE = 0o060000n;

/** NGROUPS_MAX (linux/limits.h): more is EINVAL anywhere. */
const MAX_GROUPS = 65536n;

/** Answers success to what needs ids that are not there, and permits everything else. */
export function singleIdPolicy(): Policy {
  const rules: Rule[] = [];
  const answer = (call: string, ...conditions: Condition[]): void => {
    rules.push({ call, conditions, action: SUCCESS });
  };
  for (const [call, ...indexes] of ID_ARGUMENTS) {
    for (const index of indexes) answer(call, ...isAnotherId(index));
  }
  // the kernel wants setgroups denied before a user maps his own group (user_namespaces(7)); even an empty list fails
  answer("setgroups", { index: 0, width: 32, compare: "le", value: MAX_GROUPS });
  for (const [call, mode, device] of NODE_ARGUMENTS) {
    answer(call, isOfType(mode, BLOCK_DEVICE));
    // 0:0 is overlayfs' whiteout, which anybody may make (Linux 5.8)
    answer(call, isOfType(mode, CHARACTER_DEVICE), { index: device, width: 32, compare: "ne", value: 0n });
  }
  return { rules, defaultAction: RET.ALLOW, unknownAction: RET.ALLOW };
}

/** Neither 0, which the container has, nor −1, which changes nothing. */
function isAnotherId(index: number): Condition[] {
  return [
    { index, width: 32, compare: "gt", value: 0n },
    { index, width: 32, compare: "lt", value: 0xffff_ffffn },
  ];
}

function isOfType(index: number, type: bigint): Condition {
  return { index, width: 32, compare: "masked", mask: TYPE_MASK, value: type };
}
