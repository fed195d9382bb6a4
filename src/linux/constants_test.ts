import { test } from "node:test";
import { assertEqualInC, compileC, findCompilers, NEEDS_COMPILER } from "../../tests/support/c_compiler.ts";
import { HOST_ARCH } from "./arch.ts";
import * as clone from "./clone.ts";
import * as file from "./file.ts";
import * as inotify from "./inotify.ts";
import * as ioctl from "./ioctl.ts";
import * as keyctl from "./keyctl.ts";
import * as landlock from "./landlock.ts";
import * as mount from "./mount.ts";
import * as namespaces from "./namespaces.ts";
import * as poll from "./poll.ts";
import * as prctl from "./prctl.ts";
import * as seccomp from "./seccomp_call.ts";
import * as socket from "./socket.ts";
import * as wait from "./wait.ts";

type Exports = Readonly<Record<string, unknown>>;

/** Which headers know the constants and structs of a file. */
const FAMILIES: readonly { name: string; headers: readonly string[]; exported: Exports; arch?: "host" }[] = [
  { name: "clone", headers: ["linux/sched.h"], exported: clone },
  // O_DIRECTORY and its like are those of the machine that we run on
  {
    name: "file",
    headers: ["fcntl.h", "sys/stat.h", "sys/mman.h", "linux/openat2.h", "linux/close_range.h"],
    exported: file,
    arch: "host",
  },
  { name: "inotify", headers: ["sys/inotify.h"], exported: inotify },
  {
    name: "ioctl",
    headers: ["sys/ioctl.h", "linux/sockios.h", "net/if.h", "linux/if_tun.h", "linux/fs.h"],
    exported: ioctl,
  },
  { name: "keyctl", headers: ["linux/keyctl.h"], exported: keyctl },
  { name: "landlock", headers: ["linux/landlock.h"], exported: landlock },
  { name: "mount", headers: ["sys/mount.h", "linux/mount.h", "fcntl.h"], exported: mount },
  { name: "namespaces", headers: ["linux/sched.h"], exported: namespaces },
  { name: "poll", headers: ["poll.h"], exported: poll },
  { name: "prctl", headers: ["linux/prctl.h"], exported: prctl },
  { name: "seccomp", headers: ["linux/seccomp.h"], exported: seccomp },
  { name: "socket", headers: ["sys/socket.h"], exported: socket },
  { name: "wait", headers: ["sys/wait.h", "signal.h"], exported: wait },
];

for (const { name, headers, exported, arch } of FAMILIES) {
  test(`the constants of ${name}.ts are those of the kernel's headers`, { skip: NEEDS_COMPILER }, () => {
    // only macros: headers that are older than a constant do not know it, and that is no fault
    const lines = Object.entries(exported).flatMap(([constant, value]) =>
      typeof value === "number" || typeof value === "bigint"
        ? [`#ifdef ${constant}`, assertEqualInC(constant, value, constant), "#endif"]
        : []
    );
    const includes = headers.map((header) => `#if __has_include(<${header}>)\n#include <${header}>\n#endif`);
    // some are the C library's only on request
    const source = ["#define _GNU_SOURCE", ...includes, ...lines].join("\n");
    const compilers = findCompilers().filter((compiler) =>
      arch !== "host" || HOST_ARCH === "aarch64" || !compiler.startsWith("aarch64")
    );
    for (const compiler of compilers) compileC(compiler, source);
  });
}

test("the layouts of structs are those of the kernel's headers", { skip: NEEDS_COMPILER }, () => {
  const structs: readonly [name: string, header: string, fields: Readonly<Record<string, number>>, size?: number][] = [
    ["open_how", "linux/openat2.h", {
      flags: file.OPEN_HOW.flags,
      mode: file.OPEN_HOW.mode,
      resolve: file.OPEN_HOW.resolve,
    }, file.OPEN_HOW.SIZE],
    ["mount_attr", "linux/mount.h", {
      attr_set: mount.MOUNT_ATTR.set,
      attr_clr: mount.MOUNT_ATTR.clear,
      propagation: mount.MOUNT_ATTR.propagation,
      userns_fd: mount.MOUNT_ATTR.usernsFd,
    }, mount.MOUNT_ATTR.SIZE],
    ["clone_args", "linux/sched.h", {
      flags: clone.CLONE_ARGS.flags,
      pidfd: clone.CLONE_ARGS.pidfd,
      child_tid: clone.CLONE_ARGS.childTid,
      parent_tid: clone.CLONE_ARGS.parentTid,
      exit_signal: clone.CLONE_ARGS.exitSignal,
      stack: clone.CLONE_ARGS.stack,
      stack_size: clone.CLONE_ARGS.stackSize,
      tls: clone.CLONE_ARGS.tls,
      set_tid: clone.CLONE_ARGS.setTid,
      set_tid_size: clone.CLONE_ARGS.setTidSize,
      cgroup: clone.CLONE_ARGS.cgroup,
    }, clone.CLONE_ARGS.SIZE],
    ["landlock_path_beneath_attr", "linux/landlock.h", {
      allowed_access: landlock.LANDLOCK_PATH_BENEATH_ATTR.allowedAccess,
      parent_fd: landlock.LANDLOCK_PATH_BENEATH_ATTR.parentFd,
    }, landlock.LANDLOCK_PATH_BENEATH_ATTR.SIZE],
    // grows with the kernel: its beginning
    ["landlock_ruleset_attr", "linux/landlock.h", { handled_access_fs: landlock.LANDLOCK_RULESET_ATTR.fs }],
    [
      "sock_fprog",
      "linux/filter.h",
      { len: seccomp.SOCK_FPROG.length, filter: seccomp.SOCK_FPROG.filter },
      seccomp
        .SOCK_FPROG.SIZE,
    ],
    ["winsize", "sys/ioctl.h", {
      ws_row: ioctl.WINSIZE.rows,
      ws_col: ioctl.WINSIZE.columns,
      ws_xpixel: ioctl.WINSIZE.xPixels,
      ws_ypixel: ioctl.WINSIZE.yPixels,
    }, ioctl.WINSIZE.SIZE],
    ["ifreq", "net/if.h", { ifr_name: ioctl.IFREQ.name, ifr_flags: ioctl.IFREQ.flags }, ioctl.IFREQ.SIZE],
    [
      "pollfd",
      "poll.h",
      { fd: poll.POLLFD.fd, events: poll.POLLFD.events, revents: poll.POLLFD.revents },
      poll.POLLFD
        .SIZE,
    ],
    ["msghdr", "sys/socket.h", {
      msg_name: socket.MSGHDR.name,
      msg_namelen: socket.MSGHDR.nameLength,
      msg_iov: socket.MSGHDR.iov,
      msg_iovlen: socket.MSGHDR.iovCount,
      msg_control: socket.MSGHDR.control,
      msg_controllen: socket.MSGHDR.controlLength,
      msg_flags: socket.MSGHDR.flags,
    }, socket.MSGHDR.SIZE],
    ["cmsghdr", "sys/socket.h", {
      cmsg_len: socket.CMSGHDR.length,
      cmsg_level: socket.CMSGHDR.level,
      cmsg_type: socket.CMSGHDR.type,
    }, socket.CMSGHDR.SIZE],
  ];
  for (const [name, header, fields, size] of structs) {
    const lines = Object.entries(fields).map(([field, offset]) =>
      assertEqualInC(`__builtin_offsetof(struct ${name}, ${field})`, offset)
    );
    if (size !== undefined) lines.push(assertEqualInC(`sizeof(struct ${name})`, size));
    const source = [
      "#define _GNU_SOURCE",
      `#if __has_include(<${header}>)`,
      `#include <${header}>`,
      ...lines,
      "#endif",
    ].join("\n");
    for (const compiler of findCompilers()) compileC(compiler, source);
  }
});
