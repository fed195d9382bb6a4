import assert from "node:assert/strict";
import { test } from "node:test";
import { appArmorProfile, type CheckReport, type Finding, judgeMachine } from "./check.ts";
import type { MachineFacts, Trial } from "./check_facts.ts";
import { findFreeStart } from "./check_probe.ts";

const OK: Trial = { ok: true };
const fail = (what: string, code: string): Trial => ({ ok: false, what, code });

/** A machine on which everything works. */
const GOOD: MachineFacts = {
  program: "/home/u/bin/dugout",
  uid: 1000,
  userName: "u",
  kernel: "6.12.1-amd64",
  insideContainer: false,
  insideChroot: false,
  sysctls: { apparmorRestrict: undefined, usernsClone: 1, maxUserNamespaces: 10000, memfdNoexec: 0 },
  memfd: OK,
  userNamespace: OK,
  namespaces: OK,
  proc: OK,
  overlay: OK,
  identity: {
    uidCount: 65536,
    gidCount: 65536,
    reason: "65536 subordinate ids of u",
    freeStart: 165536,
    mapProgram: { path: "/usr/bin/newuidmap", rights: "setuid" },
  },
  fuse: { device: "ok", overlayProgram: undefined },
  tun: "ok",
  ping: "ok",
  cgroup: {
    kind: "v2",
    uid: 1000,
    own: "/user.slice",
    ownWritable: false,
    ownDelegated: false,
    ownControllers: [],
    bus: { socket: "/run/user/1000/bus" },
    managerControllers: ["cpuset", "cpu", "io", "memory", "pids"],
    batch: undefined,
    isUnit: false,
    nsdelegate: true,
  },
  store: {
    path: "/home/u/.local/share/dugout",
    problem: undefined,
    fileSystem: "ext4",
    isShared: false,
    isNoexec: false,
    userXattrs: OK,
    availableBytes: 12.5e9,
  },
  landlockAbi: 6,
  hasSeccomp: true,
};

function judge(change: Partial<MachineFacts>): CheckReport {
  return judgeMachine({ ...GOOD, ...change });
}

function find(report: CheckReport, id: string): Finding {
  const finding = report.findings.find((one) => one.id === id);
  assert.ok(finding, id);
  return finding;
}

test("a machine with everything needs nothing", () => {
  const report = judge({});
  assert.equal(report.canRun, true);
  assert.deepEqual(report.findings.filter(({ status, advice }) => status !== "ok" || advice !== undefined), []);
});

test("C-067 AppArmor's limit is named, with the text of a profile for this binary", () => {
  const sysctls = { ...GOOD.sysctls, apparmorRestrict: 1 };
  // Ubuntu 24.04: the namespace can be made, nothing can be done in it; elsewhere it cannot be made
  const inside = fail("make mounts private at /", "EACCES");
  const atOnce = fail("make user namespace", "EPERM");
  const cases: [string, CheckReport][] = [
    ["namespaces", judge({ sysctls, namespaces: inside, overlay: inside, proc: inside })],
    ["user-namespaces", judge({ sysctls, userNamespace: atOnce, namespaces: atOnce, overlay: atOnce, proc: atOnce })],
  ];
  for (const [id, report] of cases) {
    const finding = find(report, id);
    assert.equal(report.canRun, false);
    assert.equal(finding.status, "missing");
    assert.match(finding.detail, /pull, save, load, inspect and history work all the same/);
    assert.match(
      finding.advice ?? "",
      /\/home\/u\/bin\/dugout .* \/etc\/apparmor\.d\/dugout .*apparmor_restrict_unprivileged_userns/,
    );
    assert.equal(finding.attachment, appArmorProfile("/home/u/bin/dugout"));
  }
});

test("a profile names the path as it is, whatever is in it", () => {
  assert.match(
    appArmorProfile("/opt/a b/dugout"),
    /^profile dugout "\/opt\/a b\/dugout" flags=\(unconfined\) \{\n {2}userns,$/m,
  );
  assert.match(appArmorProfile('/x/*[a]{"\\'), /^profile dugout "\/x\/\\\*\\\[a\\\]\\\{\\"\\\\" /m);
});

test("sysctls that forbid user namespaces are named", () => {
  const userNamespace = fail("make user namespace", "EPERM");
  const cases: [Partial<MachineFacts["sysctls"]>, string, RegExp][] = [
    [{ usernsClone: 0 }, "EPERM", /kernel\.unprivileged_userns_clone to 1/],
    [{ maxUserNamespaces: 0 }, "ENOSPC", /user\.max_user_namespaces to 10000/],
    [{ maxUserNamespaces: 3 }, "ENOSPC", /raise the sysctl user\.max_user_namespaces \(it is 3\)/],
    [{}, "EINVAL", /CONFIG_USER_NS/],
    [{}, "EPERM", /security module or a seccomp filter/],
  ];
  for (const [sysctls, code, advice] of cases) {
    const report = judge({
      sysctls: { ...GOOD.sysctls, ...sysctls },
      userNamespace: { ...userNamespace, code } as Trial,
    });
    assert.match(find(report, "user-namespaces").advice ?? "", advice);
    assert.equal(report.canRun, false);
  }
});

test("C-069 in somebody's container the advice is about that container", () => {
  const refused = fail("make user namespace", "EPERM");
  const closed = judge({ insideContainer: true, userNamespace: refused, namespaces: refused });
  assert.match(find(closed, "user-namespaces").advice ?? "", /seccomp profile/);
  const masked = judge({ insideContainer: true, proc: fail("mount proc", "EPERM") });
  assert.equal(find(masked, "proc").status, "limited");
  assert.match(find(masked, "proc").detail, /containers get a bind of it/);
  assert.match(find(masked, "proc").advice ?? "", /systempaths=unconfined/);
  assert.equal(masked.canRun, true);
});

test("C-069 in a chroot, where the kernel makes no user namespaces, the advice is about that", () => {
  const refused = fail("make user namespace", "EPERM");
  const report = judge({ insideChroot: true, userNamespace: refused, namespaces: refused });
  assert.match(find(report, "user-namespaces").advice ?? "", /not by chroot/);
  assert.equal(report.canRun, false);
});

test("C-012 without subordinate ids containers run, and a free range is proposed", () => {
  const report = judge({
    identity: { ...GOOD.identity, uidCount: 0, gidCount: 0, reason: "no subordinate ids for u in /etc/subuid" },
  });
  assert.equal(report.canRun, true);
  const finding = find(report, "subordinate-ids");
  assert.equal(finding.status, "limited");
  assert.match(finding.advice ?? "", /usermod --add-subuids 165536-231071 --add-subgids 165536-231071 u$/);
});

test("a free range begins behind all others", () => {
  assert.equal(findFreeStart([]), 100_000);
  assert.equal(findFreeStart(["a:100000:65536\nb:300000:10\n# c\n", "a:200000:65536\nbad:x:y\n"]), 300_010);
});

test("newuidmap without rights is told from one that is not there", () => {
  const { identity } = GOOD;
  assert.match(
    find(judge({ identity: { ...identity, mapProgram: undefined } }), "id-map-programs").advice ?? "",
    /install/,
  );
  const powerless = { path: "/usr/bin/newuidmap", rights: "none" } as const;
  assert.match(
    find(judge({ identity: { ...identity, mapProgram: powerless } }), "id-map-programs").advice ?? "",
    /setcap cap_setuid\+ep \/usr\/bin\/newuidmap && setcap cap_setgid\+ep \/usr\/bin\/newgidmap/,
  );
  assert.equal(
    find(judge({ uid: 0, identity: { ...identity, mapProgram: undefined } }), "id-map-programs").status,
    "ok",
  );
});

test("C-055 C-068 NFS, missing attributes and noexec of the store are told with another place to ask for", () => {
  const { store } = GOOD;
  const nfs = find(
    judge({ store: { ...store, fileSystem: "NFS", isShared: true, userXattrs: fail("setting", "EOPNOTSUPP") } }),
    "store",
  );
  assert.equal(nfs.status, "limited");
  assert.match(nfs.detail, /on NFS, 12 GB free: it has no user attributes.*other machines can share it/);
  assert.match(nfs.advice ?? "", /local disk.*--root DIRECTORY/);
  assert.match(find(judge({ store: { ...store, isNoexec: true } }), "store").detail, /mounted noexec/);
  const gone = judge({ store: { ...store, problem: "EROFS" } });
  assert.equal(gone.canRun, false);
  assert.equal(find(gone, "store").status, "missing");
});

test("overlay says what is used instead, and on old kernels which one has it", () => {
  const overlay = fail("mount overlay", "EPERM");
  assert.match(find(judge({ overlay, kernel: "5.10.0-30-amd64" }), "overlay").advice ?? "", /kernel from 5\.11 on/);
  const whiteout = find(judge({ overlay: fail("delete a file of a lower layer", "EPERM") }), "overlay");
  assert.match(whiteout.detail, /vfs/);
  assert.match(whiteout.advice ?? "", /install fuse-overlayfs/);
  const fuse = { device: "ok", overlayProgram: "/usr/bin/fuse-overlayfs" };
  assert.match(find(judge({ overlay, fuse }), "overlay").detail, /fuse-overlayfs is used instead/);
});

test("C-064 what cgroups cannot limit is named, with the drop-in that delegates it", () => {
  const partly = find(judge({ cgroup: { ...GOOD.cgroup, managerControllers: ["memory", "pids"] } }), "cgroups");
  assert.equal(partly.status, "limited");
  assert.match(partly.detail, /memory, pids, by systemd's user manager; not cpu, io, cpuset/);
  assert.equal(partly.attachment, "[Service]\nDelegate=cpu memory pids io cpuset\n");
  const none = find(judge({ cgroup: { ...GOOD.cgroup, bus: { problem: "there is no bus" } } }), "cgroups");
  assert.match(none.advice ?? "", /loginctl enable-linger 1000/);
  assert.match(
    find(judge({ cgroup: { ...GOOD.cgroup, kind: "hybrid" } }), "cgroups").advice ?? "",
    /unified_cgroup_hierarchy/,
  );
  const own = { ...GOOD.cgroup, ownWritable: true, ownDelegated: true, ownControllers: ["memory"] };
  assert.match(find(judge({ cgroup: own }), "cgroups").detail, /by our own cgroup/);
});

test("each other thing has a sentence when it is missing", () => {
  assert.match(find(judge({ tun: "EACCES" }), "tun").advice ?? "", /mode 0666/);
  assert.match(find(judge({ tun: "ENOENT" }), "tun").advice ?? "", /modprobe tun/);
  const ping = find(judge({ ping: "EACCES" }), "ping");
  assert.equal(ping.status, "limited");
  assert.match(ping.advice ?? "", /net\.ipv4\.ping_group_range/);
  assert.match(
    find(judge({ fuse: { device: "EACCES", overlayProgram: undefined } }), "fuse").advice ?? "",
    /mode 0666/,
  );
  assert.match(find(judge({ landlockAbi: 4 }), "landlock").advice ?? "", /6\.12/);
  assert.match(find(judge({ landlockAbi: 0 }), "landlock").advice ?? "", /lsm=landlock/);
  assert.equal(find(judge({ hasSeccomp: false }), "seccomp").status, "missing");
  const memfd = judge({
    memfd: fail("memfd_create dugout-player", "EACCES"),
    sysctls: { ...GOOD.sysctls, memfdNoexec: 2 },
  });
  assert.equal(memfd.canRun, false);
  assert.match(find(memfd, "memfd").advice ?? "", /vm\.memfd_noexec/);
});
