/**
 * `features`: what this runtime can do (runtime-spec, features.md).
 *
 * @module
 */
import { capabilityName, LAST_CAPABILITY } from "#linux/capabilities.ts";
import { NAMESPACE_FLAGS } from "#runtime/namespace_steps.ts";
import { KNOWN_MOUNT_OPTIONS } from "#runtime/mount_options.ts";
import { printOut } from "../output.ts";
import { VERSION } from "../version.ts";

/** The document. */
export function runFeatures(): number {
  const document = {
    ociVersionMin: "1.0.0",
    ociVersionMax: "1.2.0",
    hooks: ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
    mountOptions: KNOWN_MOUNT_OPTIONS,
    linux: {
      namespaces: Object.keys(NAMESPACE_FLAGS).sort(),
      capabilities: Array.from({ length: LAST_CAPABILITY + 1 }, (_, number) => capabilityName(number)),
      cgroup: { v1: false, v2: true, systemd: false, systemdUser: true, rdma: false },
      seccomp: {
        enabled: true,
        actions: [
          "SCMP_ACT_ALLOW",
          "SCMP_ACT_ERRNO",
          "SCMP_ACT_KILL",
          "SCMP_ACT_KILL_PROCESS",
          "SCMP_ACT_KILL_THREAD",
          "SCMP_ACT_LOG",
          "SCMP_ACT_TRACE",
          "SCMP_ACT_TRAP",
        ],
        operators: ["EQ", "GE", "GT", "LE", "LT", "MASKED_EQ", "NE"].map((name) => `SCMP_CMP_${name}`),
        archs: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_X86_64"],
        knownFlags: ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
        supportedFlags: ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
      },
      apparmor: { enabled: false },
      selinux: { enabled: false },
      intelRdt: { enabled: false },
      mountExtensions: { idmap: { enabled: false } },
    },
    annotations: { "dugout.version": VERSION },
  };
  printOut(`${JSON.stringify(document, undefined, 4)}\n`);
  return 0;
}
