/**
 * The namespaces of a bundle's container. Those with a path are joined first, with the caller's rights: they belong to the
 * user namespace that the caller is in. Then comes a user namespace of its own, then all others.
 *
 * @module
 */
import { AT_FDCWD, O_CLOEXEC, O_RDONLY, O_WRONLY } from "#linux/file.ts";
import { MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE } from "#linux/mount.ts";
import { CLONE_NEWNS } from "#linux/namespaces.ts";
import type { LinuxSpec, NamespaceType, RuntimeSpec } from "#oci/runtime_spec.ts";
import { type Step, step } from "#tape/step.ts";
import { loopbackSteps, NAMESPACE_FLAGS, namespaceOf } from "../namespace_steps.ts";
import { userNamespaceSteps } from "../user_namespace.ts";
import type { BundleSetup, BundleUserNamespace } from "./setup.ts";

/** In the order in which they are joined: the user namespace gives the rights for the rest. */
const JOINED: readonly NamespaceType[] = ["user", "ipc", "uts", "network", "cgroup", "pid", "time"];

/** Opens all namespaces that have a path, then joins them. */
export function joinSteps(spec: RuntimeSpec): Step[] {
  const joined = JOINED.flatMap((type) => {
    const namespace = namespaceOf(spec, type);
    return typeof namespace === "object" ? [{ type, path: namespace.path, id: `namespace ${type}` }] : [];
  });
  return [
    ...joined.map(({ type, path, id }) =>
      step("openat", [AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0], `open ${type} namespace`, path, { id })
    ),
    ...joined.flatMap(({ type, path, id }) => [
      step("setns", [{ result: id }, NAMESPACE_FLAGS[type]], `join ${type} namespace`, path, {
        hints: {
          EPERM: "it belongs to another user namespace",
          EINVAL: "it is of another kind, or the one that the process is in already",
        },
      }),
      step("close", [{ result: id }], `close ${type} namespace`, path),
    ]),
  ];
}

/** A user namespace of its own, if it has one. */
export function ownUserNamespaceSteps(namespace: BundleUserNamespace): Step[] {
  return namespace.kind === "new" ? userNamespaceSteps(namespace.map) : [];
}

/** Namespaces that only children enter. */
export function childNamespaceSteps(spec: RuntimeSpec): Step[] {
  const flags = newFlags(spec, ["pid", "time"]);
  if (flags === 0) return [];
  return [
    step("unshare", [flags], "make", "pid namespace", {
      hints: { ENOSPC: "the limit of pid namespaces is reached (sysctl user.max_pid_namespaces)" },
    }),
    ...timeOffsetSteps(spec.linux?.timeOffsets),
  ];
}

function timeOffsetSteps(offsets: LinuxSpec["timeOffsets"]): Step[] {
  if (offsets === undefined) return [];
  const path = "/proc/self/timens_offsets";
  const lines = (["monotonic", "boottime"] as const).flatMap((clock) => {
    const offset = offsets[clock];
    return offset === undefined ? [] : [`${clock} ${offset.secs} ${offset.nanosecs}\n`];
  });
  return lines.flatMap((line, index) => [
    step("openat", [AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0], "open", path, { id: `offsets ${index}` }),
    step("write", [{ result: `offsets ${index}` }, line, line.length], "set clock", line.trim()),
    step("close", [{ result: `offsets ${index}` }], "close", path),
  ]);
}

/** The namespaces that the container's first process makes for itself, and what is set in them. */
export function innerNamespaceSteps({ spec }: Pick<BundleSetup, "spec">): Step[] {
  const steps = [
    step(
      "unshare",
      [CLONE_NEWNS | newFlags(spec, ["ipc", "uts", "network", "cgroup"])],
      "make",
      "the other namespaces",
      {
        hints: { ENOSPC: "a limit of namespaces is reached (sysctl user.max_*_namespaces)" },
      },
    ),
    // nothing that is mounted here goes out; what comes in later, rootfsPropagation says
    step(
      "mount",
      ["none", "/", 0, MS_REC | (spec.linux?.rootfsPropagation === "private" ? MS_PRIVATE : MS_SLAVE), 0],
      "cut mounts off the host's at",
      "/",
    ),
  ];
  if (namespaceOf(spec, "network") === "new") steps.push(...loopbackSteps());
  for (
    const [call, what, name] of [
      ["sethostname", "host name", spec.hostname],
      ["setdomainname", "domain name", spec.domainname],
    ] as const
  ) {
    if (name === undefined || name === "" || namespaceOf(spec, "uts") === "host") continue;
    steps.push(step(call, [name, new TextEncoder().encode(name).length], `set ${what}`, name));
  }
  return steps;
}

const PROPAGATION = { shared: MS_SHARED, slave: MS_SLAVE, private: MS_PRIVATE, unbindable: MS_UNBINDABLE } as const;

/** What the specification says of the root's propagation, when it is the root. */
export function propagationSteps(spec: RuntimeSpec): Step[] {
  const wanted = spec.linux?.rootfsPropagation;
  if (wanted === undefined || !Object.hasOwn(PROPAGATION, wanted)) return [];
  return [step("mount", ["none", "/", 0, MS_REC | PROPAGATION[wanted], 0], `make ${wanted}`, "/")];
}

function newFlags(spec: RuntimeSpec, types: readonly NamespaceType[]): number {
  return types.reduce((sum, type) => namespaceOf(spec, type) === "new" ? sum | NAMESPACE_FLAGS[type] : sum, 0);
}
