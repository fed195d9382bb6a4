/**
 * What opencontainers/runtime-tools checks of a runtime (its validation programs need Go, and root), as a list of our own: each
 * check is made of `dugout runtime` and of runc, and both have to pass it, which tests the check as well.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needs, type Result, type Sandbox } from "../harness.ts";
import { BUSYBOX, changeConfig, type Config, makeBundle } from "../support/bundle.ts";

type Check = {
  readonly name: string;
  readonly change?: (config: Config, box: Sandbox) => void;
  /** What the container runs. */
  readonly script: string;
  readonly code?: number;
  /** The output, or what it has to match; where it depends on the caller, a function. */
  readonly expect: string | RegExp | ((box: Sandbox) => string | RegExp);
};

/** Another namespace than ours. */
const own = (name: string) => () => new RegExp(`^(?!${escape(readlinkSync(`/proc/self/ns/${name}`))})${name}:`);

function escape(text: string): string {
  return text.replaceAll(/[[\]]/g, "\\$&");
}

const status = (field: string) => `grep ${field}: /proc/self/status`;

const CHECKS: readonly Check[] = [
  { name: "process.args", script: "echo $0", expect: "sh\n" },
  { name: "exit codes", script: "exit 42", code: 42, expect: "" },
  { name: "process.cwd", change: ({ process }) => (process["cwd"] = "/tmp"), script: "pwd", expect: "/tmp\n" },
  { name: "process.env", change: ({ process }) => process.env.push("A=b c"), script: "echo $A", expect: "b c\n" },
  {
    name: "process.user.umask",
    change: ({ process }) => (process["user"] = { uid: 0, gid: 0, umask: 63 }),
    script: "umask",
    expect: "0077\n",
  },
  {
    name: "process.rlimits",
    change: ({ process }) => (process["rlimits"] = [{ type: "RLIMIT_NOFILE", soft: 50, hard: 60 }]),
    script: "ulimit -n; ulimit -Hn",
    expect: "50\n60\n",
  },
  {
    name: "process.capabilities (bounding)",
    change: ({ process }) => (process["capabilities"] = { bounding: ["CAP_KILL"] }),
    script: status("CapBnd"),
    expect: /0{14}20$/m,
  },
  {
    name: "process.capabilities (none)",
    change: ({ process }) => (process["capabilities"] = {}),
    script: status("CapEff"),
    expect: /0{16}$/m,
  },
  { name: "process.noNewPrivileges", script: status("NoNewPrivs"), expect: "NoNewPrivs:\t1\n" },
  {
    name: "process.noNewPrivileges (off)",
    change: ({ process }) => (process["noNewPrivileges"] = false),
    script: status("NoNewPrivs"),
    expect: "NoNewPrivs:\t0\n",
  },
  {
    name: "process.oomScoreAdj",
    change: ({ process }) => (process["oomScoreAdj"] = 500),
    script: "cat /proc/self/oom_score_adj",
    expect: "500\n",
  },
  {
    name: "hostname",
    change: (config) => (config["hostname"] = "checked"),
    script: "cat /proc/sys/kernel/hostname",
    expect: "checked\n",
  },
  { name: "root.readonly", script: "echo > /x", code: 1, expect: "" },
  {
    name: "root.readonly (off)",
    change: ({ root }) => (root["readonly"] = false),
    script: "echo in > /tmp/x; cat /tmp/x",
    expect: "in\n",
  },
  {
    name: "mounts: tmpfs with options",
    change: ({ mounts }) =>
      mounts.push({ destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["noexec", "nosuid", "size=1m"] }),
    script: "grep ' /tmp ' /proc/self/mounts",
    expect: /^tmpfs \/tmp tmpfs rw,nosuid,noexec,.*size=1024k/,
  },
  {
    name: "mounts: bind, read-only",
    change: ({ mounts }, box) =>
      mounts.push({ destination: "/tmp", type: "bind", source: box.home, options: ["rbind", "ro"] }),
    script: "ls -d /tmp/checked; echo > /tmp/no",
    code: 1,
    expect: "/tmp/checked\n",
  },
  {
    name: "mounts: in their order",
    change: ({ mounts }) =>
      mounts.push({ destination: "/tmp", type: "tmpfs", source: "t" }, {
        destination: "/tmp/a/b",
        type: "tmpfs",
        source: "t",
      }),
    script: "grep -c ' /tmp' /proc/self/mounts",
    expect: "2\n",
  },
  {
    name: "default file systems",
    script:
      'for i in /proc:proc /dev/pts:devpts /dev/shm:tmpfs; do grep -c " ${i%:*} ${i#*:} " /proc/self/mounts; done',
    expect: "1\n1\n1\n",
  },
  {
    name: "default devices",
    script: "for i in null zero full random urandom tty; do ls /dev/$i || exit 9; done | wc -l; echo x > /dev/full",
    code: 1,
    expect: "6\n",
  },
  {
    name: "default links",
    script: "for i in fd stdin stdout stderr ptmx; do readlink /dev/$i; done",
    expect: "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n",
  },
  {
    name: "linux.maskedPaths",
    change: ({ linux }) => (linux["maskedPaths"] = ["/etc", "/proc/meminfo", "/nothing"]),
    script: "ls /etc; cat /proc/meminfo",
    expect: "",
  },
  {
    name: "linux.readonlyPaths",
    change: ({ linux }) => (linux["readonlyPaths"] = ["/proc/sys"]),
    script: "echo x > /proc/sys/kernel/hostname",
    code: 1,
    expect: "",
  },
  ...(["mnt", "pid", "ipc", "uts", "user"] as const).map((name): Check => ({
    name: `linux.namespaces: ${name}`,
    script: `readlink /proc/self/ns/${name}`,
    expect: own(name),
  })),
  {
    name: "linux.namespaces: the caller's",
    change: (config) => {
      config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== "ipc");
      config.mounts = config.mounts.filter(({ type }) => type !== "mqueue");
    },
    script: "readlink /proc/self/ns/ipc",
    expect: () => `${readlinkSync("/proc/self/ns/ipc")}\n`,
  },
  {
    name: "linux.uidMappings",
    script: "cat /proc/self/uid_map",
    expect: (box) => new RegExp(`^ +0 +${box.user.uid} +1\n$`),
  },
  {
    name: "linux.sysctl",
    change: ({ linux }) => {
      linux.namespaces.push({ type: "network" });
      linux["sysctl"] = { "net.ipv4.ip_forward": "1" };
    },
    script: "cat /proc/sys/net/ipv4/ip_forward",
    expect: "1\n",
  },
  {
    name: "a network namespace has its loopback up",
    change: ({ linux }) => void linux.namespaces.push({ type: "network" }),
    script: "grep -c lo: /proc/net/dev; cat /sys/class/net/lo/operstate /proc/net/if_inet6 | grep -c lo",
    expect: /^1\n/,
  },
  {
    name: "linux.seccomp: errno",
    change: (
      { linux },
    ) => (linux["seccomp"] = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["getcwd"], action: "SCMP_ACT_ERRNO", errnoRet: 38 }],
    }),
    script: status("Seccomp"),
    expect: "Seccomp:\t2\n",
  },
  {
    name: "linux.rootfsPropagation",
    change: ({ linux }) => (linux["rootfsPropagation"] = "private"),
    script: "grep -c ' / .*\\(shared\\|master\\):' /proc/self/mountinfo",
    code: 1,
    expect: "0\n",
  },
  { name: "process 1 is the program", script: "echo $$", expect: "1\n" },
];

/** Both runtimes, and how each is called. */
function runtimes(box: Sandbox): [string, (args: readonly string[]) => Promise<Result>][] {
  const root = join(box.home, "runc");
  return [
    ["dugout", (args) => box.dugout(["runtime", ...args])],
    ["runc", (args) => box.run(["/usr/sbin/runc", "--root", root, ...args])],
  ];
}

asBoth("what runtime-tools validates of one container holds for dugout runtime and for runc", async (box) => {
  mkdirSync(join(box.home, "checked"));
  const bundle = await makeBundle(box, "b", () => {});
  const plain = readFileSync(join(bundle, "config.json"), "utf8");
  const failed: string[] = [];
  for (const check of CHECKS) {
    for (const [runtime, call] of runtimes(box)) {
      writeFileSync(join(bundle, "config.json"), plain);
      changeConfig(bundle, (config) => {
        // runc 1.1 mounts no cgroup2 in a user namespace of a machine that has both versions
        config.mounts = config.mounts.filter(({ type }) => type !== "cgroup");
        config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== "cgroup");
        config.process.args = ["sh", "-c", check.script];
        check.change?.(config, box);
      });
      const { code, stdout, stderr } = await call(["run", "--bundle", bundle, "checked"]);
      const expected = typeof check.expect === "function" ? check.expect(box) : check.expect;
      const holds = code === (check.code ?? 0) &&
        (typeof expected === "string" ? stdout === expected : expected.test(stdout));
      if (!holds) failed.push(`${runtime}: ${check.name}: code ${code}, ${JSON.stringify(stdout)}, ${stderr.trim()}`);
    }
  }
  assert.deepEqual(failed, [], `of ${CHECKS.length} checks`);
}, { skip: needs("runc") || (BUSYBOX === undefined && "needs busybox") });

asBoth("what runtime-tools validates of a life holds for dugout runtime and for runc", async (box) => {
  const bundle = await makeBundle(box, "b", (config) => {
    config.mounts = config.mounts.filter(({ type }) => type !== "cgroup");
    config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== "cgroup");
    config.process.args = ["sleep", "600"];
  });
  const commands = { dugout: [DUGOUT, "runtime"], runc: ["/usr/sbin/runc", "--root", join(box.home, "runc")] };
  for (const [name, call] of runtimes(box)) {
    const quiet = (line: string) =>
      box.run([
        "/bin/sh",
        "-c",
        `${commands[name as "dugout" | "runc"].join(" ")} ${line} >/dev/null 2>"${box.home}/err" </dev/null`,
      ]);
    const seen: string[] = [];
    const note = async (what: string, result: Promise<Result>) =>
      void seen.push(`${what}: ${(await result).code === 0 ? "well" : "fails"}`);
    const state = async () =>
      void seen.push(`state ${JSON.parse((await call(["state", "life"])).stdout || '{"status":"none"}').status}`);
    await note("create without an id", call(["create", "--bundle", bundle]));
    await note("create with a bad id", call(["create", "--bundle", bundle, "a/b"]));
    await note("create without a bundle", call(["create", "--bundle", "/nothing", "life"]));
    await note("start of none", call(["start", "life"]));
    await note("kill of none", call(["kill", "life"]));
    await note("delete of none", call(["delete", "life"]));
    await state();
    await note("create", quiet(`create --pid-file ${box.home}/pid --bundle ${bundle} life`));
    await note("create again", quiet(`create --bundle ${bundle} life`));
    await state();
    const { pid } = JSON.parse((await call(["state", "life"])).stdout);
    assert.equal(Number(readFileSync(join(box.home, "pid"), "utf8")), pid);
    await note("start", call(["start", "life"]));
    await note("start again", call(["start", "life"]));
    await state();
    await note("delete of one that runs", call(["delete", "life"]));
    await note("kill", call(["kill", "life", "KILL"]));
    while (JSON.parse((await call(["state", "life"])).stdout).status !== "stopped") {
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await state();
    await note("start of one that has stopped", call(["start", "life"]));
    await note("kill of one that has stopped", call(["kill", "life"]));
    await note("delete", call(["delete", "life"]));
    await state();
    assert.deepEqual(seen, [
      "create without an id: fails",
      "create with a bad id: fails",
      "create without a bundle: fails",
      "start of none: fails",
      "kill of none: fails",
      "delete of none: fails",
      "state none",
      "create: well",
      "create again: fails",
      "state created",
      "start: well",
      "start again: fails",
      "state running",
      "delete of one that runs: fails",
      "kill: well",
      "state stopped",
      "start of one that has stopped: fails",
      "kill of one that has stopped: fails",
      "delete: well",
      "state none",
    ], name);
  }
}, { skip: needs("runc") || (BUSYBOX === undefined && "needs busybox") });
