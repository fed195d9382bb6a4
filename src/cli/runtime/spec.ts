/**
 * `spec`: a config.json to begin with.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MountSpec, NamespaceType } from "#oci/runtime_spec.ts";
import { RUNTIME_SPEC_VERSION } from "#oci/runtime_state.ts";
import { bundleError } from "#bundle/error.ts";
import type { RuntimeInvocation } from "./main.ts";

/** Writes config.json into the bundle; one that is there stays. */
export function runSpec({ flags }: RuntimeInvocation): number {
  const path = join(flags.text("bundle") ?? ".", "config.json");
  const ids = flags.has("rootless") ? { uid: process.geteuid!(), gid: process.getegid!() } : undefined;
  try {
    writeFileSync(path, `${JSON.stringify(exampleConfig(ids), undefined, "\t")}\n`, { flag: "wx", mode: 0o666 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw bundleError("BUNDLE_INVALID", "File config.json exists. Remove it first");
  }
  return 0;
}

const CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
const GUARDED = ["nosuid", "noexec", "nodev"];

/**
 * A shell with a terminal in its own namespaces.
 * @param ids The one id that a user without root has, which is root inside.
 */
export function exampleConfig(ids: { readonly uid: number; readonly gid: number } | undefined) {
  const rootless = ids !== undefined;
  const namespaces: NamespaceType[] = ["pid", ...(rootless ? [] : ["network" as const]), "ipc", "uts", "mount"];
  const mapping = (hostID: number) => [{ containerID: 0, hostID, size: 1 }];
  const mounts: MountSpec[] = [
    { destination: "/proc", type: "proc", source: "proc" },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      // a user namespace of one id has no group 5
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", ...(rootless ? [] : ["gid=5"])],
    },
    {
      destination: "/dev/shm",
      type: "tmpfs",
      source: "shm",
      options: [...GUARDED, "mode=1777", "size=65536k"],
    },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: GUARDED },
    rootless
      ? { destination: "/sys", type: "none", source: "/sys", options: ["rbind", ...GUARDED, "ro"] }
      : { destination: "/sys", type: "sysfs", source: "sysfs", options: [...GUARDED, "ro"] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [...GUARDED, "relatime", "ro"] },
  ];
  return {
    ociVersion: RUNTIME_SPEC_VERSION,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "dugout",
    mounts,
    linux: {
      ...(ids === undefined ? { resources: { devices: [{ allow: false, access: "rwm" }] } } : {
        uidMappings: mapping(ids.uid),
        gidMappings: mapping(ids.gid),
      }),
      namespaces: [...namespaces, ...(rootless ? ["user" as const] : []), "cgroup" as const].map((type) => ({ type })),
      maskedPaths: [
        "/proc/acpi",
        "/proc/asound",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/sys/firmware",
        "/proc/scsi",
      ],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}
