/**
 * The structs that tapes pass to system calls, for the printer: their fields in the kernel's order, by the layouts of
 * #linux.
 *
 * @module
 */
import { CLONE_ARGS } from "#linux/clone.ts";
import { OPEN_HOW } from "#linux/file.ts";
import { IFREQ, WINSIZE } from "#linux/ioctl.ts";
import { LANDLOCK_PATH_BENEATH_ATTR, LANDLOCK_RULESET_ATTR } from "#linux/landlock.ts";
import { MOUNT_ATTR } from "#linux/mount.ts";
import { POLLFD } from "#linux/poll.ts";
import { SOCK_FPROG } from "#linux/seccomp_call.ts";
import { CMSGHDR, MSGHDR } from "#linux/socket.ts";
import type { Kind } from "./calls.ts";

/** A field of a struct. */
export interface Field {
  /** As the kernel's headers call it. */
  readonly name: string;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly kind: Kind;
  readonly signed?: boolean;
  /** Where the upper 32 bits are, of a number that lies in two places. */
  readonly highOffset?: number;
}

/** A struct: how large it is, and its fields. */
export interface Struct {
  readonly sizeBytes: number;
  readonly fields: readonly Field[];
  /** Whether fields that are zero are not worth printing. */
  readonly sparse?: boolean;
}

function word(name: string, offset: number, kind: Kind): Field {
  return { name, offset, sizeBytes: 8, kind };
}

function field(name: string, offset: number, sizeBytes: number, kind: Kind): Field {
  return { name, offset, sizeBytes, kind, ...(kind === "fd" || kind === "number" ? { signed: true } : {}) };
}

/** The names of the structs. */
export type StructName =
  | "mount_attr"
  | "open_how"
  | "clone_args"
  | "landlock_ruleset_attr"
  | "landlock_path_beneath_attr"
  | "sock_fprog"
  | "capabilities"
  | "capability_header"
  | "rlimit"
  | "winsize"
  | "ifreq"
  | "timespec"
  | "itimerspec"
  | "pollfd"
  | "iovec"
  | "msghdr"
  | "cmsghdr"
  | "id"
  | "word"
  | "int";

/** Structs by name. Kinds that count (`{ list, count }`, `{ bytes }`) count by the number of a sibling field. */
export const STRUCTS: Readonly<Record<StructName, Struct>> = {
  mount_attr: {
    sizeBytes: MOUNT_ATTR.SIZE,
    sparse: true,
    fields: [
      word("attr_set", MOUNT_ATTR.set, { flags: "mountAttr" }),
      word("attr_clr", MOUNT_ATTR.clear, { flags: "mountAttr" }),
      word("propagation", MOUNT_ATTR.propagation, { flags: "mount" }),
      word("userns_fd", MOUNT_ATTR.usernsFd, "fd"),
    ],
  },
  open_how: {
    sizeBytes: OPEN_HOW.SIZE,
    sparse: true,
    fields: [
      word("flags", OPEN_HOW.flags, { flags: "open" }),
      word("mode", OPEN_HOW.mode, "mode"),
      word("resolve", OPEN_HOW.resolve, { flags: "resolve" }),
    ],
  },
  clone_args: {
    sizeBytes: CLONE_ARGS.SIZE,
    sparse: true,
    fields: [
      word("flags", CLONE_ARGS.flags, { flags: "clone3" }),
      word("pidfd", CLONE_ARGS.pidfd, "address"),
      word("child_tid", CLONE_ARGS.childTid, "address"),
      word("parent_tid", CLONE_ARGS.parentTid, "address"),
      word("exit_signal", CLONE_ARGS.exitSignal, "signal"),
      word("stack", CLONE_ARGS.stack, "address"),
      word("stack_size", CLONE_ARGS.stackSize, "number"),
      word("tls", CLONE_ARGS.tls, "address"),
      word("set_tid", CLONE_ARGS.setTid, "address"),
      word("set_tid_size", CLONE_ARGS.setTidSize, "number"),
      word("cgroup", CLONE_ARGS.cgroup, "fd"),
    ],
  },
  landlock_ruleset_attr: {
    sizeBytes: LANDLOCK_RULESET_ATTR.SIZE,
    sparse: true,
    fields: [
      word("handled_access_fs", LANDLOCK_RULESET_ATTR.fs, { flags: "landlockFiles" }),
      word("handled_access_net", LANDLOCK_RULESET_ATTR.net, { flags: "landlockNet" }),
      word("scoped", LANDLOCK_RULESET_ATTR.scoped, { flags: "landlockScope" }),
    ],
  },
  landlock_path_beneath_attr: {
    sizeBytes: LANDLOCK_PATH_BENEATH_ATTR.SIZE,
    fields: [
      word("allowed_access", LANDLOCK_PATH_BENEATH_ATTR.allowedAccess, { flags: "landlockFiles" }),
      field("parent_fd", LANDLOCK_PATH_BENEATH_ATTR.parentFd, 4, "fd"),
    ],
  },
  sock_fprog: {
    sizeBytes: SOCK_FPROG.SIZE,
    fields: [field("len", SOCK_FPROG.length, 2, "size"), word("filter", SOCK_FPROG.filter, "program")],
  },
  // capset(2), version 3: two structs of three u32, the low halves and the high halves
  capabilities: {
    sizeBytes: 24,
    fields: (["effective", "permitted", "inheritable"] as const).map((name, index) => ({
      name,
      offset: index * 4,
      sizeBytes: 4,
      highOffset: index * 4 + 12,
      kind: "capabilities",
    })),
  },
  capability_header: {
    sizeBytes: 8,
    fields: [field("version", 0, 4, "hex"), field("pid", 4, 4, "number")],
  },
  rlimit: {
    sizeBytes: 16,
    fields: [word("rlim_cur", 0, "limit"), word("rlim_max", 8, "limit")],
  },
  winsize: {
    sizeBytes: WINSIZE.SIZE,
    fields: [
      field("ws_row", WINSIZE.rows, 2, "size"),
      field("ws_col", WINSIZE.columns, 2, "size"),
      field("ws_xpixel", WINSIZE.xPixels, 2, "size"),
      field("ws_ypixel", WINSIZE.yPixels, 2, "size"),
    ],
  },
  ifreq: {
    sizeBytes: IFREQ.SIZE,
    fields: [field("ifr_name", IFREQ.name, 16, "chars"), field("ifr_flags", IFREQ.flags, 2, "hex")],
  },
  timespec: {
    sizeBytes: 16,
    fields: [word("tv_sec", 0, "number"), word("tv_nsec", 8, "number")],
  },
  itimerspec: {
    sizeBytes: 32,
    fields: [
      word("it_interval.tv_sec", 0, "number"),
      word("it_interval.tv_nsec", 8, "number"),
      word("it_value.tv_sec", 16, "number"),
      word("it_value.tv_nsec", 24, "number"),
    ],
  },
  pollfd: {
    sizeBytes: POLLFD.SIZE,
    fields: [
      field("fd", POLLFD.fd, 4, "fd"),
      field("events", POLLFD.events, 2, { flags: "poll" }),
      field("revents", POLLFD.revents, 2, { flags: "poll" }),
    ],
  },
  iovec: {
    sizeBytes: 16,
    fields: [word("iov_base", 0, { bytes: 1 }), word("iov_len", 8, "size")],
  },
  msghdr: {
    sizeBytes: MSGHDR.SIZE,
    sparse: true,
    fields: [
      word("msg_name", MSGHDR.name, "address"),
      field("msg_namelen", MSGHDR.nameLength, 4, "size"),
      word("msg_iov", MSGHDR.iov, { list: "iovec", count: 3 }),
      word("msg_iovlen", MSGHDR.iovCount, "size"),
      word("msg_control", MSGHDR.control, { struct: "cmsghdr" }),
      word("msg_controllen", MSGHDR.controlLength, "size"),
      field("msg_flags", MSGHDR.flags, 4, { flags: "message" }),
    ],
  },
  // with the one descriptor that our messages carry
  cmsghdr: {
    sizeBytes: CMSGHDR.SIZE + 8,
    fields: [
      word("cmsg_len", CMSGHDR.length, "size"),
      field("cmsg_level", CMSGHDR.level, 4, { name: "socketLevel" }),
      field("cmsg_type", CMSGHDR.type, 4, { name: "controlType" }),
      field("fd", CMSGHDR.SIZE, 4, "fd"),
    ],
  },
  id: { sizeBytes: 4, fields: [field("", 0, 4, "id")] },
  word: { sizeBytes: 8, fields: [word("", 0, "hex")] },
  int: { sizeBytes: 4, fields: [field("", 0, 4, "number")] },
};
