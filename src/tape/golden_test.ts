import { test } from "node:test";
import { capabilitySet, capabilityWords } from "#linux/capabilities.ts";
import { CLONE_PIDFD } from "#linux/clone.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  F_DUPFD_CLOEXEC,
  F_SETFD,
  FD_CLOEXEC,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_PATH,
  O_RDWR,
  O_TMPFILE,
  O_WRONLY,
  OPEN_HOW,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  S_IFCHR,
} from "#linux/file.ts";
import { TIOCGPTPEER, TIOCSCTTY, TIOCSWINSZ } from "#linux/ioctl.ts";
import { KEYCTL_JOIN_SESSION_KEYRING } from "#linux/keyctl.ts";
import {
  LANDLOCK_ACCESS_FS_EXECUTE,
  LANDLOCK_ACCESS_FS_READ_FILE,
  LANDLOCK_PATH_BENEATH_ATTR,
  LANDLOCK_RULE_PATH_BENEATH,
  LANDLOCK_RULESET_ATTR,
  LANDLOCK_SCOPE_SIGNAL,
} from "#linux/landlock.ts";
import {
  AT_RECURSIVE,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MNT_DETACH,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_SIZE,
  mountAttr,
  MOVE_MOUNT_F_EMPTY_PATH,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_REC,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from "#linux/mount.ts";
import { CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER } from "#linux/namespaces.ts";
import { POLLHUP, POLLIN } from "#linux/poll.ts";
import {
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  PR_CAPBSET_DROP,
  PR_SET_NAME,
  PR_SET_PDEATHSIG,
} from "#linux/prctl.ts";
import { RLIM_INFINITY, rlimitNumber } from "#linux/rlimits.ts";
import { SECCOMP_FILTER_FLAG_SPEC_ALLOW, SECCOMP_SET_MODE_FILTER } from "#linux/seccomp_call.ts";
import { SIGNALS } from "#linux/signals.ts";
import { AF_UNIX, MSG_NOSIGNAL, SCM_RIGHTS, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET } from "#linux/socket.ts";
import { WNOHANG } from "#linux/wait.ts";
import { expectGolden } from "../../tests/support/golden.ts";
import { describeTape, printTape } from "./print.ts";
import { compute, jumpTo, mark, operate, type Step, step, type Tape, type TapeBuffer } from "./step.ts";

function makeTape(steps: Step[], buffers: Record<string, TapeBuffer> = {}): Tape {
  return { steps, buffers: new Map(Object.entries(buffers)), errorFd: 4 };
}

/** Numbers of 64 and 32 bits, one after the other, as a struct of the kernel's. */
function packed(sizeBytes: number, ...fields: [offset: number, size: 2 | 4 | 8, value: number | bigint][]): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  for (const [offset, size, value] of fields) {
    if (size === 8) view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), true);
    else if (size === 4) view.setInt32(offset, Number(value), true);
    else view.setUint16(offset, Number(value), true);
  }
  return bytes;
}

const CONTAINER = makeTape([
  step("unshare", [CLONE_NEWUSER], "make", "user namespace"),
  step("openat", [AT_FDCWD, "/proc/self/uid_map", O_WRONLY | O_CLOEXEC, 0], "open", "/proc/self/uid_map", {
    id: "uid map",
  }),
  step("write", [{ result: "uid map" }, "0 1000 1\n", 9], "write", "/proc/self/uid_map"),
  step("close", [{ result: "uid map" }], "close", "/proc/self/uid_map"),
  step("unshare", [CLONE_NEWPID], "make", "pid namespace"),
  step("clone", [SIGNALS.CHLD, 0, 0, 0, 0], "fork", "the first process", {
    id: "fork",
    jump: { when: "zero", to: "child" },
    hints: { EAGAIN: "the limit of processes is reached (ulimit -u)" },
  }),
  step("wait4", [{ result: "fork" }, { buffer: "status" }, 0, 0], "wait for", "the first process", { retry: true }),
  operate("load", [{ buffer: "status" }, 0, 4], "read its wait status", { id: "status" }),
  compute("shr", { result: "status" }, 8, "take the exit code", { id: "code" }),
  step("exit_group", [{ result: "code" }], "exit as", "the first process"),
  mark("child", "child"),
  step("unshare", [CLONE_NEWNS], "make", "mount namespace"),
  step("mount", ["none", "/", 0, MS_REC | MS_PRIVATE, 0], "cut mounts off at", "/"),
  step(
    "mount",
    ["overlay", "/run/merged", "overlay", 0, "lowerdir=/store/b:/store/a,upperdir=/c/upper,workdir=/c/work,userxattr"],
    "mount overlay at",
    "/",
    { hints: { EINVAL: "before Linux 5.11 the kernel refuses overlay in a user namespace" } },
  ),
  step("chdir", ["/run/merged"], "enter", "/"),
  step("mount", ["proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0], "mount proc at", "/proc"),
  step("pivot_root", [".", "."], "change root to", "/run/merged"),
  step("umount2", [".", MNT_DETACH], "let go of", "the host's root"),
  step(
    "execve",
    ["/bin/sh", { strings: ["sh", "-c", 'echo "hi"'] }, { strings: ["HOME=/root", "TOKEN=s3cret"] }],
    "execute",
    "/bin/sh",
    {
      ignore: true,
    },
  ),
  step("execve", ["/usr/bin/sh", { strings: ["sh"] }, { strings: ["HOME=/root"] }], "execute", "/usr/bin/sh"),
], { status: { sizeBytes: 8 } });

test("a container's tape is printed as reviewed", () => {
  expectGolden("tapes/container.txt", printTape(CONTAINER).join("\n"));
});

test("a container's tape as JSON is as reviewed", () => {
  expectGolden("tapes/container.json", JSON.stringify(describeTape(CONTAINER), null, 2));
});

test("mounts by descriptors are printed as reviewed", () => {
  const how = packed(
    OPEN_HOW.SIZE,
    [OPEN_HOW.flags, 8, O_PATH | O_DIRECTORY | O_CLOEXEC],
    [OPEN_HOW.resolve, 8, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS],
  );
  const tape = makeTape([
    step("openat", [AT_FDCWD, "/store/root", O_PATH | O_DIRECTORY | O_CLOEXEC, 0], "open", "root", { id: "root" }),
    step("fsopen", ["tmpfs", FSOPEN_CLOEXEC], "make tmpfs for", "/tmp", { id: "fs" }),
    step("fsconfig", [{ result: "fs" }, FSCONFIG_SET_STRING, "size", "64m", 0], "set size for", "/tmp"),
    step("fsconfig", [{ result: "fs" }, FSCONFIG_SET_FLAG, "noswap", 0, 0], "set noswap for", "/tmp", { ignore: true }),
    step("fsconfig", [{ result: "fs" }, FSCONFIG_CMD_CREATE, 0, 0, 0], "create tmpfs for", "/tmp"),
    step(
      "fsmount",
      [{ result: "fs" }, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV],
      "mount tmpfs for",
      "/tmp",
      {
        id: "tmp",
      },
    ),
    step("openat2", [{ result: "root" }, "tmp", how, OPEN_HOW.SIZE], "open in the container", "/tmp", {
      id: "place",
      jump: { when: "error", to: "no place" },
    }),
    step(
      "move_mount",
      [{ result: "tmp" }, "", { result: "place" }, "", MOVE_MOUNT_F_EMPTY_PATH | 0x8000],
      "mount at",
      "/tmp",
    ),
    mark("no place", "without it"),
    step(
      "open_tree",
      [AT_FDCWD, "/home/me/data", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE],
      "bind",
      "/home/me/data",
      { id: "data" },
    ),
    step(
      "mount_setattr",
      [
        { result: "data" },
        "",
        AT_EMPTY_PATH | AT_RECURSIVE,
        mountAttr(MOUNT_ATTR_RDONLY, 0, MS_PRIVATE),
        MOUNT_ATTR_SIZE,
      ],
      "restrict",
      "/home/me/data",
    ),
    step("mkdirat", [{ result: "root" }, "dev", 0o755], "make directory", "/dev", { ignore: true }),
    step("mknodat", [{ result: "root" }, "dev/null", S_IFCHR | 0o666, 1 << 8 | 3], "make device", "/dev/null"),
    step("symlinkat", ["/proc/self/fd", { result: "root" }, "dev/fd"], "link", "/dev/fd"),
    step("fchownat", [{ result: "root" }, "dev", -1, 5, AT_SYMLINK_NOFOLLOW], "give", "/dev"),
    step("openat", [{ result: "root" }, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0o600], "make a nameless file in", "/"),
    step("openat", [{ result: "root" }, "log", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600], "make", "log"),
  ]);
  expectGolden("tapes/mounts.txt", printTape(tape).join("\n"));
});

test("limits, ids and rights are printed as reviewed", () => {
  const sets = { effective: capabilitySet(["CHOWN", "KILL"]), permitted: capabilitySet(["CHOWN", "KILL", "BPF"]) };
  const [effective, permitted] = [capabilityWords(sets.effective), capabilityWords(sets.permitted)];
  const rule = packed(
    LANDLOCK_PATH_BENEATH_ATTR.SIZE,
    [LANDLOCK_PATH_BENEATH_ATTR.allowedAccess, 8, LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE],
  );
  const tape = makeTape([
    step("prlimit64", [0, rlimitNumber("nofile"), { struct: [1024n, RLIM_INFINITY] }, 0], "limit", "nofile"),
    step("keyctl", [KEYCTL_JOIN_SESSION_KEYRING, 0], "join", "a new session keyring", { ignore: true }),
    step("prctl", [PR_SET_PDEATHSIG, SIGNALS.KILL, 0, 0, 0], "die with", "the parent"),
    step("prctl", [PR_SET_NAME, "init", 0, 0, 0], "be called", "init"),
    step("prctl", [PR_CAPBSET_DROP, 21, 0, 0, 0], "drop", "capability 21"),
    step("prctl", [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0], "clear", "ambient capabilities"),
    step("prctl", [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0, 0, 0], "raise", "capability 0"),
    step("setgroups", [3, new Uint8Array(new Uint32Array([4, 24, 100]).buffer)], "set", "groups"),
    step("setgroups", [0, 0], "drop", "groups"),
    step("setresgid", [100, 100, 100], "become group", "100"),
    step("setresuid", [1000, -1, 1000], "become user", "1000"),
    step(
      "capset",
      [
        packed(8, [0, 4, 0x20080522]),
        packed(24, [0, 4, effective[0]], [4, 4, permitted[0]], [12, 4, effective[1]], [16, 4, permitted[1]]),
      ],
      "set",
      "capabilities",
    ),
    step(
      "seccomp",
      [SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, { struct: [2, new Uint8Array(16)] }],
      "load",
      "filter",
    ),
    step(
      "landlock_create_ruleset",
      [
        packed(
          LANDLOCK_RULESET_ATTR.SIZE,
          [LANDLOCK_RULESET_ATTR.fs, 8, LANDLOCK_ACCESS_FS_EXECUTE],
          [LANDLOCK_RULESET_ATTR.scoped, 8, LANDLOCK_SCOPE_SIGNAL],
        ),
        LANDLOCK_RULESET_ATTR.SIZE,
        0,
      ],
      "make",
      "Landlock rules",
      { id: "rules" },
    ),
    step("openat", [AT_FDCWD, "/usr", O_PATH | O_CLOEXEC, 0], "open", "/usr", { id: "usr" }),
    operate("store", [{ buffer: "rule", offset: LANDLOCK_PATH_BENEATH_ATTR.parentFd }, { result: "usr" }, 4], "of", {
      object: "/usr",
    }),
    step(
      "landlock_add_rule",
      [{ result: "rules" }, LANDLOCK_RULE_PATH_BENEATH, { buffer: "rule" }, 0],
      "allow",
      "/usr",
    ),
    step("landlock_restrict_self", [{ result: "rules" }, 0], "enforce", "Landlock rules"),
    step("umask", [0o022], "set", "umask"),
    step("sethostname", ["web", 3], "set host name", "web"),
  ], { rule: { sizeBytes: LANDLOCK_PATH_BENEATH_ATTR.SIZE, bytes: rule } });
  expectGolden("tapes/rights.txt", printTape(tape).join("\n"));
});

test("a monitor's loops, streams and signals are printed as reviewed", () => {
  const tape = makeTape([
    step("rt_sigprocmask", [0, new Uint8Array(8).fill(0xff), 0, 8], "block", "all signals"),
    step("clone", [SIGNALS.CHLD | CLONE_PIDFD, 0, { buffer: "pidfd" }, 0, 0], "fork", "the container", {
      id: "container",
      jump: { when: "nonzero", to: "parent" },
    }),
    step("setsid", [], "lead", "a session"),
    step("clone", [SIGNALS.CHLD, 0, 0, 0, 0], "fork", "the program", {
      id: "program",
      jump: { when: "zero", to: "program" },
    }),
    step("rt_sigtimedwait", [packed(8, [0, 8, 1n << 16n | 1n << 14n]), 0, 0, 8], "wait for", "a signal", {
      retry: true,
    }),
    step("exit_group", [0], "exit", ""),
    mark("program", "the program"),
    step("ioctl", [0, TIOCSCTTY, 0], "take", "the terminal"),
    step("exit_group", [1], "exit", ""),
    mark("parent", "parent"),
    step("ioctl", [9, TIOCGPTPEER, O_RDWR | O_CLOEXEC], "open", "terminal", { id: "slave" }),
    step("ioctl", [9, TIOCSWINSZ, packed(8, [0, 2, 24], [2, 2, 80])], "set size of", "terminal"),
    step("fcntl", [9, F_SETFD, FD_CLOEXEC], "close on exec", "terminal"),
    step("fcntl", [9, F_DUPFD_CLOEXEC, 100], "copy", "terminal"),
    step("close_range", [10, 0xffffffff, 0], "close", "all else"),
    step("socket", [AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0], "open", "socket", { id: "socket" }),
    operate("store", [{ buffer: "control", offset: 16 }, { result: "slave" }, 4], "put in", { object: "the terminal" }),
    step(
      "sendmsg",
      [
        { result: "socket" },
        { struct: [0, 0, { struct: [new Uint8Array([0]), 1] }, 1, { buffer: "control" }, 24, 0] },
        MSG_NOSIGNAL,
      ],
      "send",
      "terminal",
    ),
    mark("again", "loop"),
    step(
      "ppoll",
      [packed(16, [0, 4, 5], [4, 2, POLLIN], [8, 4, 6], [12, 2, POLLIN | POLLHUP]), 2, 0, 0, 8],
      "wait for",
      "output",
      {
        retry: true,
      },
    ),
    step("read", [5, { buffer: "buffer" }, 65536], "read", "output", {
      id: "length",
      jump: { when: "zero", to: "end" },
    }),
    step("write", [6, { buffer: "buffer", offset: 8 }, { result: "length" }], "write", "log", {
      retry: true,
      ignore: true,
    }),
    compute("eq", { result: "length" }, -11, "would it block", { jump: { when: "nonzero", to: "again" } }),
    jumpTo("again", "loop"),
    mark("end", "end of output"),
    step("wait4", [{ result: "container" }, { buffer: "status" }, WNOHANG, 0], "wait for", "the container"),
    step("kill", [{ result: "container" }, SIGNALS.TERM], "end", "the container"),
    operate("fail", [5], "tell", { object: "the end" }),
  ], {
    buffer: { sizeBytes: 65544 },
    status: { sizeBytes: 8 },
    pidfd: { sizeBytes: 8 },
    control: { sizeBytes: 24, bytes: packed(24, [0, 8, 20], [8, 4, SOL_SOCKET], [12, 4, SCM_RIGHTS]) },
  });
  expectGolden("tapes/monitor.txt", printTape(tape).join("\n"));
});

test("A-051 A-036 hostile and odd things are printed as reviewed", () => {
  const tape = makeTape([
    step(
      "mkdirat",
      [-100, "\x1b]0;title\x07\x1b[2J\b\r\n\u009b31m\u202etxt.exe", 0o755],
      "make directory",
      "\x1b[31m\u202e\u2028",
    ),
    step(
      "chdir",
      [new Uint8Array([0x2f, 0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0x1b, 0xe2, 0x80, 0xae])],
      "enter",
      "bytes",
    ),
    step("openat", [-100, 'héllo wörld "quoted" \\ 日本', O_PATH | 0x40000000, 0o7777], "open", ""),
    step(
      "frobnicate",
      [1, 70000, -1, "text", new Uint8Array([1, 2]), { struct: [1, "inner", { buffer: "odd name" }] }],
      "call",
      "unknown",
    ),
    step("prctl", [9999, 1, 2, 3, 4], "set", "unknown"),
    step("prctl", [{ result: "nobody knows" }, 1], "set", "by result"),
    step("mount", [0, "/x".repeat(400), "overlay", 0, "lowerdir=" + "/layer:".repeat(500)], "mount", "/x".repeat(400)),
    step("write", [1, new Uint8Array(100000), 100000], "write", "zeros"),
    step(
      "execve",
      [
        "/x",
        { strings: Array.from({ length: 5000 }, (_, k) => `arg${k}`) },
        { strings: ["A=1", "NOVALUE", "\x1b=2", "=3", ...Array.from({ length: 200000 }, (_, k) => `V${k}=secret`)] },
      ],
      "execute",
      "much",
    ),
    step("setgroups", [70000, new Uint8Array(280000)], "set", "many groups"),
    step("read", [0, { buffer: "odd name", offset: 4 }, 4], "read", "odd"),
    operate("store", [{ buffer: "odd name" }, 0x1ffffffffn, 3], "store"),
    operate("load", [12345, 0, 0], "load"),
    operate("alu", [1, 2, 99], "compute"),
    operate("fail", [99999], "fail"),
    step("kill", [-1, 99], "signal", "unknown"),
    step("capset", [0, new Uint8Array(24).fill(0xff)], "set", "all there is"),
    step("mount_setattr", [3, "", 0, new Uint8Array(9).fill(1), 9], "cut", "short"),
    step("clone", [0x7f, 0, 0, 0, 0], "fork", "oddly", { jump: { when: "zero", to: "nowhere" } }),
  ], { "odd name": { sizeBytes: 64 } });
  expectGolden("tapes/hostile.txt", printTape(tape).join("\n"));
});
