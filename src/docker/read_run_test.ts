import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import { seededRandom } from "../../tests/support/random.ts";
import { isRunFlag, readRun, type RunContext, type RunRead } from "./read_run.ts";
import { findRefusal, REFUSED } from "./refused.ts";
import { newRunOptions, newRunRequest } from "./run_request.ts";

const FILES = new Map([
  ["env", "A=file\nB=file\nCALLER\n"],
  ["labels", "a=file\nb=file\n"],
  ["profile.json", `{"defaultAction":"SCMP_ACT_ALLOW"}`],
]);

const CONTEXT: RunContext = {
  makeAbsolute: (path) => `/here/${path}`,
  lookUp: (name) => name === "CALLER" ? "yes" : undefined,
  environment: () => [["CALLER", "yes"], ["A", "host"]],
  readFile: (path) => {
    const text = FILES.get(path);
    if (text === undefined) throw new DugoutError("FILE_MISSING", "Cannot read a file");
    return new TextEncoder().encode(text);
  },
};

type Flags = Record<string, boolean | string | string[]>;

function read(flags: Flags, operands: string[] = ["image"]): RunRead {
  return readRun(new Map(Object.entries(flags)), operands, CONTEXT);
}

function codeOf(flags: Flags, operands?: string[]): string {
  try {
    read(flags, operands);
  } catch (error) {
    assert.ok(error instanceof DugoutError, String(error));
    assert.equal(error.exitCode, 125);
    return error.code;
  }
  return "none";
}

/** docker run's 104 flags (28.2), then those of Podman and our own. */
const DOCKER_FLAGS =
  `add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile
  cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems detach
  detach-keys device device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops
  disable-content-trust dns dns-option dns-search domainname entrypoint env env-file expose gpus group-add health-cmd
  health-interval health-retries health-start-interval health-start-period health-timeout help hostname init interactive
  io-maxbandwidth io-maxiops ip ip6 ipc isolation kernel-memory label label-file link link-local-ip log-driver log-opt
  mac-address memory memory-reservation memory-swap memory-swappiness mount name network network-alias no-healthcheck
  oom-kill-disable oom-score-adj pid pids-limit platform privileged publish publish-all pull quiet read-only restart rm
  runtime security-opt shm-size sig-proxy stop-signal stop-timeout storage-opt sysctl tmpfs tty ulimit use-api-socket user
  userns uts volume volume-driver volumes-from workdir`.split(/\s+/);
const OUR_FLAGS = [
  "egress",
  "env-host",
  "pidfile",
  "rootfs",
  "tls-verify",
  "explain",
  "format",
  "replace",
  "sdnotify",
  "tz",
  "unsetenv",
  "unsetenv-all",
  "pod",
  "secret",
  "preserve-fds",
];

test("without flags a run is the default", () => {
  assert.deepEqual(read({}), { request: newRunRequest("image"), options: newRunOptions() });
  assert.deepEqual(read({}, ["image", "echo", "hi"]).request.command, ["echo", "hi"]);
});

test("all flags of docker run are known, to be read or to be refused", () => {
  for (const flag of [...DOCKER_FLAGS, ...OUR_FLAGS]) assert.ok(isRunFlag(flag), flag);
  assert.equal(codeOf({ "no-such-flag": true }), "FLAG_INVALID");
});

test("the client's options are read", () => {
  const { options } = read({
    name: "web",
    rm: true,
    interactive: true,
    tty: true,
    attach: ["STDOUT", "stderr"],
    "detach-keys": "ctrl-x",
    "sig-proxy": false,
    cidfile: "c",
    pidfile: "p",
    pull: "never",
    platform: "linux/arm64",
    quiet: true,
    "tls-verify": false,
  });
  assert.deepEqual(options, {
    name: "web",
    rm: true,
    interactive: true,
    tty: true,
    detach: false,
    attach: ["stdout", "stderr"],
    detachKeys: [24],
    sigProxy: false,
    cidfile: "c",
    pidfile: "p",
    pull: "never",
    platform: { os: "linux", architecture: "arm64" },
    quiet: true,
    tlsVerify: false,
    preservedFds: [],
    rootfs: undefined,
  });
});

test("the container's fields are read", () => {
  const { request } = read({
    entrypoint: "sh",
    workdir: "/a/../b",
    user: "1000:0",
    "group-add": ["audio", "5"],
    init: true,
    "stop-signal": "INT",
    "stop-timeout": "3",
    annotation: ["x=y", "__proto__=z"],
    device: ["/dev/fuse"],
    "read-only": true,
    "shm-size": "1g",
    network: ["none"],
    expose: ["80"],
    hostname: "h",
    domainname: "d",
    "add-host": ["a:1.2.3.4"],
    dns: ["1.1.1.1"],
    "dns-search": ["x.y"],
    "dns-option": ["ndots:1"],
    privileged: true,
    "cap-add": ["all"],
    "cap-drop": ["net_raw"],
    "security-opt": ["no-new-privileges", "seccomp=profile.json"],
    userns: "keep-id",
    pid: "host",
    ipc: "none",
    cgroupns: "host",
    ulimit: ["nofile=5", "nproc=7", "nofile=10:20"],
    sysctl: ["net.ipv4.ip_forward=1", "kernel.sem=1 2 3 4"],
    "oom-score-adj": "500",
    "log-driver": "none",
  });
  assert.deepEqual(request, {
    ...newRunRequest("image"),
    entrypoint: ["sh"],
    workingDir: "/b",
    user: "1000:0",
    groupAdd: ["audio", "5"],
    init: true,
    stopSignal: 2,
    stopTimeoutSeconds: 3,
    annotations: new Map([["x", "y"], ["__proto__", "z"]]),
    devices: [{ hostPath: "/dev/fuse", containerPath: "/dev/fuse", access: { read: true, write: true, mknod: true } }],
    readOnlyRoot: true,
    shmSizeBytes: 2 ** 30,
    network: { kind: "none" },
    endpoints: request.endpoints,
    exposedPorts: [{ first: 80, last: 80, protocol: "tcp" }],
    hostname: "h",
    domainname: "d",
    extraHosts: [{ name: "a", address: "1.2.3.4" }],
    dns: { servers: ["1.1.1.1"], search: ["x.y"], options: ["ndots:1"] },
    privileged: true,
    capAdd: ["ALL"],
    capDrop: ["CAP_NET_RAW"],
    security: {
      ...newRunRequest("x").security,
      noNewPrivileges: true,
      seccomp: { text: FILES.get("profile.json") ?? "" },
    },
    userns: { kind: "keep-id", uid: undefined, gid: undefined },
    pid: { kind: "host" },
    ipc: { kind: "none" },
    cgroupns: "host",
    ulimits: [{ name: "nproc", soft: 7n, hard: 7n }, { name: "nofile", soft: 10n, hard: 20n }],
    sysctls: new Map([["net.ipv4.ip_forward", "1"], ["kernel.sem", "1 2 3 4"]]),
    oomScoreAdj: 500,
    log: { driver: "none", options: new Map() },
  });
});

test("variables and labels: files first, then flags, the later counts", () => {
  assert.deepEqual(read({ env: ["B=flag", "UNSET", "C"], "env-file": ["env"] }).request.env, [
    ["A", "file"],
    ["B", "flag"],
    ["CALLER", "yes"],
  ]);
  assert.deepEqual(read({ "env-host": true, env: ["A=flag"] }).request.env, [["CALLER", "yes"], ["A", "flag"]]);
  assert.deepEqual([...read({ label: ["b=flag", "c"], "label-file": ["labels"] }).request.labels], [
    ["a", "file"],
    ["b", "flag"],
    ["c", ""],
  ]);
  assert.equal(codeOf({ "env-file": ["missing"] }), "FILE_MISSING");
});

test("mounts come in order, and no target twice", () => {
  const { mounts } = read({
    tmpfs: ["/t"],
    mount: ["type=bind,source=/m,target=/m"],
    volume: ["./v:/v", "data:/d"],
  }).request;
  assert.deepEqual(mounts.map(({ kind, target }) => `${kind} ${target}`), [
    "bind /v",
    "volume /d",
    "bind /m",
    "tmpfs /t",
  ]);
  assert.equal(codeOf({ volume: ["/a:/x", "/b:/x/"] }), "FLAG_CONFLICT");
  assert.equal(codeOf({ volume: ["/a:/x"], tmpfs: ["/x"] }), "FLAG_CONFLICT");
  assert.equal(codeOf({ mount: ["target=/y/../x"], volume: ["/x"] }), "FLAG_CONFLICT");
});

test("A-083 two spellings of one wish give the same mount", () => {
  const one = read({ volume: ["data:/d:ro"] }).request.mounts;
  assert.deepEqual(read({ mount: ["type=volume,src=data,dst=/d,ro"] }).request.mounts, one);
});

test("a directory stands in for the image", () => {
  const run = read({ rootfs: "/:O" }, ["sh", "-c", "id"]);
  assert.deepEqual(run.options.rootfs, { path: "/", overlay: true });
  assert.deepEqual(run.request.image, undefined);
  assert.deepEqual(run.request.command, ["sh", "-c", "id"]);
  assert.deepEqual(read({ rootfs: "./r" }, ["sh"]).options.rootfs, { path: "/here/r", overlay: false });
  assert.equal(codeOf({ rootfs: "" }, []), "FLAG_INVALID");
});

test("without an image there is nothing to run; an empty command stays an argument", () => {
  assert.equal(codeOf({}, []), "USAGE");
  assert.equal(codeOf({}, [""]), "USAGE");
  assert.deepEqual(read({}, ["image", ""]).request.command, [""]);
  assert.deepEqual(read({ entrypoint: "" }).request.entrypoint, []);
  assert.equal(codeOf({}, ["image", "a\0b"]), "FLAG_INVALID");
});

test("C-064 limits that cannot be set are refused, and a value that means unset is none", () => {
  for (const flag of ["memory-swappiness", "cpu-rt-runtime", "kernel-memory"]) {
    assert.equal(codeOf({ [flag]: "5" }), "FLAG_REFUSED", flag);
    assert.throws(() => read({ [flag]: "5" }), /cgroup v[12]|Docker's API/);
  }
  const unset: Flags = {
    "memory-swappiness": "-1",
    "oom-kill-disable": false,
    "pids-limit": "0",
    "blkio-weight": "0",
    network: ["default"],
    restart: "no",
    memory: "0",
    publish: [],
    "publish-all": false,
    detach: false,
    runtime: "dugout",
    isolation: "default",
    "volume-driver": "local",
    "disable-content-trust": true,
  };
  const { request, options } = read(unset);
  assert.deepEqual({ request: { ...request, endpoints: [] }, options }, {
    request: newRunRequest("image"),
    options: newRunOptions(),
  });
});

test("what this version or any user cannot have is refused, with the reason", () => {
  const refused: Flags[] = [
    { "cpu-rt-period": "1" },
    { "memory-swappiness": "10" },
    { "oom-kill-disable": true },
    { "device-cgroup-rule": ["c 1:1 rwm"] },
    { "io-maxiops": "1" },
    { network: ["slirp"] },
    { gpus: "all" },
    { runtime: "runc" },
    { isolation: "hyperv" },
    { "volume-driver": "nfs" },
    { "use-api-socket": true },
    { "log-driver": "fluentd" },
    { "security-opt": ["apparmor=x"] },
    { "link-local-ip": ["fe80::2"] },
  ];
  for (const flags of refused) assert.equal(codeOf(flags), "FLAG_REFUSED", JSON.stringify(flags));
  for (const [flag, { reason }] of REFUSED) {
    assert.ok(reason.length > 20 && !reason.endsWith("."), flag);
    assert.ok(findRefusal(flag, "x") !== undefined && findRefusal(flag, "") === undefined, flag);
  }
});

test("flags that contradict each other are refused", () => {
  const conflicts: Flags[] = [
    { network: ["host", "none"] },
    { network: ["container:a", "host"] },
    { network: ["container:a"], hostname: "h" },
    { network: ["container:a"], dns: ["1.1.1.1"] },
    { network: ["none"], publish: ["80"] },
    { network: ["none"], ip: "10.0.0.2" },
    { network: ["host"], "network-alias": ["a"] },
    { uts: "host", hostname: "h" },
    { uts: "host", domainname: "h" },
    { rootfs: "/", platform: "linux/amd64" },
  ];
  for (const flags of conflicts) assert.equal(codeOf(flags), "FLAG_CONFLICT", JSON.stringify(flags));
});

test("A-041 sysctls of namespaces that are shared are refused", () => {
  assert.equal(codeOf({ sysctl: ["net.ipv4.ip_forward=1"], network: ["host"] }), "FLAG_CONFLICT");
  assert.equal(codeOf({ sysctl: ["net.ipv4.ip_forward=1"] }), "none");
  assert.equal(codeOf({ sysctl: ["net.ipv4.ip_forward=1"], network: ["none"] }), "none");
  assert.equal(codeOf({ sysctl: ["kernel.sem=1"], ipc: "host" }), "FLAG_CONFLICT");
  assert.equal(codeOf({ sysctl: ["kernel.sem=1"], ipc: "container:x" }), "FLAG_CONFLICT");
  assert.equal(codeOf({ sysctl: ["kernel.sem=1"] }), "none");
});

test("numbers out of bounds are refused", () => {
  const bad: Flags[] = [{ "oom-score-adj": "-1" }, { "oom-score-adj": "1001" }, { "stop-timeout": "x" }, {
    "shm-size": "-1",
  }, { rm: "maybe" }];
  for (const flags of bad) assert.equal(codeOf(flags), "FLAG_INVALID", JSON.stringify(flags));
});

test("A-086 a request shares nothing with the one before", () => {
  const first = read({ env: ["A=b"], label: ["x"], volume: ["/a:/b"], network: ["none"] }).request;
  first.security.mask.push("/x");
  first.dns.servers.push("x");
  assert.deepEqual(read({}).request, newRunRequest("image"));
});

test("A-051 a message never holds a raw control character of the value", () => {
  for (const flag of [...DOCKER_FLAGS, ...OUR_FLAGS]) {
    for (const value of ["\x1b[2J\u202e\u009b", "a=\x1b", "/a:/b:\x1b", "type=\x1b,target=/x", "x=\x1b,y=1"]) {
      try {
        read({ [flag]: [value] });
      } catch (error) {
        assert.ok(error instanceof DugoutError, flag);
        assert.doesNotMatch(
          error.message + (error.hint ?? ""),
          /[\x00-\x1f\x7f-\x9f\u202e]/,
          `${flag} ${JSON.stringify(value)}`,
        );
      }
    }
  }
});

test("whatever the flags hold, a run is read or refused by its own error", () => {
  const random = seededRandom(2611).fraction;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const pieces = [
    "",
    "a",
    "ab",
    "/",
    "/a",
    ":",
    "=",
    ",",
    "-",
    "1",
    "0",
    "-1",
    "host",
    "none",
    "container:",
    "true",
    "\0",
    "\n",
    "é",
    "__proto__",
    "env",
    "SIGTERM",
    "ro",
    "1.2.3.4",
    "[::1]",
  ];
  const flags = [...DOCKER_FLAGS, ...OUR_FLAGS].filter((flag) => !REFUSED.has(flag));
  let fine = 0;
  for (let round = 0; round < 10_000; round++) {
    const given = new Map<string, boolean | string | string[]>();
    for (let count = Math.floor(random() * 4); count >= 0; count--) {
      const text = Array.from({ length: Math.floor(random() * 5) }, () => pick(pieces)).join("");
      given.set(pick(flags), random() < 0.1 ? true : random() < 0.5 ? text : [text]);
    }
    try {
      readRun(given, ["image"], CONTEXT);
      fine++;
    } catch (error) {
      assert.ok(error instanceof DugoutError, `${String(error)} ${JSON.stringify([...given])}`);
    }
  }
  assert.ok(fine > 100);
});
