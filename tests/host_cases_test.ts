/** Hosts, homes, limits and mounts that broke other engines (cases.md, sections 6, 7, 11), as both kinds of user. */
import assert from "node:assert/strict";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needs, needsRegistry, REGISTRY, type Result, runCommand, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const asRoot = skip || (process.getuid?.() === 0 ? false : "needs root");
const IMAGE = `${REGISTRY}/busybox`;

function sh(box: Sandbox, line: string, flags: readonly string[] = []): Promise<Result> {
  return box.dugout(["run", "--rm", "-q", "--network", "none", ...flags, IMAGE, "sh", "-c", line], {
    timeoutMs: 30_000,
  });
}

async function output(box: Sandbox, line: string, flags: readonly string[] = []): Promise<string> {
  const { code, stdout, stderr } = await sh(box, line, flags);
  assert.equal(code, 0, `${flags.join(" ")} ${line}\nstdout: ${stdout}\nstderr: ${stderr}`);
  return stdout;
}

asBoth(
  "C-066 what runs detached lives on when its session hangs up and the runtime directory goes, and is managed by the next login",
  async (box) => {
    await box.succeed(["pull", "-q", IMAGE]);
    const runtime = join(box.home, "session");
    const line = `"$0" --run ${runtime} run -d -q --network none --name cc ${IMAGE} sh -c "echo up; exec sleep 600"`;
    // a session of its own with a terminal, whose leader ends at once: the kernel hangs up what is left in it
    const login = await box.run([
      "script",
      "-qec",
      `sh -c '${line.replace('"$0"', DUGOUT)}; kill -HUP $$'`,
      "/dev/null",
    ]);
    assert.match(login.stdout, /[0-9a-f]{64}/);
    rmSync(runtime, { recursive: true, force: true });
    const next = (...words: string[]) => box.succeed(["--run", runtime, ...words]);
    assert.equal((await next("ps", "--format", "{{.Names}} {{.State}}")).stdout, "cc running\n");
    assert.equal((await next("logs", "cc")).stdout, "up\n");
    assert.equal((await next("exec", "cc", "echo", "in")).stdout, "in\n");
    assert.equal((await next("stop", "-t", "0", "cc")).stdout, "cc\n");
    assert.equal((await next("ps", "-a", "--format", "{{.State}}")).stdout, "exited\n");
    await next("rm", "cc");
  },
  { skip: skip || needs("script") },
);

asBoth(
  "C-056 C-057 an XDG_RUNTIME_DIR that is missing, gone, or somebody else's changes nothing but for a warning",
  async (box) => {
    await output(box, "true");
    const argv = ["run", "--rm", "-q", "--network", "none", IMAGE, "echo", "ran"];
    mkdirSync(join(box.path, "other"), { mode: 0o700 });
    for (
      const [value, warns] of [["", false], ["/no/such/directory", true], [join(box.path, "other"), true], [
        "relative",
        true,
      ]] as const
    ) {
      const { code, stdout, stderr } = await box.dugout(argv, { env: { XDG_RUNTIME_DIR: value } });
      assert.deepEqual([code, stdout], [0, "ran\n"], `${value}: ${stderr}`);
      assert.equal(stderr.includes("XDG_RUNTIME_DIR"), warns, `${value}: ${stderr}`);
      assert.ok(stderr.trim().split("\n").length <= 1, stderr);
    }
    const bare = await box.run(["env", "-i", `HOME=${box.home}`, DUGOUT, ...argv]);
    assert.deepEqual([bare.code, bare.stdout, bare.stderr], [0, "ran\n", ""]);
  },
  { skip: asRoot },
);

asBoth("C-057 without a home in the environment the account's is used; commands with and without meet", async (box) => {
  const { code, stderr } = await box.run([
    "env",
    "-i",
    DUGOUT,
    "--root",
    join(box.home, "own"),
    "run",
    "--rm",
    "-q",
    "--network",
    "none",
    IMAGE,
    "true",
  ]);
  assert.equal(code, 0, stderr);
  const line = `"$0" run --rm -q --network none --name c57 ${IMAGE} sleep 30 & pid=$!
    until env -i HOME="$HOME" "$0" ps 2>&1 | grep -q c57; do sleep 0.1; kill -0 $pid || exit 1; done; echo seen; kill $pid; wait $pid; true`;
  const met = await box.run([
    "sh",
    "-c",
    line.replace("sleep 30", "sh -c 'trap exit TERM; while :; do sleep 0.1; done'"),
    DUGOUT,
  ], { timeoutMs: 20_000 });
  assert.equal(met.stdout, "seen\n", met.stderr);
}, { skip });

asBoth("C-060 a runtime directory and a store of 200 bytes work", async (box) => {
  const long = join(box.home, "d".repeat(100), "e".repeat(100));
  mkdirSync(long, { recursive: true });
  for (const path of [join(box.home, "d".repeat(100)), long]) chownSync(path, box.user.uid, box.user.gid);
  const { code, stdout, stderr } = await box.dugout(
    [
      "--run",
      join(long, "run"),
      "--root",
      join(long, "root"),
      "run",
      "--rm",
      "-q",
      "--network",
      "none",
      IMAGE,
      "echo",
      "ran",
    ],
  );
  assert.deepEqual([code, stdout], [0, "ran\n"], stderr);
}, { skip: asRoot });

asBoth(
  "C-061 a strict or an open umask of the caller's changes no mode inside, and opens nothing outside",
  async (box) => {
    const line =
      "umask; stat -c '%a %n' / /etc /etc/passwd /bin /etc/hosts /etc/resolv.conf /w /dev/shm /run; touch /f; stat -c %a /f; : </etc/hosts && echo read";
    const texts = new Set<string>();
    for (const mask of ["077", "022", "000"]) {
      const user = box.user.kind === "sub" ? "-u 1000" : "";
      const script =
        `umask ${mask}; "$0" --root "$HOME/store-${mask}" run --rm -q --network none -w /w ${IMAGE} sh -c "$1" &&
      "$0" --root "$HOME/store-${mask}" run --rm -q --network none ${user} ${IMAGE} sh -c 'cat /etc/hosts >/dev/null && cd / && ls >/dev/null && echo may'`;
      const { code, stdout, stderr } = await box.run(["sh", "-c", script, DUGOUT, line]);
      assert.equal(code, 0, stderr);
      texts.add(stdout);
      assert.equal((await box.run(["stat", "-c", "%a", `store-${mask}`])).stdout, "700\n");
    }
    assert.equal(texts.size, 1, [...texts].join("\n---\n"));
    assert.match([...texts][0]!, /^0022\n755 \/\n/);
    assert.match([...texts][0]!, /may\n$/);
  },
  { skip },
);

asBoth("C-062 a directory of a group of the caller's can be used as root of the container", async (box) => {
  const shared = join(box.path, "project");
  const group = 54_321;
  mkdirSync(shared);
  writeFileSync(join(shared, "file"), "shared\n");
  for (const path of [shared, join(shared, "file")]) chownSync(path, 0, group);
  chmodSync(join(shared, "file"), 0o640);
  chmodSync(shared, 0o2770);
  const words = box.prefix().map((word) => word === "--init-groups" ? `--groups=${group}` : word);
  const start = (...flags: string[]) =>
    runCommand([
      ...words,
      DUGOUT,
      "run",
      "--rm",
      "-q",
      "--network",
      "none",
      "-v",
      `${shared}:/p`,
      ...flags,
      IMAGE,
      "sh",
      "-c",
      "cat /p/file && touch /p/new && echo made",
    ], {
      env: box.environment,
      cwd: box.home,
    });
  for (const flags of [[], ["--group-add", "keep-groups"]]) {
    const { code, stdout, stderr } = await start(...flags);
    assert.deepEqual([code, stdout], [0, "shared\nmade\n"], stderr);
  }
}, { skip: asRoot });

asBoth("C-065 limits that the caller has are kept, one that is asked for above them is an error", async (box) => {
  await output(box, "true");
  const script = (flags: string, line: string) =>
    box.run([
      "sh",
      "-c",
      `ulimit -Sn 100; ulimit -Hn 200; ulimit -Hc 0; exec "$0" run --rm -q --network none ${flags} ${IMAGE} sh -c '${line}'`,
      DUGOUT,
    ]);
  const plain = await script("", "ulimit -Hn; ulimit -c");
  assert.deepEqual([plain.code, plain.stdout], [0, "200\n0\n"], plain.stderr);
  const lower = await script("--ulimit nofile=50:150", "ulimit -n; ulimit -Hn");
  assert.equal(lower.stdout, "50\n150\n", lower.stderr);
  const higher = await script("--ulimit nofile=300:300", "true");
  assert.equal(higher.code, 125);
  assert.match(higher.stderr, /RLIMIT_NOFILE[^]*hard limit/);
}, { skip });

asBoth("C-132 a read-only bind of something with locked flags keeps them", async (box) => {
  // a tmpfs that root mounted, with every flag that a user namespace may not clear
  const place = join(box.path, "locked");
  mkdirSync(place);
  const mount = await runCommand(["mount", "-t", "tmpfs", "-o", "noexec,nosuid,nodev,mode=1777", "tmpfs", place]);
  assert.equal(mount.code, 0, mount.stderr);
  try {
    mkdirSync(join(place, "sub"));
    writeFileSync(join(place, "sub/f"), "#!/bin/sh\necho ran\n", { mode: 0o755 });
    for (const flag of ["ro", "rw", "ro,rslave", "ro,z"]) {
      for (const source of [place, join(place, "sub"), join(place, "sub/f")]) {
        const { code, stdout, stderr } = await sh(box, "grep ' /m ' /proc/self/mountinfo | cut -d' ' -f6", [
          "-v",
          `${source}:/m:${flag}`,
        ]);
        assert.equal(code, 0, `${source} ${flag}: ${stderr}`);
        for (const word of [flag.slice(0, 2), "nosuid", "nodev", "noexec"]) {
          assert.match(stdout, new RegExp(`\\b${word}\\b`), `${source} ${flag}`);
        }
      }
    }
    // and all that is mounted below it is read-only too
    mkdirSync(join(place, "below"));
    const below = await runCommand(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", join(place, "below")]);
    assert.equal(below.code, 0, below.stderr);
    assert.equal(
      await output(box, "touch /m/x 2>/dev/null || echo refused; touch /m/below/x 2>/dev/null || echo refused", [
        "-v",
        `${place}:/m:ro`,
      ]),
      "refused\nrefused\n",
    );
  } finally {
    await runCommand(["umount", "-R", place]);
  }
}, { skip: asRoot });

asBoth("C-133 /dev/shm is a tmpfs of just the size that was asked for", async (box) => {
  const line =
    "df -k /dev/shm | awk 'NR > 1 { print $1, $2 }'; stat -f -c %T /dev/shm; stat -c %a /dev/shm; echo x >/dev/shm/f && cat /dev/shm/f";
  assert.equal(await output(box, line), "shm 65536\ntmpfs\n1777\nx\n");
  assert.equal(await output(box, line, ["--shm-size", "1g"]), "shm 1048576\ntmpfs\n1777\nx\n");
}, { skip });

asBoth("C-134 --read-only makes the root read-only and nothing else", async (box) => {
  const line = `for d in / /tmp /var /root /etc /run /dev /dev/shm /v /t; do
    if touch $d/x 2>/dev/null; then echo $d writable; else echo $d closed; fi; done; cat /etc/hosts >/dev/null && echo hosts`;
  mkdirSync(join(box.home, "v"));
  chownSync(join(box.home, "v"), box.user.uid, box.user.gid);
  const text = await output(box, line, ["--read-only", "-v", `${box.home}/v:/v`, "--tmpfs", "/t"]);
  const expected = ["/", "/tmp", "/var", "/root", "/etc", "/run"].map((path) => `${path} closed`);
  const open = ["/dev", "/dev/shm", "/v", "/t"].map((path) => `${path} writable`);
  assert.deepEqual(text.trim().split("\n"), [...expected, ...open, "hosts"]);
}, { skip: asRoot });

asBoth("C-127 --tmpfs takes Docker's options; its size is enforced", async (box) => {
  assert.match(
    await output(
      box,
      "grep ' /run ' /proc/self/mounts; stat -c %a /run; dd if=/dev/zero of=/run/f bs=1k count=20 2>&1 | tail -n 1; stat -c %s /run/f",
      ["--tmpfs", "/run:noexec,size=8k,mode=700"],
    ),
    /^tmpfs \/run tmpfs rw,nosuid,nodev,noexec,[^\n]*size=8k,mode=700[^]*700\n[^]*\n8192\n$/,
  );
  const flags = (text: string) => output(box, "grep ' /t ' /proc/self/mounts | cut -d' ' -f4", ["--tmpfs", text]);
  assert.match(await flags("/t"), /^rw,nosuid,nodev,noexec,/);
  assert.match(await flags("/t:noexec"), /noexec/);
  assert.doesNotMatch(await flags("/t:exec"), /noexec/);
  assert.match(await flags("/t:ro"), /^ro,/);
  assert.equal(await output(box, "cp /bin/busybox /t/echo && /t/echo ran", ["--tmpfs", "/t:exec"]), "ran\n");
}, { skip });

asBoth("C-138 with the host's network /etc/hosts is the host's, and what is added stands after it", async (box) => {
  const { code, stdout, stderr } = await box.dugout([
    "run",
    "--rm",
    "-q",
    "--network",
    "host",
    "--add-host",
    "pier:10.0.0.3",
    IMAGE,
    "cat",
    "/etc/hosts",
  ]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, `${readFileSync("/etc/hosts", "utf8").replace(/\n*$/, "\n")}10.0.0.3\tpier\n`);
}, { skip });

asBoth(
  "A-034 the first process has its groups and no others; where the kernel forbids that, a file closed to a group stays closed",
  async (box) => {
    const group = 54_322;
    const file = join(box.path, "closed");
    writeFileSync(file, "secret\n");
    chownSync(file, 0, group);
    chmodSync(file, 0o604);
    await output(box, "true");
    const words = box.prefix().map((word) => word === "--init-groups" ? `--groups=${group}` : word);
    const user = box.user.kind === "sub" ? ["-u", "1000"] : [];
    const { stdout, stderr } = await runCommand(
      [
        ...words,
        DUGOUT,
        "run",
        "--rm",
        "-q",
        "--network",
        "none",
        "-v",
        `${file}:/closed`,
        ...user,
        IMAGE,
        "sh",
        "-c",
        "id -G; cat /closed 2>/dev/null || echo closed",
      ],
      { env: box.environment, cwd: box.home },
    );
    // with subordinate ids another user has left the group, and is one of the others then
    if (box.user.kind === "sub") assert.match(stdout, /^1000( 1001)?\nsecret\n$/, stderr);
    else assert.match(stdout, /^0 65534\nclosed\n$/, stderr);
  },
  { skip: asRoot },
);

asBoth("A-040 the cgroup tree is read-only, and no label or option leads out of it", async (box) => {
  const line =
    "for f in cgroup.procs memory.max; do if test -e /sys/fs/cgroup/$f; then (echo 1 >/sys/fs/cgroup/$f) 2>/dev/null && echo wrote; fi; done; mkdir /sys/fs/cgroup/x 2>/dev/null && echo made; mount -t cgroup -o memory none /mnt 2>/dev/null && echo v1; mount -t cgroup2 none /mnt 2>/dev/null && echo v2; grep -c ' /sys/fs/cgroup.* rw,' /proc/self/mounts";
  for (const flags of [[], ["--cgroupns", "private"], ["--cgroupns", "host"]]) {
    const { code, stdout, stderr } = await sh(box, `${line}; true`, flags);
    if (code === 125) assert.notEqual(stderr, "");
    else assert.equal(stdout, "0\n", flags.join(" "));
  }
  for (const parent of ["/../..", "../x", "-.slice", "/"]) {
    const { code } = await sh(box, "true", ["--cgroup-parent", parent]);
    assert.equal(code, 125, parent);
  }
}, { skip });

asBoth("A-088 what a container is given in /tmp is made closed, whatever lies there", async (box) => {
  const place = `/tmp/dugout-${box.user.uid}`;
  if (existsSync(place)) return;
  const own = join(box.path, "squat");
  const squats: [string, () => void][] = [
    ["a fifo", () => void symlinkSync("/nowhere", place)],
    ["a directory open to others", () => {
      mkdirSync(place);
      chownSync(place, box.user.uid, box.user.gid);
      chmodSync(place, 0o755);
    }],
  ];
  for (const [what, squat] of squats) {
    squat();
    try {
      const { code, stderr } = await box.dugout([
        "--run",
        place,
        "--root",
        own.replace("squat", "home/own"),
        "run",
        "--rm",
        "hello",
      ]);
      assert.equal(code, 125, what);
      assert.match(stderr, new RegExp(place));
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  }
}, { skip: asRoot });

asBoth("A-090 mounts of a container, many and long, are not seen outside", async (box) => {
  const before = readFileSync("/proc/self/mountinfo", "utf8").split("\n").length;
  const deep = `/${Array.from({ length: 15 }, (_, index) => String(index).padEnd(240, "x")).join("/")}`;
  const flags = [...Array.from({ length: 100 }, (_, index) => ["--tmpfs", `/m/${index}`]).flat(), "--tmpfs", deep];
  const text = await output(box, "grep -c ' /m/' /proc/self/mounts; sleep 0.2", flags);
  assert.equal(text, "100\n");
  const after = readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter((line) => line.includes(box.path));
  assert.deepEqual(after, []);
  assert.ok(readFileSync("/proc/self/mountinfo", "utf8").split("\n").length <= before + 20);
}, { skip });

asBoth("A-101 a full /dev/shm, a full tmpfs and many processes stay the container's own affair", async (box) => {
  await output(box, "true");
  const line =
    "dd if=/dev/zero of=/dev/shm/f bs=64k 2>/dev/null; dd if=/dev/zero of=/t/f bs=64k 2>/dev/null; echo full; i=0; while [ $i -lt 200 ]; do sleep 60 & i=$((i+1)); done 2>/dev/null; echo up; wait";
  const script =
    `"$0" run --rm -q --network none --pidfile pid --shm-size 2m --tmpfs /t:size=1m ${IMAGE} sh -c '${line}' >out & pid=$!
    until grep -q up out; do sleep 0.05; kill -0 $pid || exit 1; done
    "$0" run --rm -q --network none ${IMAGE} echo another answers; kill -KILL $(cat pid); wait $pid; echo $?`;
  const { stdout, stderr } = await box.run(["sh", "-c", script, DUGOUT], { timeoutMs: 30_000 });
  assert.equal(stdout, "another answers\n137\n", stderr);
}, { skip });

asBoth("A-102 a container that holds all inotify instances does not keep the next one from starting", async (box) => {
  await output(box, "true");
  // all that this user may have; the next start needs none
  const program =
    "import ctypes,sys\nlibc=ctypes.CDLL(None)\nn=0\nwhile libc.inotify_init()>=0: n+=1\nprint('held',flush=True)\nsys.stdin.read()";
  const script =
    `mkfifo hold; python3 -c "$P" <hold >held & pid=$!; exec 3>hold; until grep -q held held 2>/dev/null; do sleep 0.05; done
    "$0" run --rm -q --network none ${IMAGE} echo started; "$0" run --rm -q -t --network none ${IMAGE} echo terminal; exec 3>&-; wait $pid; true`;
  const { stdout, stderr } = await box.run(["sh", "-c", script, DUGOUT], { env: { P: program }, timeoutMs: 30_000 });
  assert.equal(stdout.replaceAll("\r", ""), "started\nterminal\n", stderr);
}, { skip: skip || (existsSync("/usr/bin/python3") ? false : "needs python3") });

asBoth(
  "A-101 two containers that share what they fill can be removed while it is full, and another one runs",
  async (box) => {
    const debian = `${REGISTRY}/debian`;
    await box.succeed(["pull", "-q", debian]);
    // System V segments until the kernel has no more (kernel.shmmni of the namespace), and a full /dev/shm
    const perl = "$n++ while defined shmget(0, 4096, 0600 | 512); $| = 1; print qq(full $n\\n); sleep 1000";
    const fill = `dd if=/dev/zero of=/dev/shm/f bs=64k 2>/dev/null; exec perl -e '${perl}'`;
    const common = ["-d", "--network", "none"];
    await box.succeed([
      "run",
      ...common,
      "--name",
      "first",
      "--ipc",
      "shareable",
      "--shm-size",
      "1m",
      debian,
      "sh",
      "-c",
      fill,
    ]);
    await box.succeed(["run", ...common, "--name", "second", "--ipc", "container:first", debian, "sh", "-c", fill]);
    const follow =
      `for c in first second; do until "$0" logs $c | grep -q full; do sleep 0.1; done; done; "$0" logs first`;
    const { stdout } = await box.run(["sh", "-c", follow, DUGOUT], { timeoutMs: 60_000 });
    assert.match(stdout, /^full [1-9]\d\d+$/m);
    assert.equal(await output(box, "echo another runs; ls /dev/shm"), "another runs\n");
    await box.succeed(["stop", "-t", "1", "first"], { timeoutMs: 30_000 });
    await box.succeed(["rm", "-f", "first", "second"]);
    assert.equal((await box.succeed(["ps", "-aq"])).stdout, "");
  },
  { skip },
);

asBoth(
  "A-102 where inotify instances and pipes are used up, logs, events, stop and a new start work all the same",
  async (box) => {
    await output(box, "true");
    await box.succeed([
      "run",
      "-d",
      "--name",
      "one",
      "--network",
      "none",
      IMAGE,
      "sh",
      "-c",
      "echo said; exec sleep 1000",
    ]);
    // what a container of this user's could do as well: these are counted for the user (inotify(7), pipe(7))
    const program = `import ctypes,fcntl,os,resource,sys
libc=ctypes.CDLL(None)
resource.setrlimit(resource.RLIMIT_NOFILE,(resource.getrlimit(resource.RLIMIT_NOFILE)[1],)*2)
held=[]
while libc.inotify_init()>=0: pass
try:
  while True:
    held.append(os.pipe()); fcntl.fcntl(held[-1][0],1031,1<<20)
except OSError: pass
print('held',flush=True)
sys.stdin.read()`;
    const script =
      `mkfifo hold; python3 -c "$P" <hold >held & pid=$!; exec 3>hold; until grep -q held held 2>/dev/null; do sleep 0.05; done
    "$0" logs one; ("$0" logs -f one >followed; echo end >>followed) & follower=$!
    until grep -q said followed; do sleep 0.05; done
    "$0" run -d --name two --network none ${IMAGE} true >/dev/null; "$0" wait two
    "$0" stop -t 0 one; wait $follower; cat followed
    "$0" events --since 5m --stream=false --format '{{.Action}}' --filter event=start | wc -l
    exec 3>&-; wait $pid; true`;
    const { stdout, stderr } = await box.run(["sh", "-c", script, DUGOUT], { env: { P: program }, timeoutMs: 60_000 });
    assert.equal(stdout, "said\n0\none\nsaid\nend\n3\n", stderr);
    await box.succeed(["rm", "one", "two"]);
  },
  { skip: skip || (existsSync("/usr/bin/python3") ? false : "needs python3") },
);

asBoth("C-023 a working directory below a bind is made there, and one in /tmp is not the host's", async (box) => {
  mkdirSync(join(box.home, "work"));
  if (process.getuid?.() === 0) chownSync(join(box.home, "work"), box.user.uid, box.user.gid);
  const bind = ["-v", `${box.home}/work:/w`, "-w", "/w/not/there"];
  assert.equal(await output(box, "pwd; touch here", bind), "/w/not/there\n");
  assert.ok(existsSync(join(box.home, "work/not/there/here")));
  const name = `dugout-c023-${process.pid}`;
  assert.equal(await output(box, "pwd", ["-w", `/tmp/${name}/exist`]), `/tmp/${name}/exist\n`);
  assert.equal(existsSync(`/tmp/${name}`), false);
}, { skip });

asBoth(
  "in a batch job a container ends with the command that runs it, and none is started in the background",
  async (box) => {
    await output(box, "true");
    const script = `export SLURM_JOB_ID=17
    "$DUGOUT" run --rm -q --network none --pidfile pid ${IMAGE} sh -c 'echo up; exec sleep 1000' >out & cli=$!
    until grep -q up out; do sleep 0.05; done
    kill -KILL $cli; wait $cli
    while grep -qs '^State:.[^ZX]' /proc/$(cat pid)/status; do sleep 0.05; done; echo ended
    "$DUGOUT" run -d -q --network none --name kept ${IMAGE} sleep 1000 2>refused; echo $?; cat refused; "$DUGOUT" ps -aq | wc -l`;
    const { stdout, stderr } = await box.run(["sh", "-c", script], { env: { DUGOUT }, timeoutMs: 30_000 });
    assert.match(stdout, /^ended\n125\ndugout: Cannot start a container in the background in job 17[^]*\n0\n$/, stderr);
  },
  { skip },
);

asBoth(
  "C-063 a directory service's getsubids is asked where the files have nothing; what cannot be mapped is said",
  async (box) => {
    const bin = join(box.path, "bin");
    mkdirSync(bin);
    writeFileSync(
      join(bin, "getsubids"),
      `#!/bin/sh\necho asked >>${box.home}/asked; echo "0: ${box.user.name} 700000 65536"\n`,
      { mode: 0o755 },
    );
    const env = { PATH: `${bin}:/usr/bin:/bin` };
    const { code, stdout, stderr } = await box.dugout([
      "--run",
      join(box.home, "r"),
      "run",
      "--rm",
      "-q",
      "--network",
      "none",
      IMAGE,
      "id",
      "-u",
    ], { env });
    assert.deepEqual([code, stdout], [0, "0\n"], stderr);
    assert.match(readFileSync(join(box.home, "asked"), "utf8"), /asked/);
    const info = await box.dugout(["--run", join(box.home, "r"), "info"], { env });
    assert.match(info.stdout, /subordinate ids are there, but mapping them failed|newuidmap/);
  },
  { skip, only: "one" },
);

asBoth(
  "C-068 a store that is mounted noexec is refused with the reason; a noexec /tmp changes nothing",
  async (box) => {
    const place = join(box.path, "noexec");
    mkdirSync(place);
    const mount = await runCommand(["mount", "-t", "tmpfs", "-o", "noexec,mode=1777,size=64m", "tmpfs", place]);
    assert.equal(mount.code, 0, mount.stderr);
    try {
      const argv = ["run", "--rm", "-q", "--network", "none", IMAGE, "echo", "ran"];
      const refused = await box.dugout(["--root", join(place, "root"), ...argv]);
      assert.equal(refused.code, 125);
      assert.match(refused.stderr, /noexec[^]*--root/);
      const run = await box.dugout(["--run", join(place, "run"), ...argv], { env: { TMPDIR: place } });
      assert.deepEqual([run.code, run.stdout], [0, "ran\n"], run.stderr);
    } finally {
      // a holder may be there still, which has the runtime directory open
      await runCommand(["umount", "-l", place]);
    }
  },
  { skip: asRoot },
);

asBoth(
  "C-069 it runs in a container of its own: what is masked is bound, and the store is copied where it must be",
  async (box) => {
    const image = `${REGISTRY}/debian`;
    const nested = (...flags: string[]) =>
      box.dugout([
        ...[
          "run",
          "--rm",
          "-q",
          "--network",
          "none",
          ...flags,
          "-v",
          `${DUGOUT}:/dugout:ro`,
          "-e",
          "HOME=/root",
          image,
        ],
        ...[
          "sh",
          "-c",
          "/dugout run --rm --network none hello && /dugout run --rm --network none hello >/dev/null && echo twice",
        ],
      ], { timeoutMs: 60_000 });
    const { code, stdout, stderr } = await nested("--security-opt", "seccomp=unconfined");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /hello[^]*twice\n$/i);
    const filtered = await nested();
    assert.equal(filtered.code, 125);
    assert.match(filtered.stderr, /make user namespace[^]*seccomp/);
  },
  { skip },
);

asBoth(
  "C-071 C-077 a container that is killed from elsewhere ends with 137; stop sends the signal that is asked for, SIGTERM by default",
  async (box) => {
    await output(box, "true");
    const line = `"$0" run --name c77 -q --network none $FLAGS ${IMAGE} sh -c "$INNER" >out 2>&1 & pid=$!
      until grep -q up out && "$0" ps --format '{{.Names}}' | grep -q c77; do sleep 0.05; kill -0 $pid || exit 1; done
      "$0" $ACT c77 >/dev/null; wait $pid; echo $?; grep got out
      "$0" inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}}' c77; "$0" rm c77 >/dev/null`;
    const start = async (FLAGS: string, signal: string, ACT: string) => {
      const INNER = `trap "echo got ${signal}; exit 4" ${signal}; echo up; while :; do sleep 0.05; done`;
      return await box.run(["sh", "-c", line, DUGOUT], { env: { FLAGS, INNER, ACT }, timeoutMs: 30_000 });
    };
    for (
      const [flags, signal, act, expected] of [
        ["", "TERM", "kill", "137\n137 false\n"],
        ["", "TERM", "stop", "4\ngot TERM\n4 false\n"],
        ["--stop-signal USR1", "USR1", "stop", "4\ngot USR1\n4 false\n"],
        ["", "USR1", "stop -t 0", "137\n137 false\n"],
      ] as const
    ) {
      const { stdout, stderr } = await start(flags, signal, act);
      assert.equal(stdout, expected, `${act} ${flags}: ${stderr}`);
    }
  },
  { skip },
);
