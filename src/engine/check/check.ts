/**
 * `dugout check`: judges the facts of a machine, and says for each thing that is missing what could be sent to an administrator.
 *
 * @module
 */
import { quote } from "#oci/text.ts";
import { choosePlace, delegationDropIn, DROP_IN_PATH, missingControllers } from "#cgroup/place.ts";
import type { MachineFacts, StoreFacts, Trial } from "./check_facts.ts";

/** One thing that was looked at. */
export interface Finding {
  /** A word for programs: `user-namespaces`. */
  readonly id: string;
  /** A few words for people. */
  readonly title: string;
  readonly status: "ok" | "limited" | "missing";
  /** What was found, and what it means here. */
  readonly detail: string;
  /** One sentence that could be sent to an administrator; undefined where nothing is to be done. */
  readonly advice: string | undefined;
  /** A text that belongs to the sentence: a file's content. */
  readonly attachment: string | undefined;
}

export interface CheckReport {
  /** Whether containers can run here at all. */
  readonly canRun: boolean;
  readonly kernel: string;
  readonly findings: readonly Finding[];
}

type Judgement = Omit<Finding, "id" | "title" | "advice" | "attachment"> & { advice?: string; attachment?: string };

/** Judges facts; the things without which nothing runs come first. */
export function judgeMachine(facts: MachineFacts): CheckReport {
  const find = (id: string, title: string, judgement: Judgement): Finding => ({
    id,
    title,
    status: judgement.status,
    detail: judgement.detail,
    advice: judgement.advice,
    attachment: judgement.attachment,
  });
  const vital = [
    find("memfd", "helper program", judgeMemfd(facts)),
    find("user-namespaces", "user namespaces", judgeUserNamespaces(facts)),
    find("namespaces", "namespaces in them", judgeNamespaces(facts)),
    find("store", "place for images", judgeStore(facts.store)),
  ];
  return {
    canRun: vital.every(({ status }) => status !== "missing"),
    kernel: facts.kernel,
    findings: [
      ...vital,
      find("proc", "a /proc of its own", judgeProc(facts)),
      find("subordinate-ids", "subordinate ids", judgeSubordinateIds(facts)),
      find("id-map-programs", "newuidmap and newgidmap", judgeMapPrograms(facts)),
      find("overlay", "overlay file system", judgeOverlay(facts)),
      find("fuse", "FUSE", judgeFuse(facts)),
      find("tun", "tap devices", judgeTun(facts)),
      find("ping", "pings", judgePing(facts)),
      find("cgroups", "limits by cgroups", judgeCgroups(facts)),
      find("seccomp", "system call filters", judgeSeccomp(facts)),
      find("landlock", "Landlock", judgeLandlock(facts.landlockAbi)),
    ],
  };
}

const STILL_WORKS = "pull, save, load, inspect and history work all the same";

function judgeMemfd({ memfd, sysctls }: MachineFacts): Judgement {
  if (memfd.ok) return { status: "ok", detail: "it starts" };
  return {
    status: "missing",
    detail: `${showFailure(memfd)}: no container can be set up; ${STILL_WORKS}`,
    advice: sysctls.memfdNoexec === 2
      ? "Please set the sysctl vm.memfd_noexec to 1 or 0 (it is 2, which forbids programs in memory)."
      : "Please allow programs to be started from memory files (memfd_create), or tell us what forbids it.",
  };
}

function judgeUserNamespaces(facts: MachineFacts): Judgement {
  const { userNamespace, sysctls, insideContainer, insideChroot } = facts;
  if (userNamespace.ok) return { status: "ok", detail: "a plain user may make them" };
  const base = { status: "missing" as const, detail: `${showFailure(userNamespace)}: ${STILL_WORKS}` };
  if (insideChroot) {
    return {
      ...base,
      advice:
        "Please enter this root by pivot_root(2) (systemd-nspawn, unshare --mount with pivot_root) and not by chroot: inside of a chroot the kernel makes no user namespaces.",
    };
  }
  if (sysctls.maxUserNamespaces === 0) {
    return {
      ...base,
      advice: "Please set the sysctl user.max_user_namespaces to 10000 (it is 0, which forbids user namespaces).",
    };
  }
  if (sysctls.usernsClone === 0) {
    return {
      ...base,
      advice:
        "Please set the sysctl kernel.unprivileged_userns_clone to 1 (it is 0, which forbids user namespaces to plain users).",
    };
  }
  if (isRestrictedByAppArmor(facts)) return { ...base, ...adviseProfile(facts) };
  if (userNamespace.code === "ENOSPC" || userNamespace.code === "EUSERS") {
    return {
      ...base,
      advice: `Please raise the sysctl user.max_user_namespaces (it is ${sysctls.maxUserNamespaces ?? "unknown"}).`,
    };
  }
  if (userNamespace.code === "EINVAL" || userNamespace.code === "ENOSYS") {
    return { ...base, advice: "Please use a kernel that was built with CONFIG_USER_NS." };
  }
  return {
    ...base,
    advice: insideContainer
      ? "Please start this container with a seccomp profile that allows unshare and mount (docker run --security-opt seccomp=unconfined, or one that adds them)."
      : "Please allow plain users to make user namespaces (unshare(2) with CLONE_NEWUSER); neither a sysctl nor AppArmor seems to forbid it here, so a security module or a seccomp filter may.",
  };
}

function judgeNamespaces(facts: MachineFacts): Judgement {
  const { namespaces, userNamespace } = facts;
  if (namespaces.ok) return { status: "ok", detail: "mount, pid, network, ipc, uts and cgroup namespaces" };
  if (!userNamespace.ok) return { status: "missing", detail: "not tried, for want of a user namespace" };
  const detail = `${showFailure(namespaces)}: ${STILL_WORKS}`;
  // Ubuntu's way: the namespace can be made, and nothing can be done in it
  if (isRestrictedByAppArmor(facts)) return { status: "missing", detail, ...adviseProfile(facts) };
  return {
    status: "missing",
    detail,
    advice: "Please allow plain users to use mount, network and pid namespaces inside a user namespace of their own.",
  };
}

function isRestrictedByAppArmor({ sysctls, userNamespace, namespaces }: MachineFacts): boolean {
  const failed = [userNamespace, namespaces].find(({ ok }) => !ok);
  return (sysctls.apparmorRestrict ?? 0) !== 0 && failed !== undefined && !failed.ok &&
    ["EPERM", "EACCES"].includes(failed.code);
}

function adviseProfile({ program }: MachineFacts): { advice: string; attachment: string } {
  return {
    advice: `Please allow ${program} to make user namespaces: save the text below as /etc/apparmor.d/dugout and run ` +
      "'apparmor_parser -r /etc/apparmor.d/dugout' (or set the sysctl kernel.apparmor_restrict_unprivileged_userns to 0).",
    attachment: appArmorProfile(program),
  };
}

/** A profile that takes nothing away and gives one right: what Ubuntu's own profiles for such programs do. */
export function appArmorProfile(program: string): string {
  return [
    "abi <abi/4.0>,",
    "include <tunables/global>",
    "",
    // AppArmor reads these characters as patterns in a path; between quotes a blank is none
    `profile dugout "${program.replace(/[\\"*?[\]{}^]/g, "\\$&")}" flags=(unconfined) {`,
    "  userns,",
    "",
    "  include if exists <local/dugout>",
    "}",
    "",
  ].join("\n");
}

function judgeStore(store: StoreFacts): Judgement {
  const where = quote(store.path);
  if (store.problem !== undefined) {
    return {
      status: "missing",
      detail: `${where} cannot be used: ${store.problem}`,
      advice: "Please give us a directory of our own on a local disk; 'dugout --root DIRECTORY' then uses it.",
    };
  }
  const limits: string[] = [];
  if (store.isNoexec) limits.push("it is mounted noexec, so programs in images cannot be started from it");
  if (!store.userXattrs.ok) {
    limits.push(
      "it has no user attributes, so the overlay driver cannot be used, and owners are kept in files of their own",
    );
  }
  if (store.isShared) {
    limits.push(
      "other machines can share it, so locks may not hold; names and layers are made so that this does no harm",
    );
  }
  const size = `${Math.floor(store.availableBytes / 1e9)} GB free`;
  if (limits.length === 0) return { status: "ok", detail: `${where} on ${store.fileSystem}, ${size}` };
  const detail = `${where} on ${store.fileSystem}, ${size}: ${limits.join("; ")}`;
  return store.isNoexec || !store.userXattrs.ok
    ? {
      status: "limited",
      detail,
      advice:
        "Please give us a directory of our own on a local disk that is mounted without noexec (ext4, xfs or btrfs); 'dugout --root DIRECTORY' then uses it.",
    }
    : { status: "limited", detail };
}

function judgeProc({ proc, namespaces, insideContainer }: MachineFacts): Judgement {
  if (proc.ok) return { status: "ok", detail: "can be mounted" };
  if (!namespaces.ok) return { status: "missing", detail: "not tried, for want of namespaces" };
  return {
    status: "limited",
    detail: `${showFailure(proc)}: parts of this machine's /proc are covered, so containers get a bind of it`,
    ...(insideContainer
      ? {
        advice:
          "Please start this container with an uncovered /proc (docker run --security-opt systempaths=unconfined).",
      }
      : {}),
  };
}

function judgeSubordinateIds(facts: MachineFacts): Judgement {
  const { uidCount, gidCount, reason, freeStart } = facts.identity;
  if (uidCount > 0 && gidCount > 0) return { status: "ok", detail: reason };
  const range = `${freeStart}-${freeStart + 65535}`;
  const user = facts.userName ?? String(facts.uid);
  return {
    status: "limited",
    detail: `${reason}: containers have one id, and owners are remembered for save and push`,
    advice:
      `Please give ${user} a range of subordinate ids: usermod --add-subuids ${range} --add-subgids ${range} ${user}`,
  };
}

function judgeMapPrograms({ identity: { mapProgram }, uid }: MachineFacts): Judgement {
  const install =
    "Please install newuidmap and newgidmap (package uidmap on Debian and Ubuntu, shadow-utils elsewhere).";
  if (uid === 0) return { status: "ok", detail: "root needs none" };
  if (mapProgram === undefined) {
    return { status: "missing", detail: "not installed: subordinate ids cannot be used", advice: install };
  }
  if (mapProgram.rights === "none") {
    return {
      status: "missing",
      detail: `${mapProgram.path} is there, but neither setuid root nor with capabilities`,
      advice: `Please run: setcap cap_setuid+ep ${mapProgram.path} && setcap cap_setgid+ep ${
        mapProgram.path.replace("newuidmap", "newgidmap")
      } (or reinstall the package uidmap).`,
    };
  }
  const how = mapProgram.rights === "setuid" ? "setuid root" : "with capabilities";
  return { status: "ok", detail: `${mapProgram.path}, ${how}` };
}

function judgeOverlay({ overlay, namespaces, kernel, fuse }: MachineFacts): Judgement {
  if (overlay.ok) return { status: "ok", detail: "mounted, written to and deleted from, in a user namespace" };
  if (!namespaces.ok) return { status: "missing", detail: "not tried, for want of namespaces" };
  const instead = fuse.device === "ok" && fuse.overlayProgram !== undefined
    ? "fuse-overlayfs is used instead"
    : "layers are copied for each container (vfs), which takes time and space";
  const isOld = isOlder(kernel, 5, 11);
  return {
    status: "limited",
    detail: `${showFailure(overlay)}: ${instead}`,
    advice: isOld
      ? `Please use a kernel from 5.11 on (this is ${kernel}), or install fuse-overlayfs.`
      : "Please install fuse-overlayfs, or give us a directory on a local disk (ext4, xfs, btrfs; not on an overlay, NFS or FUSE) for images.",
  };
}

/** Whether a release such as `5.10.0-30-amd64` is older; one that cannot be read is not. */
function isOlder(kernel: string, major: number, minor: number): boolean {
  const match = /^([0-9]{1,4})\.([0-9]{1,4})/.exec(kernel);
  if (match === null) return false;
  const [has, hasMinor] = [Number(match[1]), Number(match[2])];
  return has < major || (has === major && hasMinor < minor);
}

function judgeFuse({ fuse }: MachineFacts): Judgement {
  if (fuse.device !== "ok") {
    return {
      status: "missing",
      detail: `/dev/fuse: ${fuse.device}; needed only where the overlay driver does not work`,
      advice: fuse.device === "ENOENT"
        ? "Please load the module fuse (modprobe fuse), so that /dev/fuse is there with mode 0666."
        : "Please make /dev/fuse usable for all users (mode 0666, as distributions have it).",
    };
  }
  return {
    status: "ok",
    detail: `/dev/fuse can be opened; fuse-overlayfs is ${
      fuse.overlayProgram === undefined ? "not installed" : fuse.overlayProgram
    }`,
  };
}

function judgeTun({ tun }: MachineFacts): Judgement {
  if (tun === "ok") return { status: "ok", detail: "/dev/net/tun can be opened" };
  return {
    status: "missing",
    detail: `/dev/net/tun: ${tun}; networks of containers have no way outwards, and the default is the host's network`,
    advice: tun === "ENOENT" || tun === "ENODEV"
      ? "Please load the module tun (modprobe tun), so that /dev/net/tun is there with mode 0666."
      : "Please make /dev/net/tun usable for all users (mode 0666, as distributions have it).",
  };
}

function judgePing({ ping }: MachineFacts): Judgement {
  if (ping === "ok") return { status: "ok", detail: "what containers ping outside is asked by this machine" };
  return {
    status: "limited",
    detail: `socket ICMP: ${ping}; pings of outside addresses are answered "Packet filtered", all else works`,
    advice: 'Please set the sysctl net.ipv4.ping_group_range to "0 2147483647", as most distributions have it.',
  };
}

/** Those that limits of Docker's flags need, in the order in which they are missed. */
const WANTED = ["cpu", "memory", "pids", "io", "cpuset"] as const;

function judgeCgroups({ cgroup, uid }: MachineFacts): Judgement {
  const place = choosePlace(cgroup);
  if (place.kind === "none") {
    return {
      status: "missing",
      detail: `${place.reason}: no limits of memory, processors or processes can be set`,
      advice: cgroup.kind !== "v2"
        ? "Please boot with cgroup v2 alone (kernel parameter systemd.unified_cgroup_hierarchy=1)."
        : `Please let us have a session of systemd (loginctl enable-linger ${uid}), or start us in a delegated cgroup.`,
    };
  }
  const lacking = missingControllers(place, WANTED);
  const from = place.kind === "own" ? "our own cgroup" : uid === 0 ? "systemd" : "systemd's user manager";
  const has = place.controllers.length === 0 ? "no controllers" : place.controllers.join(", ");
  if (lacking.length === 0) return { status: "ok", detail: `${has}, by ${from}` };
  return {
    status: "limited",
    detail: `${has}, by ${from}; not ${lacking.join(", ")}`,
    advice: "Please delegate more controllers to users: save the text below as " +
      `${DROP_IN_PATH} and run 'systemctl daemon-reload'.`,
    attachment: delegationDropIn(WANTED),
  };
}

function judgeSeccomp({ hasSeccomp }: MachineFacts): Judgement {
  if (hasSeccomp) return { status: "ok", detail: "the default profile is used" };
  return {
    status: "missing",
    detail: "containers run without a filter, and in single-id mode programs that change owners fail",
    advice: "Please use a kernel that was built with CONFIG_SECCOMP_FILTER.",
  };
}

function judgeLandlock(abi: number): Judgement {
  if (abi >= 6) return { status: "ok", detail: `version ${abi}: abstract sockets and signals to the host are closed` };
  const open = abi === 0
    ? "containers can reopen inherited files and reach abstract sockets of the host"
    : "containers with the host's network can reach its abstract sockets";
  return {
    status: "limited",
    detail: abi === 0 ? `not there: ${open}` : `version ${abi}: ${open}`,
    advice: abi === 0
      ? "Please enable Landlock (kernel parameter lsm=landlock,… and CONFIG_SECURITY_LANDLOCK)."
      : "Please use a kernel from 6.12 on, which has Landlock's scopes.",
  };
}

function showFailure(trial: Trial): string {
  return trial.ok ? "" : `${trial.what} failed with ${trial.code}`;
}
