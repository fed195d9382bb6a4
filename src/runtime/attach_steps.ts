/**
 * A container whose user namespace is a child of the user's shared one, so that a process there can put a link into the
 * container's network namespace: that takes CAP_NET_ADMIN over both, which nobody in a sibling has.
 *
 *     monitor    joins the shared user namespace, forks the helper, makes the container's user namespace
 *       ├ helper   stays in the shared one, and in its network: writes the id maps; gets the container's network
 *       │          namespace as a descriptor, makes the links; is gone
 *       └ init     makes its namespaces, sends that descriptor, waits, and gives its links their addresses
 *
 * @module
 */
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH, O_RDONLY, O_WRONLY } from "#linux/file.ts";
import { type IdMap, mapText, mapWithin } from "#linux/idmap.ts";
import { CLONE_NEWNET, CLONE_NEWUSER } from "#linux/namespaces.ts";
import { SIGNALS } from "#linux/signals.ts";
import {
  AF_UNIX,
  CMSGHDR,
  MSG_CMSG_CLOEXEC,
  MSG_NOSIGNAL,
  rightsMessage,
  SOCK_CLOEXEC,
  SOCK_STREAM,
} from "#linux/socket.ts";
import { NETWORK_FD } from "./monitor_fds.ts";
import { mark, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";

/** The user's shared namespaces, and what is done for a container there. */
export interface NetworkAttachment {
  /** The file of the shared user namespace. */
  readonly userNamespace: string;
  /** The file of the network namespace that belongs to it. */
  readonly networkNamespace: string;
  /** What the shared user namespace maps. */
  readonly map: IdMap;
  /** In the shared namespaces; {@linkcode CONTAINER_NETWORK} is a descriptor of the container's network namespace. */
  readonly outside: readonly Step[];
  /** In the container's network namespace, with all rights over it. */
  readonly inside: readonly Step[];
  readonly buffers: readonly (readonly [string, TapeBuffer])[];
}

/** The id of the step that gives the container's network namespace to {@linkcode NetworkAttachment.outside}. */
export const CONTAINER_NETWORK = "container network";

const EXIT_FAILED = 125;
const CONTROL_BYTES = CMSGHDR.SIZE + 8;

/** The buffers of these steps. */
export function attachBuffers(attachment: NetworkAttachment): (readonly [string, TapeBuffer])[] {
  return [
    ["helper sockets", { sizeBytes: 8 }],
    ["helper byte", { sizeBytes: 8 }],
    ["network sent", { sizeBytes: CONTROL_BYTES, bytes: rightsMessage() }],
    ["network received", { sizeBytes: CONTROL_BYTES }],
    ...attachment.buffers,
  ];
}

/** `struct msghdr` with one byte of data and one descriptor. */
function message(control: string) {
  return {
    struct: [0, 0, { struct: [{ buffer: "helper byte" }, 1] }, 1, { buffer: control }, CONTROL_BYTES, 0],
  } as const;
}

const GONE_HINT = "the process that holds the network (dugout-holder) has just ended: try again";

/**
 * Joins the shared user namespace and makes the container's own below it, or joins another container's there.
 * @param joined The file of that other one.
 * @param meanwhile Done while ids are mapped.
 */
export function childUserNamespaceSteps(
  attachment: NetworkAttachment,
  { map, joined }: { readonly map: IdMap; readonly joined: string | undefined },
  meanwhile: readonly Step[] = [],
): Step[] {
  const { userNamespace, networkNamespace } = attachment;
  const hints = { ENOENT: GONE_HINT, ESRCH: GONE_HINT };
  return [
    step("openat", [AT_FDCWD, userNamespace, O_RDONLY | O_CLOEXEC, 0], "open", "the shared user namespace", {
      id: "shared user",
      hints,
    }),
    step("openat", [AT_FDCWD, networkNamespace, O_RDONLY | O_CLOEXEC, 0], "open", "the shared network namespace", {
      id: "shared network",
      hints,
    }),
    ...(joined === undefined ? [] : [
      step("openat", [AT_FDCWD, joined, O_RDONLY | O_CLOEXEC, 0], "open user namespace", joined, { id: "other user" }),
    ]),
    step("openat", [AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC, 0], "open", "/proc/self", {
      id: "own process",
    }),
    step("setns", [{ result: "shared user" }, CLONE_NEWUSER], "join", "the shared user namespace"),
    step(
      "socketpair",
      [AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, { buffer: "helper sockets" }],
      "make",
      "a pair of sockets",
    ),
    operate("load", [{ buffer: "helper sockets" }, 0, 4], "its one end", { id: "to helper" }),
    operate("load", [{ buffer: "helper sockets", offset: 4 }, 0, 4], "its other end", { id: "from container" }),
    step("clone", [SIGNALS.CHLD, 0, 0, 0, 0], "fork", "the helper", {
      id: "helper",
      jump: { when: "nonzero", to: "helper runs" },
      hints: { EAGAIN: "the limit of processes is reached (ulimit -u)" },
    }),
    ...helperSteps(attachment, joined === undefined ? map : undefined),
    mark("helper runs", "the helper runs"),
    step("dup3", [{ result: "shared network" }, NETWORK_FD, 0], "keep", "the shared network namespace"),
    ...["from container", "own process", "shared network", "shared user"].map((id) =>
      step("close", [{ result: id }], "close", id)
    ),
    joined === undefined
      ? step("unshare", [CLONE_NEWUSER], "make", "user namespace", {
        hints: {
          ENOSPC: "the limit of user namespaces is reached (sysctl user.max_user_namespaces)",
          EUSERS: "the limit of nested user namespaces is reached",
          EPERM: "this machine does not let user namespaces be made within one",
        },
      })
      : step("setns", [{ result: "other user" }, CLONE_NEWUSER], "join user namespace", joined, {
        hints: {
          EPERM:
            "that container is in no network of ours: only one that is can share its namespaces with another that is",
        },
      }),
    step("sendto", [{ result: "to helper" }, "u", 1, MSG_NOSIGNAL, 0, 0], "tell", "the helper of the user namespace", {
      retry: true,
    }),
    ...meanwhile,
    ...waitForHelperSteps("ids are mapped"),
  ];
}

/** The helper's steps, to its end. @param map What is still to be mapped. */
function helperSteps(attachment: NetworkAttachment, map: IdMap | undefined): Step[] {
  return [
    step("close", [{ result: "to helper" }], "close", "the other end"),
    step("setns", [{ result: "shared network" }, CLONE_NEWNET], "join", "the shared network namespace"),
    step("read", [{ result: "from container" }, { buffer: "helper byte" }, 1], "wait for", "the user namespace", {
      retry: true,
      jump: { when: "zero", to: "helper ends" },
    }),
    ...(map === undefined ? [] : [
      ...writeMapSteps("uid_map", mapText(mapWithin(map.uid, attachment.map.uid))),
      ...writeMapSteps("gid_map", mapText(mapWithin(map.gid, attachment.map.gid))),
    ]),
    step("sendto", [{ result: "from container" }, "m", 1, MSG_NOSIGNAL, 0, 0], "tell", "that ids are mapped", {
      retry: true,
    }),
    step(
      "recvmsg",
      [{ result: "from container" }, message("network received"), MSG_CMSG_CLOEXEC],
      "receive",
      "the container's network namespace",
      {
        retry: true,
        jump: { when: "zero", to: "helper ends" },
      },
    ),
    operate("load", [{ buffer: "network received", offset: CMSGHDR.SIZE }, 0, 4], "which descriptor it is", {
      id: CONTAINER_NETWORK,
    }),
    ...attachment.outside,
    step("sendto", [{ result: "from container" }, "n", 1, MSG_NOSIGNAL, 0, 0], "tell", "that the links are there", {
      retry: true,
    }),
    // whoever is to be asked has ended: they have told why
    mark("helper ends", "the helper ends"),
    step("exit_group", [0], "end", "the helper"),
  ];
}

/** A file of the process that made the user namespace. */
function writeMapSteps(name: string, text: string): Step[] {
  return [
    step("openat", [{ result: "own process" }, name, O_WRONLY | O_CLOEXEC, 0], "open", name, { id: name }),
    step("write", [{ result: name }, text, text.length], "write", name),
    step("close", [{ result: name }], "close", name),
  ];
}

/** Waits for a byte of the helper's; at the end of file it has told its failure. */
function waitForHelperSteps(what: string): Step[] {
  return [
    step("read", [{ result: "to helper" }, { buffer: "helper byte" }, 1], "wait until", what, {
      retry: true,
      jump: { when: "nonzero", to: what },
    }),
    step("exit_group", [EXIT_FAILED], "leave", ""),
    mark(what, what),
  ];
}

/** In the monitor, when the container's first process is forked: that one alone speaks with the helper from now on. */
export function leaveHelperSteps(): Step[] {
  return [
    step("close", [{ result: "to helper" }], "close", "the helper's socket"),
    step("wait4", [{ result: "helper" }, 0, 0, 0], "wait for", "the helper", { retry: true, ignore: true }),
  ];
}

/** In the container's first process, in its network namespace: has its links made, and sets them up. */
export function attachNetworkSteps({ inside }: NetworkAttachment): Step[] {
  return [
    step("openat", [AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC, 0], "open", "the own network namespace", {
      id: "own network",
    }),
    operate(
      "store",
      [{ buffer: "network sent", offset: CMSGHDR.SIZE }, { result: "own network" }, 4],
      "note the descriptor",
    ),
    step(
      "sendmsg",
      [{ result: "to helper" }, message("network sent"), MSG_NOSIGNAL],
      "send",
      "the own network namespace",
      { retry: true },
    ),
    step("close", [{ result: "own network" }], "close", "the own network namespace"),
    ...waitForHelperSteps("links are there"),
    step("close", [{ result: "to helper" }], "close", "the helper's socket"),
    ...inside,
  ];
}
