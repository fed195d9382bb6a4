/** `dugout run` from outside: what a person sees. Which calls are made for it is tested beside the code. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needsRegistry, REGISTRY, type Result, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

/** Runs a shell line in busybox, with nothing of the network. */
function sh(box: Sandbox, line: string, flags: string[] = [], input?: string): Promise<Result> {
  const options = input === undefined ? {} : { input };
  return box.dugout(["run", "--rm", "-q", "--network", "none", ...flags, IMAGE, "sh", "-c", line], options);
}

async function output(box: Sandbox, line: string, flags: string[] = [], input?: string): Promise<string> {
  const { code, stdout, stderr } = await sh(box, line, flags, input);
  assert.equal(code, 0, `${line}\nstdout: ${stdout}\nstderr: ${stderr}`);
  return stdout;
}

asBoth("a group that a single id cannot have is refused, and nothing else", async (box) => {
  const run = (group: string) =>
    box.dugout(["run", "--rm", "-q", "--network", "none", "--group-add", group, IMAGE, "true"]);
  const { code, stderr } = await run("50");
  assert.equal(code, 125);
  assert.match(stderr, /Cannot use --group-add "50": the container has one id alone/);
  for (const group of ["0", "keep-groups"]) assert.equal((await run(group)).code, 0);
}, { skip, only: "one" });

asBoth("the image in the binary greets without a network", async (box) => {
  const { stdout } = await box.succeed(["run", "hello"]);
  assert.match(stdout, /hello/i);
  assert.doesNotMatch(stdout, /[\0-\x08\x0e-\x1f]/);
});

asBoth("an image is pulled and run, and the second run pulls nothing", async (box) => {
  const first = await box.dugout(["run", "--rm", "--network", "none", IMAGE, "cat", "/etc/hostname"]);
  assert.equal(first.code, 0, first.stderr);
  assert.equal(first.stdout, `${first.stdout.trim()}\n`);
  const second = await box.succeed(["run", "--rm", "--network", "none", "--pull", "never", IMAGE, "echo", "again"]);
  assert.equal(second.stdout, "again\n");
  assert.equal(second.stderr, "");
}, { skip });

asBoth("exit codes are the container's own, 128 and the signal, or tell what could not be done", async (box) => {
  for (const code of [0, 1, 7, 125, 255]) assert.equal((await sh(box, `exit ${code}`)).code, code);
  assert.equal((await sh(box, "(sh -c 'kill -9 $$'); exit $?")).code, 137);
  assert.equal(
    (await sh(box, "kill -TERM $$; sleep 1; exit 3")).code,
    3,
    "process 1 ignores what it has no handler for",
  );
  const missing = await box.dugout(["run", "--rm", "--network", "none", IMAGE, "no-such-program"]);
  assert.equal(missing.code, 127);
  assert.match(missing.stderr, /no-such-program/);
  const directory = await box.dugout(["run", "--rm", "--network", "none", IMAGE, "/etc"]);
  assert.equal(directory.code, 126, directory.stderr);
  const notAProgram = await box.dugout(["run", "--rm", "--network", "none", IMAGE, "/etc/passwd"]);
  assert.equal(notAProgram.code, 126, notAProgram.stderr);
  assert.equal((await box.dugout(["run", "--no-such-flag", IMAGE])).code, 125);
  assert.equal((await box.dugout(["run", "--pull", "never", "--network", "none", `${REGISTRY}/nowhere`])).code, 125);
}, { skip });

asBoth("standard input reaches the container with -i, byte for byte, and ends", async (box) => {
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 256));
  const { code, stdoutBytes } = await box.dugout(["run", "--rm", "-q", "-i", "--network", "none", IMAGE, "cat"], {
    input: bytes,
  });
  assert.equal(code, 0);
  assert.ok(Buffer.from(stdoutBytes).equals(bytes));
  assert.equal(await output(box, "cat | wc -c", [], "not for it"), "0\n");
}, { skip });

asBoth("standard output and error stay apart, in full", async (box) => {
  const { stdout, stderr } = await sh(
    box,
    "i=0; while [ $i -lt 20000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done",
  );
  const [out, err] = [stdout.trim().split("\n"), stderr.trim().split("\n")];
  assert.deepEqual([out.length, err.length, out.at(-1), err.at(-1)], [20_000, 20_000, "out 19999", "err 19999"]);
}, { skip });

asBoth("the environment is the image's and what was asked for, and nothing of the caller's", async (box) => {
  writeFileSync(join(box.path, "env"), "# comment\nFROM_FILE=a=b\nFROM_CALLER\n");
  chmodSync(join(box.path, "env"), 0o644);
  const flags = ["-e", "GIVEN=x y", "-e", "FROM_CALLER", "--env-file", join(box.path, "env")];
  const { stdout } = await box.dugout(["run", "--rm", "-q", "--network", "none", ...flags, IMAGE, "env"], {
    env: { FROM_CALLER: "yes", SECRET: "marker" },
  });
  const lines = stdout.trim().split("\n");
  for (const wanted of ["GIVEN=x y", "FROM_FILE=a=b", "FROM_CALLER=yes"]) assert.ok(lines.includes(wanted), stdout);
  assert.ok(lines.some((line) => /^HOSTNAME=[0-9a-f]{12}$/.test(line)), stdout);
  assert.doesNotMatch(stdout, /SECRET|XDG_RUNTIME_DIR|LOGNAME/);
}, { skip });

asBoth("names and hosts are what was asked for", async (box) => {
  const flags = [
    "--hostname",
    "boat",
    "--add-host",
    "pier:10.1.2.3",
    "--dns",
    "192.0.2.53",
    "--dns-search",
    "example.org",
  ];
  const text = await output(box, "hostname; cat /etc/hosts /etc/resolv.conf", flags);
  assert.match(text, /^boat\n/);
  assert.match(text, /10\.1\.2\.3\s+pier/);
  assert.match(text, /nameserver 192\.0\.2\.53/);
  assert.match(text, /search example\.org/);
}, { skip });

asBoth("user, group and working directory are what was asked for", async (box) => {
  const ids = "echo $(id -u):$(id -g) $(pwd)";
  assert.equal(await output(box, ids), "0:0 /\n");
  assert.equal(await output(box, ids, ["-w", "/made/for/it"]), "0:0 /made/for/it\n");
  if (box.user.kind === "sub") {
    assert.equal(await output(box, ids, ["-u", "user"]), "1000:1000 /\n");
    assert.equal(await output(box, ids, ["-u", "1000:1001"]), "1000:1001 /\n");
    assert.equal(
      await output(box, "id -G | tr ' ' '\\n' | sort -n | uniq", ["-u", "user", "--group-add", "2000"]),
      "1000\n1001\n2000\n",
    );
  }
  const unknown = await sh(box, "true", ["-u", "nobody-of-that-name"]);
  assert.equal(unknown.code, 125);
  assert.match(unknown.stderr, /nobody-of-that-name/);
}, { skip });

asBoth("a file that a container removes or adds is there or gone in it alone", async (box) => {
  assert.equal(
    await output(box, "rm /bin/vi && echo mine >/root/new && ls /root && test ! -e /bin/vi && echo gone"),
    "new\ngone\n",
  );
  assert.equal(await output(box, "ls /bin/vi; ls /root | wc -l"), "/bin/vi\n0\n");
  assert.equal(
    await output(box, "mv /home /house && mkdir /home && touch /home/a && ls / | grep ^ho && ls /home"),
    "home\nhouse\na\n",
  );
}, { skip });

asBoth("a directory of the caller's is mounted with -v and --mount, read-only where asked", async (box) => {
  const source = join(box.home, "shared");
  mkdirSync(source);
  chmodSync(source, 0o777);
  writeFileSync(join(source, "in"), "in\n");
  const line = "cat /a/in; echo out >/a/out; touch /b/x 2>/dev/null || echo refused; cat /b/out";
  const flags = ["-v", `${source}:/a`, "--mount", `type=bind,source=${source},target=/b,readonly`];
  assert.equal(await output(box, line, flags), "in\nrefused\nout\n");
  assert.equal(readFileSync(join(source, "out"), "utf8"), "out\n");
  // the container's root is the caller: files are the caller's own
  assert.equal((await box.run(["stat", "-c", "%u", join(source, "out")])).stdout, `${box.user.uid}\n`);
  const missing = await sh(box, "true", ["--mount", `type=bind,source=${source}/nowhere,target=/a`]);
  assert.equal(missing.code, 125);
  assert.match(missing.stderr, /nowhere/);
  assert.equal(existsSync(join(source, "nowhere")), false);
}, { skip });

asBoth("a named volume is made at its first use and keeps what was written", async (box) => {
  await output(box, "echo kept >/data/f", ["-v", "store:/data"]);
  assert.equal(await output(box, "cat /data/f", ["-v", "store:/data:ro"]), "kept\n");
}, { skip });

asBoth("--tmpfs, --shm-size and --read-only hold", async (box) => {
  const line =
    "touch /x 2>/dev/null || echo refused; touch /run/ok && echo ok; df -k /run /dev/shm | awk 'NR > 1 { print $2 }'";
  const flags = ["--read-only", "--tmpfs", "/run:size=1m", "--shm-size", "2m"];
  assert.equal(await output(box, line, flags), "refused\nok\n1024\n2048\n");
}, { skip });

asBoth("every restriction that was asked for is in force", async (box) => {
  const status = await output(box, "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status");
  assert.match(status, /CapInh:\t0000000000000000/);
  assert.match(status, /CapAmb:\t0000000000000000/);
  assert.match(status, /CapEff:\t00000000a80425fb/, "Docker's default set");
  assert.match(status, /Seccomp:\t2/);
  const dropped = await output(box, "grep -E '^(Cap(Eff|Bnd)|NoNewPrivs)' /proc/self/status", [
    "--cap-drop",
    "all",
    "--security-opt",
    "no-new-privileges",
  ]);
  assert.match(dropped, /CapEff:\t0{16}\nCapBnd:\t0{16}\nNoNewPrivs:\t1/);
  const added = await output(box, "grep CapEff /proc/self/status", ["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"]);
  assert.match(added, /CapEff:\t0000000000001000/);
  assert.equal(await output(box, "ulimit -n; ulimit -Hn", ["--ulimit", "nofile=100:200"]), "100\n200\n");
  assert.equal(await output(box, "cat /proc/sys/kernel/shmmax", ["--sysctl", "kernel.shmmax=1234567"]), "1234567\n");
  const refused = await sh(box, "true", ["--sysctl", "kernel.core_pattern=x"]);
  assert.equal(refused.code, 125);
  assert.match(refused.stderr, /core_pattern/);
}, { skip });

asBoth("namespaces are the container's own", async (box) => {
  const names = ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup"];
  const line = `cd /proc/self/ns && for n in ${names.join(" ")}; do readlink $n; done`;
  const inside = (await output(box, line)).trim().split("\n");
  const outside = (await box.run(["sh", "-c", line])).stdout.trim().split("\n");
  for (const [index, name] of names.entries()) assert.notEqual(inside[index], outside[index], name);
  const shared = await output(box, line, ["--ipc", "host", "--uts", "host"]);
  assert.deepEqual([3, 4].map((index) => shared.split("\n")[index]), [3, 4].map((index) => outside[index]));
  assert.equal(await output(box, "ps -o pid,comm | tail -n +2 | sort -n | head -n 1"), "    1 sh\n");
}, { skip });

asBoth(
  "the default network is one of the user's own; where no tap can be opened the host's, with one line",
  async (box) => {
    const { code, stdout, stderr } = await box.dugout(["run", "--rm", "-q", IMAGE, "readlink", "/proc/self/ns/net"]);
    assert.equal(code, 0, stderr);
    const hasTaps = (await box.run(["test", "-w", "/dev/net/tun"])).code === 0;
    const hosts = (await box.run(["readlink", "/proc/self/ns/net"])).stdout;
    if (hasTaps) {
      assert.notEqual(stdout, hosts);
      assert.equal(stderr, "");
    } else {
      assert.equal(stdout, hosts);
      assert.match(stderr, /^dugout: warning: [^\n]*\/dev\/net\/tun[^\n]*\n$/);
    }
    const asked = await box.dugout(["run", "--rm", "-q", "--network", "host", IMAGE, "true"]);
    assert.equal(asked.stderr, "");
  },
  { skip },
);

asBoth("this machine's own userland is a container with --rootfs /:O, and nothing is written to it", async (box) => {
  const { code, stdout, stderr } = await box.dugout([
    "run",
    "--rm",
    "--network",
    "none",
    "--rootfs",
    "/:O",
    "sh",
    "-c",
    "cat /etc/os-release; touch /dugout-was-here && echo written",
  ]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /written\n$/);
  assert.ok(stdout.includes(readFileSync("/etc/os-release", "utf8").split("\n")[0] ?? "?"));
  assert.equal(existsSync("/dugout-was-here"), false);
});

asBoth("signals to the command reach the container, and its end is the command's", async (box) => {
  const line = 'trap "echo got term; exit 9" TERM; echo ready; while :; do sleep 0.1; done';
  const script =
    '"$@" >out & pid=$!; while ! grep -q ready out 2>/dev/null; do sleep 0.05; done; kill -TERM $pid; wait $pid; echo $?; cat out';
  const { stdout, stderr } = await box.run(["sh", "-c", script, "sh", ...await command(box, line)], {
    timeoutMs: 20_000,
  });
  assert.equal(stdout, "9\nready\ngot term\n", stderr);
}, { skip });

asBoth(
  "when the command is killed, what its container leaves when it ends does not stop the next command",
  async (box) => {
    await box.succeed(["pull", "-q", IMAGE]);
    const script =
      '"$@" >out & pid=$!; until test -s pid; do sleep 0.05; done; kill -KILL $pid; wait $pid; echo $?; kill -KILL $(cat pid) 2>/dev/null; true';
    const words = ["run", "--rm", "-q", "--network", "none", "--pidfile", "pid", IMAGE, "sleep", "600"];
    const { stdout, stderr } = await box.run(["sh", "-c", script, "sh", DUGOUT, ...words], { timeoutMs: 20_000 });
    assert.equal(stdout, "137\n", stderr);
    assert.equal(await output(box, "echo next"), "next\n");
  },
  { skip },
);

/** The words of a run, for a shell to start; the image is pulled before. */
async function command(box: Sandbox, line: string): Promise<string[]> {
  await box.succeed(["pull", "-q", IMAGE]);
  return [DUGOUT, "run", "--rm", "-q", "--network", "none", IMAGE, "sh", "-c", line];
}

asBoth("--cidfile and --pidfile are written, and an existing one is not overwritten", async (box) => {
  const [cid, pid] = [join(box.home, "cid"), join(box.home, "pid")];
  await output(box, "true", ["--cidfile", cid, "--pidfile", pid]);
  assert.match(readFileSync(cid, "utf8"), /^[0-9a-f]{64}\s*$/);
  assert.match(readFileSync(pid, "utf8"), /^\d+\s*$/);
  const again = await sh(box, "true", ["--cidfile", cid]);
  assert.equal(again.code, 125);
  assert.match(again.stderr, /cid/);
}, { skip });

asBoth("--init reaps, and passes signals on", async (box) => {
  const line = "cat /proc/1/comm; (sleep 0.1 &) ; sleep 0.4; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l";
  const text = (await output(box, line, ["--init"])).trim().split("\n");
  assert.notEqual(text[0], "sh");
  assert.equal(text[1], "0");
}, { skip });

asBoth(
  "each storage driver that works here gives the same files; one that cannot is an error that says what to use",
  async (box) => {
    await box.succeed(["pull", "-q", IMAGE]);
    const line = "rm /bin/vi && echo x >/root/f && cat /root/f && ls /bin | wc -l";
    const outputs = new Set<string>();
    for (const driver of ["overlay", "fuse-overlayfs", "vfs"]) {
      const argv = ["--storage-driver", driver, "run", "--rm", "--network", "none", IMAGE, "sh", "-c", line];
      const { code, stdout, stderr } = await box.dugout(argv);
      assert.equal(code, 0, `${driver}: ${stderr}`);
      outputs.add(stdout);
    }
    assert.equal(outputs.size, 1);
    for (const driver of ["aufs", "devicemapper", "zfs", "btrfs"]) {
      const { code, stderr } = await box.dugout(["--storage-driver", driver, "run", "--rm", IMAGE, "true"]);
      assert.equal(code, 125);
      assert.match(stderr, new RegExp(`${driver}[\\s\\S]*overlay`));
    }
  },
  { skip },
);

asBoth("--explain prints calls with their labels and does nothing", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  const { code, stdout, stderr } = await box.dugout(["run", "--explain", "--network", "none", IMAGE, "touch", "/x"]);
  assert.equal(code, 0, stderr);
  for (const word of ["unshare", "mount", "pivot_root", "execve"]) assert.match(stdout, new RegExp(word));
}, { skip });
