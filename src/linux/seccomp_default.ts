/**
 * The default filter: what a container may ask of the kernel when nobody says otherwise.
 *
 * An allow-list, equal in effect to Docker's default profile as github.com/moby/profiles had it at commit 02e898b
 * (2026), for a machine of one ABI and a kernel of 4.8 or newer; seccomp_default_test.ts holds the comparison. On top of it
 * stand the refusals of {@linkcode terminalGuardPolicy}, and calls of other ABIs are refused.
 *
 * Not listed, so refused with EPERM: the keyctl family, io_uring, userfaultfd, kexec, swap, nfsservctl and what
 * else reaches beyond a container. Calls that are newer than the list give ENOSYS, so that programs use what they used
 * before.
 *
 * @module
 */
import { type CapabilityName, type CapabilitySet, hasCapability } from "./capabilities.ts";
import { RET, retErrno } from "./seccomp_bpf.ts";
import type { Condition, Policy, Rule } from "./seccomp_policy.ts";

const EPERM = 1;
const ENOSYS = 38;

/** Allowed to everyone, by what they are about. Names that an architecture lacks have no effect there. */
const ALLOWED: Readonly<Record<string, string>> = {
  "reading and writing":
    `read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek sendfile splice tee
    vmsplice copy_file_range readahead fadvise64 sync_file_range fsync fdatasync sync syncfs fallocate truncate ftruncate`,
  "files by name":
    `open openat openat2 creat access faccessat faccessat2 stat lstat fstat newfstatat statx statfs fstatfs
    statmount listmount readlink readlinkat getdents getdents64 getcwd chdir fchdir link linkat symlink symlinkat rename
    renameat renameat2 unlink unlinkat mkdir mkdirat rmdir mknod mknodat chmod fchmod fchmodat fchmodat2 chown fchown lchown
    fchownat utime utimes futimesat utimensat umask name_to_handle_at`,
  "attributes":
    `getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr flistxattr
    listxattrat removexattr lremovexattr fremovexattr removexattrat`,
  "descriptors":
    `close close_range dup dup2 dup3 fcntl flock ioctl pipe pipe2 eventfd eventfd2 signalfd signalfd4 timerfd_create
    timerfd_settime timerfd_gettime memfd_create memfd_secret`,
  "waiting": `poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old
    epoll_pwait epoll_pwait2 inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark`,
  "asynchronous input and output": `io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents`,
  "sockets":
    `bind listen accept accept4 connect shutdown socketpair getsockname getpeername getsockopt setsockopt sendto recvfrom
    sendmsg recvmsg sendmmsg recvmmsg`,
  "memory":
    `brk mmap munmap mremap mprotect madvise mincore msync mlock mlock2 munlock mlockall munlockall remap_file_pages
    membarrier pkey_alloc pkey_free pkey_mprotect map_shadow_stack mseal cachestat process_mrelease`,
  "processes":
    `fork vfork execve execveat exit exit_group wait4 waitid getpid getppid gettid getpgid setpgid getpgrp getsid
    setsid set_tid_address set_thread_area get_thread_area set_robust_list get_robust_list rseq prctl pidfd_open
    pidfd_send_signal process_vm_readv process_vm_writev ptrace uretprobe restart_syscall`,
  "signals": `kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigpending rt_sigtimedwait rt_sigsuspend rt_sigreturn
    rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack pause`,
  "ids":
    `getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid setregid setresuid setresgid setgroups
    setfsuid setfsgid capget capset`,
  "scheduling":
    `sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam sched_getscheduler sched_setscheduler
    sched_getattr sched_setattr sched_get_priority_max sched_get_priority_min sched_rr_get_interval getpriority setpriority
    ioprio_get ioprio_set getcpu`,
  "limits and figures": `getrlimit setrlimit prlimit64 getrusage times sysinfo uname getrandom`,
  "time":
    `time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep clock_adjtime adjtimex alarm getitimer setitimer
    timer_create timer_settime timer_gettime timer_getoverrun timer_delete`,
  "locks between threads": `futex futex_waitv futex_wait futex_wake futex_requeue`,
  "queues, semaphores and shared memory":
    `mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr msgget msgsnd
    msgrcv msgctl semget semop semtimedop semctl shmget shmat shmdt shmctl`,
  "restricting oneself": `seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self`,
  "x86 alone": `arch_prctl modify_ldt`,
};

/** Allowed with a capability in the bounding set. */
const ALLOWED_WITH: readonly (readonly [CapabilityName, string])[] = [
  ["DAC_READ_SEARCH", "open_by_handle_at"],
  [
    "SYS_ADMIN",
    `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
    lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
    sethostname setns syslog umount2 unshare`,
  ],
  ["SYS_BOOT", "reboot"],
  ["SYS_CHROOT", "chroot"],
  ["SYS_MODULE", "delete_module init_module finit_module"],
  ["SYS_PACCT", "acct"],
  ["SYS_PTRACE", "kcmp pidfd_getfd process_madvise"],
  ["SYS_RAWIO", "iopl ioperm"],
  ["SYS_TIME", "settimeofday clock_settime"],
  ["SYS_TTY_CONFIG", "vhangup"],
  ["SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"],
  ["SYSLOG", "syslog"],
  ["BPF", "bpf"],
  ["PERFMON", "perf_event_open"],
];

/**
 * Socket families that may be asked for. Missing: those that the kernel no longer has, AF_ALG (38), the kernel's
 * cryptography, and AF_VSOCK (40), which network namespaces do not divide.
 */
const SOCKET_FAMILIES = "0-11 13-18 21 22 24 26-33 35 36 39 41-45";

/** Flags of clone(2) that make namespaces: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const CLONE_NAMESPACES = 0x7e020000n;

/** Execution domains: Linux and its 32-bit view, with and without UNAME26; the last only asks. */
const PERSONALITIES = [0n, 0x8n, 0x20000n, 0x20008n, 0xffffffffn];

const words = (text: string): string[] => text.split(/\s+/);

function allow(call: string, ...conditions: Condition[]): Rule {
  return { call, conditions, action: RET.ALLOW };
}

/**
 * The default policy for a container.
 * @param capabilities Its bounding set: some calls come with a capability.
 */
export function defaultPolicy(capabilities: CapabilitySet): Policy {
  const rules: Rule[] = [];
  for (const calls of Object.values(ALLOWED)) rules.push(...words(calls).map((call) => allow(call)));
  for (const [capability, calls] of ALLOWED_WITH) {
    if (hasCapability(capabilities, capability)) rules.push(...words(calls).map((call) => allow(call)));
  }
  if (!hasCapability(capabilities, "SYS_ADMIN")) {
    rules.push(
      allow("clone", { index: 0, width: 64, compare: "masked", mask: CLONE_NAMESPACES, value: 0n }),
      // its flags lie in memory, where a filter cannot look; C libraries fall back to clone
      { call: "clone3", conditions: [], action: retErrno(ENOSYS) },
    );
  }
  for (const value of PERSONALITIES) rules.push(allow("personality", { index: 0, width: 64, compare: "eq", value }));
  for (const range of words(SOCKET_FAMILIES)) {
    const [first, last = first] = range.split("-");
    for (let family = BigInt(first!); family <= BigInt(last!); family++) {
      rules.push(allow("socket", { index: 0, width: 32, compare: "eq", value: family }));
    }
  }
  return { rules, defaultAction: retErrno(EPERM), unknownAction: retErrno(ENOSYS) };
}

/** TIOCSTI and TIOCLINUX (asm-generic/ioctls.h, linux/tiocl.h): they put bytes into the terminal's own input. */
export const TERMINAL_REQUESTS = [0x5412n, 0x541cn];

/**
 * Refuses to type into a terminal, on the low 32 bits of the request, which are all that the kernel looks at (A-026,
 * CVE-2017-5226, CVE-2019-10063, CVE-2023-28100). Permits everything else.
 */
export function terminalGuardPolicy(): Policy {
  const rules = TERMINAL_REQUESTS.map((value): Rule => ({
    call: "ioctl",
    conditions: [{ index: 1, width: 32, compare: "eq", value }],
    action: retErrno(EPERM),
  }));
  return { rules, defaultAction: RET.ALLOW, unknownAction: RET.ALLOW };
}
