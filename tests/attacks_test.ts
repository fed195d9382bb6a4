/**
 * Images and containers that mean harm, against the built binary: what of attacks.md concerns the set-up of a container, as
 * both kinds of user. Every sandbox has a canary beside its home, and the harness checks that nobody touched it. Archives,
 * layers and registries that mean harm are tested beside the code that reads them.
 */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, CACHE, DUGOUT, needs, type Result, type Sandbox, withTerminal } from "./harness.ts";
import { busyboxLayer, type Config, craftImage, type Entry } from "./support/craft_image.ts";

const skip = existsSync(join(CACHE, "tars")) ? false : "needs tests/setup";

/** Loads an image of busybox with these entries on top. */
async function load(box: Sandbox, name: string, entries: readonly Entry[], config: Config = {}): Promise<void> {
  const layers = entries.length > 0 ? [busyboxLayer(CACHE), entries] : [busyboxLayer(CACHE)];
  const path = { Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], ...config };
  await box.succeed(["load", "-q"], { input: craftImage(`localhost/${name}:latest`, layers, path) });
}

function run(box: Sandbox, name: string, line: string, flags: readonly string[] = []): Promise<Result> {
  return box.dugout(["run", "--rm", "--network", "none", ...flags, `localhost/${name}`, "sh", "-c", line], {
    timeoutMs: 20_000,
  });
}

async function output(box: Sandbox, name: string, line: string, flags: readonly string[] = []): Promise<string> {
  const { code, stdout, stderr } = await run(box, name, line, flags);
  assert.equal(code, 0, `${line}\nstdout: ${stdout}\nstderr: ${stderr}`);
  return stdout;
}

/** Refused by us, not by the program inside, with a message. */
function assertRefused({ code, stderr }: Result, what: RegExp = /./): void {
  assert.ok(code >= 125 && code <= 127, `exit code ${code}: ${stderr}`);
  assert.match(stderr, what);
  assert.doesNotMatch(stderr, /\n\s+at /, "a stack trace is no message");
}

asBoth(
  "A-012 no set-id file of an image is on the disk as the user's own, and others cannot look into the store",
  async (box) => {
    await load(box, "setid", [
      { name: "bin/suid", content: "#!/bin/sh\n", mode: 0o4755 },
      { name: "bin/sgid", content: "#!/bin/sh\n", mode: 0o2755 },
    ]);
    await output(box, "setid", "ls /bin/suid");
    if (box.user.kind === "one") {
      assert.equal((await box.run(["find", box.store, "-perm", "/6000", "-type", "f"])).stdout, "");
    }
    assert.equal((await box.run(["stat", "-c", "%a", box.store])).stdout, "700\n");
  },
  { skip },
);

asBoth("A-023 the program is never the engine's own: #!/proc/self/exe leads to nothing of the host", async (box) => {
  await load(box, "self", [{ name: "entry", content: "#!/proc/self/exe\n" }], { Entrypoint: ["/entry"] });
  const { code } = await box.dugout(["run", "--rm", "--network", "none", "localhost/self"], { timeoutMs: 20_000 });
  assert.notEqual(code, 0);
  const links = await output(
    box,
    "self",
    "for p in /proc/[0-9]*; do readlink $p/exe; done; cat /proc/*/maps | grep -c dugout; true",
    ["--entrypoint", ""],
  );
  assert.doesNotMatch(links, /dugout|bun|memfd:(?!.*player)/);
}, { skip });

asBoth(
  "A-024 a working directory that is a descriptor, and descriptors that the caller leaks, lead nowhere",
  async (box) => {
    await load(box, "cwd", []);
    for (
      const directory of [
        "/proc/self/fd/3",
        "/proc/self/fd/7",
        "/proc/self/fd/20",
        "/proc/self/cwd",
        "/proc/1/root/proc/self/fd/9",
      ]
    ) {
      const line = "pwd; ls -d ../../../../../../home/*/.local/share/dugout /var/cache/dugout-tests 2>/dev/null";
      const leaky = [
        "sh",
        "-c",
        'exec 20</ && exec "$@"',
        "sh",
        DUGOUT,
        "run",
        "--rm",
        "--network",
        "none",
        "-w",
        directory,
        "localhost/cwd",
        "sh",
        "-c",
        line,
      ];
      const { code, stdout } = await box.run(leaky, { timeoutMs: 20_000 });
      assert.doesNotMatch(stdout, /dugout/, directory);
      if (code < 125) assert.match(stdout, /^\//);
    }
    const fds = await box.run([
      "sh",
      "-c",
      'exec 20</ 21</etc/passwd && exec "$@"',
      "sh",
      DUGOUT,
      "run",
      "--rm",
      "--network",
      "none",
      "localhost/cwd",
      "ls",
      "/proc/self/fd",
    ]);
    assert.equal(fds.stdout.trim().split("\n").filter((fd) => Number(fd) > 3).length, 0, fds.stdout);
  },
  { skip },
);

asBoth(
  "A-025 a file that is standard input or output can be used no further than its descriptor allows",
  async (box) => {
    await load(box, "stdio", []);
    const data = join(box.home, "data");
    const log = join(box.home, "log");
    const lay = () => {
      writeFileSync(data, "input\n");
      writeFileSync(log, "before\n");
      for (const file of [data, log]) chmodSync(file, 0o666);
    };
    for (const fd of ["/proc/self/fd", "/proc/1/fd", "/dev/fd"]) {
      lay();
      // a pipe in the file's place may be written to and read from as any pipe: that is the container's own affair
      const attack =
        `(echo evil >${fd}/0) 2>/dev/null; (: >${fd}/1) 2>/dev/null; timeout 1 cat <${fd}/1 2>/dev/null; ` +
        "timeout 1 cat; echo done";
      const script = `"$0" run --rm -i --network none localhost/stdio sh -c "$1" <data >>log`;
      const { code, stderr } = await box.run(["sh", "-c", script, DUGOUT, attack], { timeoutMs: 20_000 });
      assert.equal(code, 0, stderr);
      assert.equal(readFileSync(data, "utf8"), "input\n", `${fd}: the input was written to`);
      assert.match(readFileSync(log, "utf8"), /^before\n(?:evil\n|input\n)*done\n$/, `${fd}: the log was cut or read`);
    }
  },
  { skip },
);

asBoth("A-026 nothing in a container types into the caller's shell", async (box) => {
  await load(box, "tty", []);
  await withTerminal(box, async (terminal) => {
    for (const flags of ["", "-i", "-it"]) {
      const attack = "(: </dev/tty) 2>/dev/null && echo has-tty; ps -o tty,pid | tail -n 1";
      await terminal.type(`${DUGOUT} run --rm ${flags} --network none localhost/tty sh -c '${attack}'; echo "end$?"`);
      const screen = await terminal.waitFor(/end\d+$/m);
      if (flags !== "-it") assert.doesNotMatch(screen, /^has-tty/m, "the caller's terminal is the controlling one");
      await terminal.type("clear");
      await terminal.waitFor(/^outer\$ *$/m);
    }
  });
}, { skip: skip || needs("tmux") });

asBoth("A-027 masks do not go through links that the image laid", async (box) => {
  for (const target of ["/proc/sys/kernel/hostname", "/etc/passwd", "../../../../../../etc/passwd"]) {
    await load(box, "null", [{ name: "dev/null", type: "symlink", link: target }, {
      name: "dev/zero",
      type: "symlink",
      link: target,
    }]);
    const line =
      "stat -c '%F %t:%T' /dev/null; for f in keys kcore timer_list sched_debug; do test ! -e /proc/$f || wc -c </proc/$f; done";
    const text = await output(box, "null", line);
    assert.match(text, /^character special file 1:3\n/);
    assert.doesNotMatch(text.split("\n").slice(1).join(""), /[1-9]/);
  }
}, { skip });

asBoth("A-028 the console and terminals are ours, whatever the image has in /dev", async (box) => {
  await load(box, "console", [
    { name: "dev/console", type: "symlink", link: "/proc/sysrq-trigger" },
    { name: "dev/ptmx", type: "symlink", link: "/etc/passwd" },
    { name: "dev/pts", type: "symlink", link: "/proc" },
  ]);
  const script =
    "script -qec \"$0 run --rm -t --network none localhost/console sh -c 'stat -L -c %F:%t /dev/console /dev/ptmx; tty'\" /dev/null";
  const { stdout, code } = await box.run(["sh", "-c", script, DUGOUT], { timeoutMs: 20_000 });
  assert.equal(code, 0, stdout);
  assert.match(stdout, /character special file:88/);
  assert.match(stdout, /\/dev\/(?:pts\/\d|console)/);
}, { skip: skip || needs("script") });

asBoth("A-029 a proc of the image's making is not written to in place of the kernel's", async (box) => {
  await load(box, "fakeproc", [
    { name: "proc/sys/kernel/shmmax", content: "fake\n" },
    { name: "proc/self/attr/exec", content: "fake\n" },
    { name: "proc/self/oom_score_adj", content: "fake\n" },
  ]);
  assert.equal(
    await output(box, "fakeproc", "cat /proc/sys/kernel/shmmax", ["--sysctl", "kernel.shmmax=4242"]),
    "4242\n",
  );
  const covered = await run(box, "fakeproc", "cat /proc/sys/kernel/shmmax", [
    "--sysctl",
    "kernel.shmmax=4242",
    "--tmpfs",
    "/proc/sys",
  ]);
  if (covered.code === 0) assert.notEqual(covered.stdout, "");
}, { skip });

asBoth("A-030 mount targets below links of the image stay inside its root", async (box) => {
  mkdirSync(join(box.home, "source"));
  writeFileSync(join(box.home, "source/f"), "mounted\n");
  chmodSync(join(box.home, "source"), 0o755);
  const links = [box.canary, "../../../../../../../../tmp", "/proc/self/root", "/proc/1/cwd", "/"];
  for (const link of links) {
    await load(box, "target", [{ name: "way", type: "symlink", link }]);
    const flags = ["-v", `${box.home}/source:/way/deep/er`, "--tmpfs", "/way/tmpfs", "-w", "/way/made"];
    const { code, stdout, stderr } = await run(box, "target", "cat /way/deep/er/f", flags);
    assert.ok(code === 0 ? stdout === "mounted\n" : stderr !== "", `${link}: ${code} ${stdout} ${stderr}`);
  }
}, { skip });

asBoth(
  "A-031 files that the engine writes do not go through links, and values cannot add lines to them",
  async (box) => {
    const images: Entry[][] = [
      [{ name: "etc", type: "symlink", link: box.canary }],
      [{ name: "etc/hosts", type: "symlink", link: `${box.canary}/file` }],
      [{ name: "etc/resolv.conf", type: "symlink", link: "../../../../../../canary/file" }, {
        name: "etc/hostname",
        type: "directory",
      }],
      [{ name: ".wh.etc" }],
      [{ name: ".wh.etc" }, { name: "etc", content: "a file\n" }],
      [{ name: "etc/passwd", type: "symlink", link: `${box.canary}/file` }, { name: "etc/group", type: "fifo" }],
    ];
    for (const [index, entries] of images.entries()) {
      await load(box, `etc${index}`, entries);
      const result = await run(box, `etc${index}`, "echo ran", ["--hostname", "boat", "--add-host", "a:10.0.0.1"]);
      if (result.code !== 0) assertRefused(result);
    }
    await load(box, "lines", []);
    const values = [
      ["--hostname", "a\nb"],
      ["--add-host", "x:1.1.1.1\n6.6.6.6 evil"],
      ["--dns-search", "a\nnameserver 6.6.6.6"],
      ["--dns", "1.1.1.1\nnameserver 6.6.6.6"],
      ["--domainname", "a\nb"],
    ];
    for (const flags of values) assertRefused(await run(box, "lines", "cat /etc/hosts /etc/resolv.conf", flags));
    const { stdout } = await run(box, "lines", "cat /etc/passwd", ["-e", "HOME=/\nroot2::0:0::/:/bin/sh"]);
    assert.doesNotMatch(stdout, /root2/);
  },
  { skip },
);

asBoth("A-032 volumes of the image are copied from inside its root, and only into an empty one", async (box) => {
  await load(box, "volume", [{ name: "l", type: "symlink", link: box.canary }, {
    name: "full/f",
    content: "image\n",
    mode: 0o644,
  }], {
    Volumes: { "/l/x": {}, "/l": {}, "/full": {}, "/proc/1/root": {} },
  });
  const result = await run(box, "volume", "cat /full/f; ls /l/ 2>/dev/null");
  if (result.code >= 125) assertRefused(result);
  else assert.doesNotMatch(result.stdout, /hardlink|setuid/);
}, { skip });

const USERS: [string, "root" | "refused"][] = [
  ["0", "root"],
  ["00", "root"],
  ["+1", "refused"],
  ["-1", "refused"],
  ["1e3", "refused"],
  ["0x0", "refused"],
  ["4294967295", "refused"],
  ["4294967296", "refused"],
  ["18446744073709551617", "refused"],
  ["\uff10", "refused"],
  ["0:4294967296", "refused"],
  ["0:-1", "refused"],
];

asBoth("A-033 a number out of range is no user, and digits are never looked up as a name", async (box) => {
  const passwd = USERS.map(([name]) => `${name}:x:0:0::/:/bin/sh`).join("\n");
  await load(box, "users", [{ name: "etc/passwd", content: `root:x:0:0::/:/bin/sh\n${passwd}\n`, mode: 0o644 }]);
  for (const [user, outcome] of USERS) {
    const result = await run(box, "users", "id -u", ["-u", user]);
    // names that the image's own passwd maps to 0 are names, whatever they look like; digits alone are not
    if (outcome === "root" || (result.code === 0 && !/^\d+(?::|$)/.test(user))) {
      assert.equal(result.stdout, "0\n", user);
    } else assertRefused(result);
  }
}, { skip });

asBoth("A-035 inheritable and ambient sets are empty, and another user has no capabilities", async (box) => {
  await load(box, "caps", []);
  for (const flags of [[], ["--cap-add", "all"], ["--cap-drop", "all"], ["--privileged"]]) {
    const text = await output(box, "caps", "grep -E '^Cap(Inh|Amb)' /proc/self/status", flags);
    assert.equal(text, "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n", flags.join(" "));
  }
  if (box.user.kind === "sub") {
    assert.match(await output(box, "caps", "grep ^CapEff /proc/self/status", ["-u", "1000"]), /CapEff:\t0{16}/);
  }
}, { skip });

asBoth("A-036 200,000 variables, an argument of 100 kB and 300 mounts work or are refused in words", async (box) => {
  await load(box, "long", []);
  writeFileSync(join(box.path, "env"), Array.from({ length: 200_000 }, (_, index) => `V${index}=x`).join("\n"));
  chmodSync(join(box.path, "env"), 0o644);
  const many = await run(box, "long", "env | wc -l", ["--env-file", join(box.path, "env")]);
  if (many.code >= 125) assertRefused(many);
  else assert.ok(Number(many.stdout) >= 200_000 || many.code !== 0, many.stdout);
  assert.equal(await output(box, "long", `echo ${"x".repeat(100_000)} | wc -c`), "100001\n");
  const mounts = Array.from({ length: 300 }, (_, index) => ["--tmpfs", `/m/${index}`]).flat();
  assert.equal(await output(box, "long", "grep -c ' /m/' /proc/mounts", mounts), "300\n");
}, { skip });

asBoth("A-037 the caller's keyrings are out of reach, with and without the filter", async (box) => {
  await load(box, "keys", []);
  for (const flags of [[], ["--security-opt", "seccomp=unconfined"]]) {
    const text = await output(box, "keys", "test -e /proc/keys && cat /proc/keys | wc -c || echo 0", flags);
    assert.equal(text.trim(), "0");
  }
}, { skip });

asBoth(
  "A-039 what /proc and /sys tell of the machine is masked, and what they let one change is read-only",
  async (box) => {
    await load(box, "proc", []);
    const masked = [
      "acpi",
      "asound",
      "kcore",
      "keys",
      "latency_stats",
      "sched_debug",
      "scsi",
      "timer_list",
      "timer_stats",
    ];
    const line = `for f in ${
      masked.join(" ")
    }; do if test -d /proc/$f; then ls -A /proc/$f; elif test -e /proc/$f; then head -c 1 /proc/$f; fi; done; ls -A /sys/firmware 2>/dev/null`;
    assert.equal(await output(box, "proc", line), "");
    for (const name of ["bus", "fs", "irq", "sys", "sysrq-trigger"]) {
      const text = await output(
        box,
        "proc",
        `if test -e /proc/${name}; then (touch /proc/${name} 2>&1 || true); else echo Read-only; fi`,
      );
      assert.match(text, /Read-only/, name);
    }
  },
  { skip },
);

asBoth("A-041 only sysctls of the container's own namespaces are set, one each", async (box) => {
  await load(box, "sysctl", []);
  for (
    const value of [
      "kernel.core_pattern=x",
      "net/../kernel/core_pattern=x",
      "vm.swappiness=1",
      "kernel.shmmax=1+kernel.core_pattern=|/x",
      "kernel.msgmax=1\n2",
      "a=b=c",
      "=x",
    ]
  ) {
    assertRefused(await run(box, "sysctl", "true", ["--sysctl", value]));
  }
  assertRefused(
    await box.dugout([
      "run",
      "--rm",
      "--network",
      "host",
      "--sysctl",
      "net.ipv4.ip_forward=1",
      "localhost/sysctl",
      "true",
    ]),
    /net/,
  );
  assertRefused(await run(box, "sysctl", "true", ["--ipc", "host", "--sysctl", "kernel.shmmax=1"]), /ipc|shmmax/);
}, { skip });

asBoth(
  "A-042 variables of an image reach its program and nothing of ours; the caller's reach nothing inside",
  async (box) => {
    const mark = "/tmp/mark-of-an-image";
    await load(box, "env", [{ name: "lib/evil.so", content: "not a library" }], {
      Env: [
        "LD_PRELOAD=/lib/evil.so",
        "LD_LIBRARY_PATH=/lib",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        "BUN_OPTIONS=--preload=/x",
        "BUN_BE_BUN=1",
        "NODE_OPTIONS=--require=/x",
        "DOCKER_HOST=tcp://127.0.0.1:1",
        "HTTP_PROXY=http://127.0.0.1:1",
        `XDG_RUNTIME_DIR=${mark}`,
        `TMPDIR=${mark}`,
      ],
    });
    const argv = [
      "run",
      "--rm",
      "--network",
      "none",
      "--pid",
      "host",
      "localhost/env",
      "sh",
      "-c",
      "echo ran; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep SECRET; true",
    ];
    const { code, stdout, stderr } = await box.dugout(argv, { env: { SECRET: "marker" }, timeoutMs: 20_000 });
    assert.equal(code, 0, stderr);
    assert.equal(stdout, "ran\n");
    // the caller's own: for who sets our environment these are allowed to work, but not to reach children of ours
    const child = await box.dugout(["run", "--rm", "--network", "none", "localhost/env", "env"], {
      env: { SECRET: "marker" },
    });
    assert.doesNotMatch(child.stdout, /SECRET/);
    assert.match(child.stdout, /^BUN_BE_BUN=1$/m);
  },
  { skip },
);

asBoth(
  "A-043 a container on the host's network and processes reaches no abstract socket and signals nobody",
  async (box) => {
    await load(box, "scope", []);
    const server =
      "import socket,sys,time\ns=socket.socket(socket.AF_UNIX)\ns.bind('\\0dugout-test-'+sys.argv[1])\ns.listen()\nprint('up',flush=True)\ntime.sleep(15)";
    const client =
      "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect('\\0dugout-test-'+sys.argv[1])\nprint('connected')";
    const name = box.path.slice("/tmp/".length);
    const script = `python3 -c "$S" ${name} >up & pid=$!; until grep -q up up 2>/dev/null; do sleep 0.05; done
    "$0" run --rm --network host --pid host --rootfs /:O sh -c 'kill -0 '$pid' 2>/dev/null && echo signalled; exec /usr/bin/python3 -c "$C" ${name}' 2>/dev/null
    python3 -c "$C" ${name}; kill $pid; wait $pid 2>/dev/null; true`.replace("run --rm", 'run --rm -e C="$C"');
    const { stdout, stderr } = await box.run(["sh", "-c", script, DUGOUT], {
      env: { S: server, C: client },
      timeoutMs: 30_000,
    });
    // the last line is the same attempt from outside, which shows that the server was there
    assert.equal(stdout, "connected\n", stderr);
  },
  { skip: skip || (existsSync("/usr/bin/python3") ? false : "needs python3") },
);

asBoth("A-044 labels of an image change nothing of what is done", async (box) => {
  await load(box, "plain", []);
  const labels = [
    "dugout.privileged",
    "dugout.network",
    "io.containers.capabilities",
    "io.podman.annotations.userns",
    "com.docker.compose.project",
    "run",
    "RUN",
    "INSTALL",
  ];
  await load(box, "labelled", [], {
    Labels: Object.fromEntries([...labels, "__proto__", "constructor"].map((name) => [name, "true"])),
  });
  const explain = async (name: string) =>
    (await box.succeed(["run", "--explain", "--network", "none", "--hostname", "h", `localhost/${name}`, "true"]))
      .stdout;
  const normal = (text: string) => text.replaceAll(/[0-9a-f]{12,64}/g, "ID").replaceAll("labelled", "plain");
  assert.equal(normal(await explain("labelled")), normal(await explain("plain")));
}, { skip });

asBoth("A-051 control characters of an image or a flag are escaped wherever we show them", async (box) => {
  const evil = "\x1b]0;title\x07\x1b[2J\b\r\x9b31m\u202eevil";
  await load(box, "control", [], { Cmd: ["sh", "-c", evil], Labels: { [evil]: evil }, Env: [`X=${evil}`] });
  const commands = [
    ["images"],
    ["images", "--no-trunc"],
    ["history", "localhost/control"],
    ["inspect", "localhost/control"],
    ["run", "--explain", "--network", "none", "localhost/control"],
    ["run", "--rm", "--network", "none", "localhost/control", evil],
    ["run", "--rm", `--${evil}`, "x"],
    ["pull", evil],
    ["inspect", evil],
    [evil],
  ];
  for (const argv of commands) {
    const { stdout, stderr } = await box.dugout(argv);
    const text = stdout + stderr;
    assert.doesNotMatch(
      text,
      /[\0-\x08\x0b-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]/,
      JSON.stringify([argv.slice(0, 2), text]),
    );
  }
}, { skip });

asBoth("A-087 keys that JavaScript knows are labels and variables like any other", async (box) => {
  const keys = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"];
  const labels = `{${keys.map((key) => `"${key}":"value"`).join(",")}}`;
  await load(box, "keys2", [], { Labels: JSON.parse(labels), Env: keys.map((key) => `${key}=value`) });
  const env = await output(box, "keys2", "env", ["-e", "__proto__=given", "-e", "valueOf=given"]);
  for (const key of keys.slice(1)) assert.match(env, new RegExp(`^${key}=value$`, "m"));
  assert.match(env, /^__proto__=given$/m);
  const { stdout } = await box.succeed(["inspect", "localhost/keys2"]);
  for (const key of keys) assert.match(stdout, new RegExp(`"${key}": ?"value"`), key);
}, { skip });

const SQUATS: [string, (path: string, box: Sandbox) => void][] = [
  ["another's directory", (path) => mkdirSync(path, { mode: 0o777 })],
  ["a link", (path, box) => symlinkSync(box.canary, path)],
  ["a file", (path) => writeFileSync(path, "x")],
];

for (const [what, squat] of SQUATS) {
  asBoth(
    `A-088 a runtime directory in /tmp that is ${what} is refused with the reason, and left alone`,
    async (box) => {
      const place = join("/tmp", `dugout-${box.user.uid}`);
      if (existsSync(place)) return;
      squat(place, box);
      try {
        const result = await box.run(["env", "-u", "XDG_RUNTIME_DIR", DUGOUT, "run", "--rm", "hello"], {
          env: { XDG_RUNTIME_DIR: "" },
        });
        // where /run/user/UID is the user's, that is used, whatever the environment says (design)
        if (result.code !== 0) assertRefused(result, new RegExp(place));
        assert.ok(existsSync(place) || what === "a link");
      } finally {
        rmSync(place, { recursive: true, force: true });
      }
    },
    { skip: skip || (process.getuid?.() === 0 ? false : "needs root") },
  );
}
