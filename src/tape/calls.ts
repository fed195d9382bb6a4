/**
 * What the arguments of system calls are, for the printer: one table, from which `--explain`, the trace and the golden
 * tests are printed. A call that is not in it is printed as well, with plain numbers.
 *
 * @module
 */
import * as file from "#linux/file.ts";
import * as ioctl from "#linux/ioctl.ts";
import * as keyctl from "#linux/keyctl.ts";
import * as landlock from "#linux/landlock.ts";
import * as mount from "#linux/mount.ts";
import * as prctl from "#linux/prctl.ts";
import type { FlagSetName, NameSetName } from "./flags.ts";
import type { StructName } from "./structs.ts";

/** What an argument, or the field of a struct, is. Those from `path` on are addresses. */
export type Kind =
  | "number"
  | "size"
  | "hex"
  /** Decimal while it is small. */
  | "plain"
  /** A descriptor, or AT_FDCWD. */
  | "fd"
  | "mode"
  /** A mode with a file type. */
  | "fileMode"
  /** A device number: major and minor. */
  | "device"
  /** A uid, gid, or −1 for none. */
  | "id"
  | "pid"
  | "signal"
  | "errno"
  | "capability"
  | "capabilities"
  | "resource"
  | "limit"
  | { readonly flags: FlagSetName }
  | { readonly name: NameSetName }
  | "address"
  | "path"
  | "text"
  /** Characters in the struct itself, not an address. */
  | "chars"
  | "strings"
  /** Strings whose values are nobody's business. */
  | "environment"
  /** `sigset_t`. */
  | "signals"
  /** `struct sock_filter[]`. */
  | "program"
  /** Bytes; their length is the argument of that number. */
  | { readonly bytes: number }
  | { readonly struct: StructName }
  /** Structs; how many is the argument of that number. */
  | { readonly list: StructName; readonly count: number }
  /** So many structs; as many as there are where it is undefined. */
  | { readonly list: StructName; readonly exactly: number | undefined };

/** A system call's arguments. */
export interface Call {
  readonly kinds: readonly Kind[];
  /** The argument that decides on the kinds of those behind it, and what they are then. */
  readonly by?: { readonly argument: number; readonly cases: ReadonlyMap<number, readonly Kind[]> };
}

function flags(name: FlagSetName): Kind {
  return { flags: name };
}

function struct(name: StructName): Kind {
  return { struct: name };
}

/** A call with many in one: the kinds up to the deciding argument, and those behind it by its value. */
function multiplexed(kinds: readonly Kind[], cases: readonly (readonly [number, ...Kind[]])[]): Call {
  return {
    kinds,
    by: { argument: kinds.length - 1, cases: new Map(cases.map(([value, ...rest]) => [value, rest])) },
  };
}

const DATA = { bytes: 2 } as const;

const KINDS: Readonly<Record<string, readonly Kind[]>> = {
  // processes
  clone: [flags("clone"), "address", "address", "address", "address"],
  clone3: [struct("clone_args"), "size"],
  fork: [],
  vfork: [],
  execve: ["path", "strings", "environment"],
  execveat: ["fd", "path", "strings", "environment", flags("at")],
  exit: ["number"],
  exit_group: ["number"],
  wait4: ["pid", "address", flags("wait"), "address"],
  waitid: [{ name: "waitid" }, "pid", "address", flags("wait"), "address"],
  kill: ["pid", "signal"],
  tgkill: ["pid", "pid", "signal"],
  pidfd_open: ["pid", "number"],
  pidfd_send_signal: ["fd", "signal", "address", "number"],
  pidfd_getfd: ["fd", "fd", "number"],
  getpid: [],
  gettid: [],
  getppid: [],
  setsid: [],
  setpgid: ["pid", "pid"],
  umask: ["mode"],
  rt_sigprocmask: [{ name: "sigmask" }, "signals", "address", "size"],
  rt_sigtimedwait: ["signals", "address", struct("timespec"), "size"],
  rt_sigaction: ["signal", "address", "address", "size"],
  signalfd4: ["fd", "signals", "size", flags("status")],
  prlimit64: ["pid", "resource", struct("rlimit"), "address"],
  setrlimit: ["resource", struct("rlimit")],
  setpriority: ["number", "id", "number"],
  sched_setaffinity: ["pid", "size", { bytes: 1 }],
  sched_setscheduler: ["pid", "number", struct("int")],
  personality: ["hex"],
  nanosleep: [struct("timespec"), "address"],
  clock_gettime: [{ name: "clock" }, "address"],
  clock_nanosleep: [{ name: "clock" }, "number", struct("timespec"), "address"],
  timerfd_create: [{ name: "clock" }, flags("status")],
  timerfd_settime: ["fd", "number", struct("itimerspec"), "address"],

  // namespaces and mounts
  unshare: [flags("namespaces")],
  setns: ["fd", flags("namespaces")],
  mount: ["path", "path", "text", flags("mount"), "text"],
  umount2: ["path", flags("umount")],
  pivot_root: ["path", "path"],
  chroot: ["path"],
  open_tree: ["fd", "path", flags("openTree")],
  move_mount: ["fd", "path", "fd", "path", flags("moveMount")],
  mount_setattr: ["fd", "path", flags("at"), struct("mount_attr"), "size"],
  fsopen: ["text", flags("fsopen")],
  fspick: ["fd", "path", flags("at")],
  fsmount: ["fd", flags("fsmount"), flags("mountAttr")],
  sethostname: [{ bytes: 1 }, "size"],
  setdomainname: [{ bytes: 1 }, "size"],

  // files
  openat: ["fd", "path", flags("open"), "mode"],
  openat2: ["fd", "path", struct("open_how"), "size"],
  close: ["fd"],
  close_range: ["fd", "plain", flags("closeRange")],
  dup: ["fd"],
  dup3: ["fd", "fd", flags("status")],
  pipe2: ["address", flags("status")],
  read: ["fd", DATA, "size"],
  write: ["fd", DATA, "size"],
  pread64: ["fd", DATA, "size", "number"],
  pwrite64: ["fd", DATA, "size", "number"],
  readv: ["fd", { list: "iovec", count: 2 }, "size"],
  writev: ["fd", { list: "iovec", count: 2 }, "size"],
  lseek: ["fd", "number", { name: "seek" }],
  ftruncate: ["fd", "number"],
  fsync: ["fd"],
  fdatasync: ["fd"],
  syncfs: ["fd"],
  flock: ["fd", "number"],
  splice: ["fd", "address", "fd", "address", "size", "hex"],
  sendfile: ["fd", "fd", "address", "size"],
  copy_file_range: ["fd", "address", "fd", "address", "size", "hex"],
  memfd_create: ["text", flags("memfd")],
  eventfd2: ["number", flags("status")],
  mkdirat: ["fd", "path", "mode"],
  mknodat: ["fd", "path", "fileMode", "device"],
  symlinkat: ["path", "fd", "path"],
  linkat: ["fd", "path", "fd", "path", flags("at")],
  unlinkat: ["fd", "path", flags("unlink")],
  renameat2: ["fd", "path", "fd", "path", "hex"],
  readlinkat: ["fd", "path", { bytes: 3 }, "size"],
  fchmod: ["fd", "mode"],
  fchmodat: ["fd", "path", "mode"],
  fchmodat2: ["fd", "path", "mode", flags("at")],
  fchown: ["fd", "id", "id"],
  fchownat: ["fd", "path", "id", "id", flags("at")],
  utimensat: ["fd", "path", { list: "timespec", exactly: 2 }, flags("at")],
  faccessat: ["fd", "path", "mode"],
  faccessat2: ["fd", "path", "mode", flags("at")],
  newfstatat: ["fd", "path", "address", flags("at")],
  statx: ["fd", "path", flags("at"), "hex", "address"],
  mmap: ["hex", "size", "hex", "hex", "plain", "size"],
  getuid: [],
  geteuid: [],
  getgid: [],
  getegid: [],
  getgroups: ["number", "address"],
  uname: ["address"],
  fstat: ["fd", "address"],
  statfs: ["path", "address"],
  fstatfs: ["fd", "address"],
  setxattr: ["path", "text", { bytes: 3 }, "size", "number"],
  lsetxattr: ["path", "text", { bytes: 3 }, "size", "number"],
  fsetxattr: ["fd", "text", { bytes: 3 }, "size", "number"],
  chdir: ["path"],
  fchdir: ["fd"],
  getcwd: ["address", "size"],

  // identity and rights
  setuid: ["id"],
  setgid: ["id"],
  setresuid: ["id", "id", "id"],
  setresgid: ["id", "id", "id"],
  setgroups: ["size", { list: "id", count: 0 }],
  setfsuid: ["id"],
  setfsgid: ["id"],
  capset: [struct("capability_header"), struct("capabilities")],
  capget: [struct("capability_header"), "address"],
  landlock_create_ruleset: [struct("landlock_ruleset_attr"), "size", flags("landlockCreate")],
  landlock_restrict_self: ["fd", "hex"],
  add_key: ["text", "text", { bytes: 3 }, "size", { name: "keyring" }],

  // sockets and waiting
  socket: [{ name: "family" }, flags("socketType"), "number"],
  socketpair: [{ name: "family" }, flags("socketType"), "number", "address"],
  connect: ["fd", { bytes: 2 }, "size"],
  bind: ["fd", { bytes: 2 }, "size"],
  listen: ["fd", "number"],
  accept4: ["fd", "address", "address", flags("socketType")],
  sendmsg: ["fd", struct("msghdr"), flags("message")],
  recvmsg: ["fd", struct("msghdr"), flags("message")],
  sendto: ["fd", DATA, "size", flags("message"), "address", "size"],
  recvfrom: ["fd", DATA, "size", flags("message"), "address", "address"],
  setsockopt: ["fd", "number", "number", { bytes: 4 }, "size"],
  shutdown: ["fd", "number"],
  poll: [{ list: "pollfd", count: 1 }, "size", "number"],
  ppoll: [{ list: "pollfd", count: 1 }, "size", struct("timespec"), "signals", "size"],
  epoll_create1: [flags("status")],
  epoll_ctl: ["fd", "number", "fd", "address"],
  epoll_pwait: ["fd", "address", "number", "number", "signals", "size"],

  // answers of the player's own
  fail: ["errno"],
};

const MULTIPLEXED: Readonly<Record<string, Call>> = {
  fcntl: multiplexed(["fd", { name: "fcntl" }], [
    [file.F_DUPFD, "fd"],
    [file.F_DUPFD_CLOEXEC, "fd"],
    [file.F_SETFD, flags("descriptor")],
    [file.F_SETFL, flags("status")],
    [file.F_ADD_SEALS, flags("seals")],
    [file.F_SETPIPE_SZ, "size"],
  ]),
  prctl: multiplexed([{ name: "prctl" }], [
    [prctl.PR_SET_PDEATHSIG, "signal"],
    [prctl.PR_SET_NAME, "text"],
    [prctl.PR_CAPBSET_DROP, "capability"],
    [prctl.PR_CAPBSET_READ, "capability"],
    [prctl.PR_CAP_AMBIENT, { name: "ambient" }, "number"],
  ]),
  fsconfig: multiplexed(["fd", { name: "fsconfig" }], [
    [mount.FSCONFIG_SET_FLAG, "text", "address", "number"],
    [mount.FSCONFIG_SET_STRING, "text", "text", "number"],
    [mount.FSCONFIG_SET_BINARY, "text", { bytes: 4 }, "size"],
    [mount.FSCONFIG_SET_PATH, "text", "path", "fd"],
    [mount.FSCONFIG_SET_PATH_EMPTY, "text", "path", "fd"],
    [mount.FSCONFIG_SET_FD, "text", "address", "fd"],
    [mount.FSCONFIG_CMD_CREATE, "address", "address", "number"],
    [mount.FSCONFIG_CMD_RECONFIGURE, "address", "address", "number"],
    [mount.FSCONFIG_CMD_CREATE_EXCL, "address", "address", "number"],
  ]),
  ioctl: multiplexed(["fd", { name: "ioctl" }], [
    [ioctl.TIOCSWINSZ, struct("winsize")],
    [ioctl.TIOCSPTLCK, struct("int")],
    [ioctl.TIOCGPTPEER, flags("open")],
    [ioctl.TIOCSCTTY, "number"],
    [ioctl.SIOCSIFFLAGS, struct("ifreq")],
    [ioctl.SIOCGIFFLAGS, struct("ifreq")],
    [ioctl.TUNSETIFF, struct("ifreq")],
    [ioctl.TUNSETOFFLOAD, "hex"],
    [ioctl.FICLONE, "fd"],
  ]),
  keyctl: multiplexed([{ name: "keyctl" }], [
    [keyctl.KEYCTL_JOIN_SESSION_KEYRING, "text"],
    [keyctl.KEYCTL_SETPERM, { name: "keyring" }, "hex"],
    [keyctl.KEYCTL_LINK, { name: "keyring" }, { name: "keyring" }],
    [keyctl.KEYCTL_UNLINK, { name: "keyring" }, { name: "keyring" }],
  ]),
  seccomp: {
    kinds: [{ name: "seccomp" }, flags("seccomp"), struct("sock_fprog")],
  },
  landlock_add_rule: {
    kinds: ["fd", { name: "landlockRule" }, "address", "hex"],
    by: {
      argument: 1,
      cases: new Map([[landlock.LANDLOCK_RULE_PATH_BENEATH, [struct("landlock_path_beneath_attr")]]]),
    },
  },
};

/** The names of all calls that the table has. */
export function listCalls(): string[] {
  return [...Object.keys(KINDS), ...Object.keys(MULTIPLEXED)];
}

/**
 * The kinds of a call's arguments.
 * @param argument Gives an argument's value where it is a plain number: calls such as prctl(2) are many in one.
 * @returns Fewer than the call has arguments where they are unknown.
 */
export function kindsOf(call: string, argument: (index: number) => bigint | undefined): readonly Kind[] {
  if (Object.hasOwn(KINDS, call)) return KINDS[call]!;
  if (!Object.hasOwn(MULTIPLEXED, call)) return [];
  const { kinds, by } = MULTIPLEXED[call]!;
  if (by === undefined) return kinds;
  const value = argument(by.argument);
  const rest = value === undefined ? undefined : by.cases.get(Number(value));
  if (rest === undefined) return kinds;
  const end = by.argument + 1;
  return [...kinds.slice(0, end), ...rest, ...kinds.slice(end + rest.length)];
}
