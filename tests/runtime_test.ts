/** The OCI runtime's command line, by itself: as people, podman and batch systems call it. */
import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT } from "./harness.ts";
import { BUSYBOX, changeConfig, makeBundle } from "./support/bundle.ts";

const skip = BUSYBOX === undefined && "needs busybox";

/** A program that tells of itself when it is asked to end. */
const SERVER = ["sh", "-c", "trap 'echo term; exit 7' TERM; echo hi; while :; do sleep 0.05; done"];

asBoth("run gives the program's output and exit code, and leaves no state", async (box) => {
  const bundle = await makeBundle(
    box,
    "b",
    (config) => (config.process.args = ["sh", "-c", "id -u; echo err >&2; exit 9"]),
  );
  const { code, stdout, stderr } = await box.dugout(["runtime", "run", "--bundle", bundle, "one"]);
  assert.deepEqual([code, stdout, stderr], [9, "0\n", "err\n"]);
  assert.equal((await box.succeed(["runtime", "list", "-q"])).stdout, "");
  changeConfig(bundle, (config) => (config.process.args = ["sh", "-c", "kill -KILL $$"]));
  // process 1 is safe from its own signals: the shell ends by itself
  changeConfig(
    bundle,
    (config) => (config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== "pid")),
  );
  changeConfig(bundle, (config) => {
    config.mounts = config.mounts.filter(({ type }) => type !== "proc");
    config.linux["maskedPaths"] = [];
    config.linux["readonlyPaths"] = [];
  });
  assert.equal((await box.dugout(["runtime", "run", "--bundle", bundle, "one"])).code, 137);
}, { skip });

asBoth("a container is created, started, signalled and deleted, and its state follows", async (box) => {
  const bundle = await makeBundle(box, "b", (config) => {
    config.process.args = SERVER;
    config.annotations = { "org.example": "yes" };
  });
  const runtime = (...args: string[]) => box.dugout(["runtime", ...args]);
  const status = async () => JSON.parse((await box.succeed(["runtime", "state", "web"])).stdout);
  const pidFile = join(box.home, "pid");
  const output = join(box.home, "output");
  const create = `exec "$0" runtime create --bundle "$1" --pid-file "$2" web >"$3" 2>&1 </dev/null`;
  assert.equal((await box.run(["/bin/sh", "-c", create, DUGOUT, bundle, pidFile, output])).code, 0);
  const created = await status();
  assert.equal(created.status, "created");
  assert.equal(created.pid, Number(readFileSync(pidFile, "utf8")));
  assert.deepEqual([created.id, created.bundle, created.owner], ["web", bundle, box.user.name]);
  assert.deepEqual(created.annotations, { "org.example": "yes" });
  assert.equal(readFileSync(output, "utf8"), "");
  const again = await runtime("create", "--bundle", bundle, "web");
  assert.deepEqual([again.code, /container with given ID already exists/.test(again.stderr)], [1, true]);

  assert.equal((await runtime("start", "web")).code, 0);
  assert.equal((await status()).status, "running");
  assert.match((await runtime("start", "web")).stderr, /cannot start an already running container/);
  const running = await runtime("delete", "web");
  assert.deepEqual([running.code, /that is not stopped: running/.test(running.stderr)], [1, true]);
  const exec = await runtime("exec", "-e", "A=b", "--cwd", "/tmp", "web", "sh", "-c", "pwd; echo $A; exit 4");
  assert.deepEqual([exec.code, exec.stdout], [4, "/tmp\nb\n"]);
  const missing = await runtime("exec", "web", "nope");
  assert.equal(missing.code, 255);
  assert.match(missing.stderr, /exec failed: .*executable file not found in \$PATH/);
  assert.ok(JSON.parse((await runtime("ps", "-f", "json", "web")).stdout).includes(created.pid));
  assert.match((await runtime("list")).stdout, /^ID +PID +STATUS +BUNDLE +CREATED +OWNER\nweb +[0-9]+ +running /);

  while (!readFileSync(output, "utf8").includes("hi")) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal((await runtime("kill", "web")).code, 0);
  while ((await status()).status !== "stopped") await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal((await status()).pid, 0);
  assert.equal(readFileSync(output, "utf8"), "hi\nterm\n");
  assert.match((await runtime("kill", "web", "KILL")).stderr, /container not running/);
  assert.equal((await runtime("delete", "web")).code, 0);
  const gone = await runtime("state", "web");
  assert.deepEqual([gone.code, gone.stdout], [1, ""]);
  assert.match(gone.stderr, /^time="[^"]+" level=error msg="container does not exist"\n$/);
}, { skip });

asBoth("what was only created is deleted with its process, and force takes what runs", async (box) => {
  const bundle = await makeBundle(box, "b", (config) => (config.process.args = ["sleep", "600"]));
  const quiet = async (command: string, id: string) => {
    const words = `exec "$0" runtime ${command} --bundle "$1" ${id} >/dev/null 2>&1 </dev/null`;
    return (await box.run(["/bin/sh", "-c", words, DUGOUT, bundle])).code;
  };
  assert.equal(await quiet("create", "made"), 0);
  assert.equal(await quiet("run --detach", "runs"), 0);
  assert.equal((await box.succeed(["runtime", "list", "-q"])).stdout, "made\nruns\n");
  await box.succeed(["runtime", "delete", "made"]);
  await box.succeed(["runtime", "delete", "--force", "runs"]);
  await box.succeed(["runtime", "delete", "--force", "never"]);
  assert.equal((await box.dugout(["runtime", "delete", "never"])).code, 1);
  assert.equal((await box.succeed(["runtime", "list", "--format", "json"])).stdout, "null\n");
}, { skip });

asBoth("C-081 a create that is killed leaves no process, and its name to the next one", async (box) => {
  const bundle = await makeBundle(box, "b", (config) => {
    config.process.args = ["sleep", "600"];
    // killed while the container is set up: the hook waits
    config.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "kill -KILL $PPID; sleep 0.2"] }] };
  });
  const killed = await box.dugout(["runtime", "create", "--bundle", bundle, "half"]);
  assert.equal(killed.code, 137);
  const { status } = JSON.parse((await box.succeed(["runtime", "state", "half"])).stdout);
  assert.ok(status === "stopped" || status === "creating", status);
  await box.succeed(["runtime", "delete", "--force", "half"]);
  changeConfig(bundle, (config) => (config.process.args = ["true"]));
  changeConfig(bundle, (config) => delete config.hooks);
  await box.succeed(["runtime", "run", "--bundle", bundle, "half"]);
}, { skip });

asBoth("hooks run in their order and their places, with the state on stdin", async (box) => {
  const log = join(box.home, "hooks");
  const hook = (name: string) => [{
    path: "/bin/sh",
    args: ["sh", "-c", `echo "${name} $(cat)" >> ${log}`],
    env: ["PATH=/usr/bin:/bin"],
  }];
  const bundle = await makeBundle(box, "b", (config) => {
    config.process.args = ["cat", "/tmp/hook"];
    config.root["readonly"] = false;
    config.hooks = {
      prestart: hook("prestart"),
      createRuntime: hook("createRuntime"),
      createContainer: hook("createContainer"),
      // the container's own file system
      startContainer: [{ path: "/bin/sh", args: ["sh", "-c", "cat > /tmp/hook"] }],
      poststart: hook("poststart"),
      poststop: hook("poststop"),
    };
  });
  const { stdout } = await box.succeed(["runtime", "run", "--bundle", bundle, "hooked"]);
  const seen = readFileSync(log, "utf8").trim().split("\n").map((line) => {
    const at = line.indexOf(" ");
    const { id, status, pid, bundle: told } = JSON.parse(line.slice(at + 1));
    assert.deepEqual([id, told], ["hooked", bundle]);
    return [line.slice(0, at), status, pid === undefined ? "none" : pid === 1 ? "inner" : "outer"];
  });
  assert.deepEqual(seen, [
    ["prestart", "creating", "outer"],
    ["createRuntime", "creating", "outer"],
    ["createContainer", "creating", "inner"],
    ["poststart", "running", "outer"],
    ["poststop", "stopped", "none"],
  ]);
  assert.deepEqual([JSON.parse(stdout).status, JSON.parse(stdout).pid], ["created", 1]);
}, { skip });

asBoth("a hook that fails or takes too long ends the container, and says which", async (box) => {
  const bundle = await makeBundle(box, "b", (config) => (config.process.args = ["echo", "ran"]));
  for (
    const [kind, hook, words] of [
      [
        "createRuntime",
        { path: "/bin/sh", args: ["sh", "-c", "echo why >&2; exit 3"] },
        /createRuntime hook #0.*exit status 3.*why/,
      ],
      ["createRuntime", { path: "/bin/sleep", args: ["sleep", "60"], timeout: 1 }, /timed out after 1 s/],
      ["createContainer", { path: "/bin/false" }, /hook to create the container.*ended with a failure/],
      ["createContainer", { path: "/bin/sleep", args: ["sleep", "60"], timeout: 1 }, /longer than 1 s/],
      ["startContainer", { path: "/nothing" }, /nothing/],
    ] as const
  ) {
    changeConfig(bundle, (config) => (config.hooks = { [kind]: [hook] }));
    const { code, stdout, stderr } = await box.dugout(["runtime", "run", "--bundle", bundle, "failing"]);
    assert.deepEqual([code, stdout], [1, ""], stderr);
    assert.match(stderr, words);
    assert.equal((await box.dugout(["runtime", "state", "failing"])).code, 1);
  }
}, { skip });

asBoth("what config.json says of a process holds", async (box) => {
  const script = [
    "umask; pwd; echo $A; cat /proc/self/oom_score_adj; ulimit -n; cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
    "grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp):' /proc/self/status; cat /proc/self/personality",
    "hostname 2>/dev/null || cat /proc/sys/kernel/hostname",
  ].join("; ");
  const bundle = await makeBundle(box, "b", (config) => {
    Object.assign(config.process, {
      args: ["sh", "-c", script],
      cwd: "/tmp",
      oomScoreAdj: 321,
      rlimits: [{ type: "RLIMIT_NOFILE", soft: 77, hard: 88 }],
      user: { uid: 0, gid: 0, umask: 0o27 },
      noNewPrivileges: true,
      capabilities: {
        bounding: ["CAP_KILL", "CAP_CHOWN"],
        permitted: ["CAP_KILL"],
        effective: ["CAP_KILL"],
        inheritable: ["CAP_KILL"],
        ambient: ["CAP_KILL"],
      },
    });
    config.process.env.push("A=first", "A=last");
    config["hostname"] = "named";
    config.linux.namespaces.push({ type: "network" });
    Object.assign(config.linux, {
      sysctl: { "net.ipv4.ip_unprivileged_port_start": "79" },
      personality: { domain: "LINUX32" },
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["sync"], action: "SCMP_ACT_ERRNO", errnoRet: 5 }],
      },
    });
  });
  const { stdout } = await box.succeed(["runtime", "run", "--bundle", bundle, "box"]);
  assert.deepEqual(stdout.split("\n").map((line) => line.replace(/\t+/, "")), [
    "0027",
    "/tmp",
    "last",
    "321",
    "77",
    "79",
    "CapInh:0000000000000020",
    // root would be given all of the bounding set, but for no_new_privs
    "CapPrm:0000000000000020",
    "CapEff:0000000000000020",
    "CapBnd:0000000000000021",
    "CapAmb:0000000000000020",
    "NoNewPrivs:1",
    "Seccomp:2",
    "00000008",
    "named",
    "",
  ]);
}, { skip });

asBoth(
  "A-007 A-098 a config.json that is none, or asks for what cannot be had, is refused before anything is made",
  async (box) => {
    const bundle = await makeBundle(box, "b", (config) => (config.process.args = ["true"]));
    const good = readFileSync(join(bundle, "config.json"), "utf8");
    const refuse = async (words: RegExp) => {
      const { code, stderr } = await box.dugout(["runtime", "run", "--bundle", bundle, "bad"]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, words);
      assert.equal((await box.succeed(["runtime", "list", "-q"])).stdout, "");
    };
    for (
      const [text, words] of [
        ["{", /not valid JSON/],
        ['{"ociVersion":"1.0.2","ociVersion":"1.0.2"}', /occurs twice/],
        ["[".repeat(1000), /nested more than 100 deep/],
        [`{"ociVersion":"1.0.2","x":"${"y".repeat(9 << 20)}"}`, /more than/],
        ['{"ociVersion":"2.0.0"}', /ociVersion/],
      ] as const
    ) {
      writeFileSync(join(bundle, "config.json"), text);
      await refuse(words);
    }
    for (
      const [change, words] of [
        [{ process: { args: [] } }, /args must not be empty/],
        [{ process: { args: ["a\u0000b"] } }, /NUL/],
        [{ process: { apparmorProfile: "docker-default" } }, /AppArmor/],
        [{ process: { selinuxLabel: "x:y" } }, /SELinux/],
        [{ process: { user: { uid: 4294967295, gid: 0 } } }, /uid/],
        [{ linux: { intelRdt: {} } }, /RDT/],
        [{ linux: { sysctl: { "kernel.panic": "1" } } }, /not in a separate kernel namespace/],
        [{ linux: { resources: { memory: { limit: 67108864 } } } }, /cannot limit memory|controller|delegated/],
        [{ linux: { resources: { memory: { swappiness: 10 } } } }, /swappiness/],
        [{ linux: { seccomp: { defaultAction: "SCMP_ACT_NOTIFY" } } }, /nobody would answer/],
        [{ linux: { namespaces: [{ type: "user" }, { type: "pid" }] } }, /mount namespace of its own/],
        [{ linux: { devices: [{ type: "c", path: "/dev/mem2", major: 1, minor: 1 }] } }, /same path/],
        [{ root: { path: "nothing" } }, /does not exist/],
        [{ mounts: [{ destination: "/x", type: "bind", source: "/does/not/exist" }] }, /does not exist/],
      ] as const
    ) {
      const config = JSON.parse(good);
      for (const [key, value] of Object.entries(change)) {
        config[key] = Array.isArray(value) ? value : { ...config[key], ...value };
      }
      writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
      await refuse(words);
    }
  },
  { skip },
);

asBoth("messages are runc's in form: text or JSON, to stderr or to a file", async (box) => {
  const log = join(box.home, "log");
  const { code, stderr } = await box.dugout(["runtime", "--log", log, "--log-format", "json", "state", "nobody"]);
  assert.deepEqual([code, stderr], [1, "container does not exist\n"]);
  const { level, msg, time } = JSON.parse(readFileSync(log, "utf8"));
  assert.deepEqual([level, msg], ["error", "container does not exist"]);
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  for (
    const [args, expected, words] of [
      [["--log-format", "xml", "list"], 1, /invalid log-format: xml/],
      [["frob"], 3, /No help topic for 'frob'/],
      [["run"], 1, /\\"run\\" requires exactly 1 argument\(s\)/],
      [["create", "--nope", "x"], 1, /flag provided but not defined: -nope/],
      [["run", "../x"], 1, /run failed: .*config\.json not found/],
      [["state", "../x"], 1, /invalid container ID format/],
      [["list", "--format", "xml"], 1, /invalid format option/],
      [["run", "-bundle", "/nothing", "x"], 1, /run failed: chdir \/nothing: no such file or directory/],
      [["exec", "nobody", "ls"], 255, /exec failed: container does not exist/],
    ] as const
  ) {
    const result = await box.dugout(["runtime", ...args]);
    assert.deepEqual([result.code, words.test(result.stderr)], [expected, true], result.stderr);
  }
  assert.equal(JSON.parse((await box.succeed(["runtime", "features"])).stdout).ociVersionMax, "1.2.0");
  assert.match(
    (await box.succeed(["runtime", "--version"])).stdout,
    /^dugout runtime version [0-9.]+\nspec: 1\.2\.0\n$/,
  );
}, { skip });

asBoth("--preserve-fds keeps descriptors at their numbers, and tells of those that are not there", async (box) => {
  const bundle = await makeBundle(box, "b", (config) => {
    config.process.args = ["sh", "-c", "echo three >&3; echo four >&4; ls /proc/self/fd"];
  });
  const words = `exec "$0" runtime run --preserve-fds 2 --bundle "$1" fds 3>"$2.3" 4>"$2.4" 7</dev/null`;
  const { code, stdout } = await box.run(["/bin/sh", "-c", words, DUGOUT, bundle, join(box.home, "out")]);
  assert.equal(code, 0);
  assert.equal(readFileSync(join(box.home, "out.3"), "utf8"), "three\n");
  assert.equal(readFileSync(join(box.home, "out.4"), "utf8"), "four\n");
  // ls opens one more to read the directory
  assert.deepEqual(stdout.trim().split("\n"), ["0", "1", "2", "3", "4", "5"]);
  const none = await box.dugout(["runtime", "run", "--preserve-fds", "2", "--bundle", bundle, "fds"]);
  assert.deepEqual([none.code, /preserved-fd 1 \(of 2\) is present/.test(none.stderr)], [1, true]);
}, { skip });

asBoth("A-095 a pid file or log that is a link is not followed", async (box) => {
  const bundle = await makeBundle(box, "b", (config) => (config.process.args = ["true"]));
  const target = join(box.home, "target");
  writeFileSync(target, "untouched");
  chmodSync(target, 0o666);
  await box.run(["/bin/ln", "-s", target, join(box.home, "link")]);
  await box.succeed(["runtime", "run", "--pid-file", join(box.home, "link"), "--bundle", bundle, "linked"]);
  await box.run(["/bin/ln", "-sf", target, join(box.home, "log")]);
  assert.equal((await box.dugout(["runtime", "--log", join(box.home, "log"), "list"])).code, 1);
  assert.equal(readFileSync(target, "utf8"), "untouched");
}, { skip });

asBoth("a program of the name dugout-runtime is the runtime", async (box) => {
  const copy = join(box.home, "dugout-runtime");
  await box.run(["/bin/cp", DUGOUT, copy]);
  const { code, stdout } = await box.run([copy, "--version"]);
  assert.deepEqual([code, /^dugout-runtime version /.test(stdout)], [0, true]);
  assert.equal((await box.run([copy, "list", "-q"])).stdout, "");
}, { skip });
