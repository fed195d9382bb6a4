/** Processes that enter a container that runs, from outside. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  asBoth,
  DUGOUT,
  needs,
  needsRegistry,
  REGISTRY,
  type Result,
  type Sandbox,
  type TestOptions,
  withTerminal,
} from "./harness.ts";
import type { ExecReport } from "./support/inject_exec_child.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

function exec(box: Sandbox, ...args: string[]): Promise<Result> {
  return box.dugout(["exec", ...args], { timeoutMs: 20_000 });
}

async function output(box: Sandbox, ...args: string[]): Promise<string> {
  return (await box.succeed(["exec", ...args], { timeoutMs: 20_000 })).stdout;
}

/** A test whose containers live on until it ends. */
function withContainers(name: string, work: (box: Sandbox) => Promise<void>, options: TestOptions): void {
  asBoth(name, async (box) => {
    try {
      await work(box);
    } finally {
      await box.dugout(["rm", "-f", "--all"], { timeoutMs: 20_000 });
    }
  }, options);
}

/** Starts a container `cc` that sleeps. */
async function start(box: Sandbox, flags: readonly string[] = [], name = "cc"): Promise<void> {
  await box.succeed(["run", "-q", "-d", "--network", "none", "--name", name, ...flags, IMAGE, "sleep", "600"], {
    timeoutMs: 30_000,
  });
}

/** Lines of shell with `D` for the binary. */
function script(box: Sandbox, lines: string, timeoutMs = 60_000): Promise<Result> {
  return box.run(["sh", "-c", `D=${DUGOUT}; ${lines}`], { timeoutMs });
}

withContainers(
  "C-070 exec has the program's exit code, 127, 126, and docker's 1 for what is not there or does not run",
  async (box) => {
    await start(box);
    assert.equal((await exec(box, "cc", "sh", "-c", "exit 7")).code, 7);
    assert.equal((await exec(box, "cc", "sh", "-c", "kill -9 $$")).code, 137);
    assert.equal((await exec(box, "cc", "nonesuch")).code, 127);
    assert.equal((await exec(box, "cc", "/etc")).code, 126);
    assert.equal((await exec(box, "-w", "/nowhere", "cc", "true")).code, 127);
    assert.equal((await exec(box, "-u", "nobody-of-that-name", "cc", "true")).code, 126);
    assert.equal((await exec(box, "--nonesuch", "cc", "true")).code, 125);
    assert.equal((await exec(box, "cc")).code, 1);
    const unknown = await exec(box, "nobody", "true");
    assert.deepEqual([unknown.code, unknown.stderr], [1, "dugout: No such container: nobody\n"]);
    await box.succeed(["kill", "cc"]);
    await box.dugout(["wait", "cc"]);
    const ended = await exec(box, "cc", "true");
    assert.equal(ended.code, 1);
    assert.match(ended.stderr, /^dugout: container [0-9a-f]{64} is not running\n$/);
  },
  { skip },
);

withContainers(
  "exec has the container's directory, variables, limits and rights, but for what is asked for",
  async (box) => {
    const flags = ["-w", "/var", "-e", "A=1", "--ulimit", "nofile=100:200", "--security-opt", "no-new-privileges"];
    await start(box, [...flags, "--cap-drop", "all", "--cap-add", "chown"]);
    const line =
      "pwd; echo $A $B $HOME ${TERM-none}; ulimit -n; grep -E '^(Cap(Inh|Prm|Bnd|Amb)|NoNewPrivs|Seccomp):' /proc/self/status";
    const status = (caps: string) =>
      `CapInh:\t${"0".repeat(16)}\nCapPrm:\t${caps}\nCapBnd:\t${caps}\nCapAmb:\t${
        "0".repeat(16)
      }\nNoNewPrivs:\t1\nSeccomp:\t2\n`;
    const CHOWN = "1".padStart(16, "0");
    assert.equal(await output(box, "cc", "sh", "-c", line), `/var\n1 /root none\n100\n${status(CHOWN)}`);
    const asked = await output(box, "-e", "B=2", "-e", "A=3", "-w", "/tmp", "--privileged", "cc", "sh", "-c", line);
    assert.match(asked, /^\/tmp\n3 2 \/root none\n100\nCapInh:\t0+\nCapPrm:\t0*[1-9a-f][0-9a-f]{8,}\n/);
    assert.equal(
      (await box.run(["sh", "-c", `printf 'C=4\\n#D=5\\n' >env; ${DUGOUT} exec --env-file env cc env`])).stdout.match(
        /^[CD]=.*$/mg,
      )?.join(),
      "C=4",
    );
    // by the beginning of its id too
    const id = (await box.succeed(["ps", "-q"])).stdout.trim();
    assert.equal(await output(box, id.slice(0, 6), "hostname"), `${id}\n`);
    assert.equal((await box.succeed(["container", "exec", id, "pwd"])).stdout, "/var\n");
  },
  { skip },
);

withContainers("A-034 A-035 exec as another user has that one's groups, home and no capabilities", async (box) => {
  await start(box);
  await output(box, "cc", "sh", "-c", "echo app:x:70:71::/srv:/bin/sh >>/etc/passwd; echo more:x:72:app >>/etc/group");
  assert.equal(
    await output(box, "-u", "app", "cc", "sh", "-c", "id -u; id -G; echo $HOME; grep CapEff /proc/self/status"),
    `70\n71 72\n/srv\nCapEff:\t${"0".repeat(16)}\n`,
  );
  assert.equal(await output(box, "-u", "33:44", "cc", "sh", "-c", "id -u; id -G"), "33\n44\n");
  // accounts are looked up beneath the container's root, whatever its links say
  await output(box, "cc", "sh", "-c", "rm /etc/passwd; ln -s /../../../../../../etc/passwd /etc/passwd");
  assert.equal((await exec(box, "-u", box.user.name, "cc", "true")).code, 126);
}, { skip, only: "sub" });

withContainers("exec as a user that a container of one id does not have is refused in words", async (box) => {
  await start(box);
  const { code, stderr } = await exec(box, "-u", "33", "cc", "true");
  assert.equal(code, 126);
  assert.match(stderr, /does not have that id\n.*no subordinate ids/);
  assert.equal(await output(box, "-u", "0", "cc", "id", "-u"), "0\n");
}, { skip, only: "one" });

withContainers(
  "C-072 C-073 exec reads what is piped in with -i alone, and loses nothing of what is written",
  async (box) => {
    await start(box);
    const { stdout } = await script(
      box,
      `echo hi | $D exec -i cc cat; echo hi | $D exec cc cat; echo file >in; $D exec -i cc cat <in
     for i in 1 2 3 4 5; do $D exec cc sh -c 'dd if=/dev/zero bs=1000 count=500 2>/dev/null' >out; wc -c <out; done
     $D exec cc sh -c 'echo err >&2' 2>err >out; cat err`,
    );
    assert.equal(stdout, `hi\nfile\n${"500000\n".repeat(5)}err\n`);
  },
  { skip },
);

withContainers(
  "exec ends with its program, though that leaves something running that holds its output",
  async (box) => {
    await start(box);
    const { stdout } = await script(
      box,
      `$D exec cc sh -c 'sleep 300 & echo quick' >out; cat out; $D exec cc pidof sleep`,
    );
    assert.match(stdout, /^quick\n[0-9]+ [0-9]+\n$/);
  },
  { skip },
);

withContainers("exec -d returns at once, the program goes on, and how it ended is on record", async (box) => {
  await start(box);
  assert.equal(await output(box, "-d", "cc", "sh", "-c", "sleep 0.3; echo done >/tmp/x; exit 3"), "");
  await output(box, "-dt", "cc", "sh", "-c", "test -t 0 && seq 100000 && tty >/tmp/y");
  const { stdout } = await script(
    box,
    `until $D exec cc cat /tmp/x /tmp/y 2>/dev/null; do sleep 0.1; done
     cd "$XDG_RUNTIME_DIR/dugout/containers/"*/exec 2>/dev/null || cd /run/user/$(id -u)/dugout/containers/*/exec
     until test "$(ls */exit | wc -l)" = 2; do sleep 0.1; done; for f in */exit; do od -An -tu1 $f; done | sort | tr -d ' '; ls | wc -l`,
  );
  assert.match(stdout, /done\n\/dev\/pts\/0\n0000\n0300\n2\n$/);
  assert.equal((await exec(box, "-d", "cc", "nonesuch")).code, 127);
}, { skip });

withContainers(
  "exec joins containers with --init, with the host's pids, with other ids, and shared namespaces",
  async (box) => {
    await start(box, ["--init"], "init");
    assert.match(await output(box, "init", "ps"), /\b2 root .*sleep 600/);
    await start(box, ["--pid", "host"], "host");
    assert.equal(
      await output(box, "host", "readlink", "/proc/self/ns/pid"),
      (await box.run(["readlink", "/proc/self/ns/pid"])).stdout,
    );
    await start(box, ["--userns", "keep-id"], "keep");
    assert.equal(await output(box, "keep", "id", "-u"), `${box.user.uid}\n`);
    await box.succeed([
      "run",
      "-q",
      "-d",
      "--name",
      "shared",
      "--network",
      "container:init",
      "--pid",
      "container:init",
      IMAGE,
      "sleep",
      "600",
    ]);
    assert.match(await output(box, "shared", "ps"), /\b2 root .*sleep 600/);
    const network = ["readlink", "/proc/self/ns/net"];
    assert.equal(await output(box, "shared", ...network), await output(box, "init", ...network));
  },
  { skip },
);

withContainers(
  "A-023 A-024 exec shows nothing of the engine's: no descriptor, no program, no directory outside",
  async (box) => {
    await start(box);
    const { stdout } = await script(box, `exec 9</; $D exec -i cc ls /proc/self/fd </dev/null`);
    assert.equal(stdout, "0\n1\n2\n3\n");
    await output(box, "cc", "sh", "-c", "printf '#!/proc/self/exe\\n' >/tmp/self; chmod +x /tmp/self");
    assert.notEqual((await exec(box, "cc", "/tmp/self")).code, 0);
    for (let fd = 3; fd < 30; fd += 3) {
      const { code, stdout } = await exec(box, "-w", `/proc/self/fd/${fd}`, "cc", "pwd");
      assert.ok(code === 126 || code === 127 || code === 1, `descriptor ${fd}: ${code} ${stdout}`);
    }
    // what another process looks at while programs enter
    const loop =
      "for i in $(seq 400); do for p in /proc/[0-9]*; do readlink $p/exe; readlink $p/cwd; done; done 2>/dev/null | sort -u";
    const seen = await script(
      box,
      `$D exec cc sh -c '${loop}' >seen & for i in $(seq 20); do $D exec cc true; done; wait; cat seen`,
    );
    assert.doesNotMatch(seen.stdout, /dugout(?!-player)|home|var/);
  },
  { skip },
);

withContainers(
  "A-023 300 programs enter while one inside writes to whatever is executed: the engine's files are whole, and nothing is left",
  async (box) => {
    await start(box);
    const digests = () =>
      script(
        box,
        `sha256sum $D; find "$XDG_RUNTIME_DIR" /run/user/$(id -u) -name 'player*' -exec sha256sum {} + 2>/dev/null | sort -u`,
      );
    await output(box, "cc", "true");
    const before = (await digests()).stdout;
    const holds = `m=$($D inspect -f '{{.State.Pid}}' cc); m=$(awk '{ print $4 }' /proc/$m/stat)
      ls /proc/$m/fd | wc -l; awk '/VmSize/ { print $2 }' /proc/$m/status;
      find "$(readlink /proc/$m/fd/9)" -not -path '*/exec*' | wc -l`;
    const held = (await script(box, holds)).stdout;
    const inside = "while [ ! -e /tmp/stop ]; do for p in /proc/[0-9]*; do echo x >>$p/exe; done; done 2>/dev/null";
    const { stdout, stderr } = await script(
      box,
      `$D exec -d cc sh -c '${inside}'
       for i in $(seq 300); do $D exec cc true || echo failed $?; done; $D exec cc touch /tmp/stop
       until [ "$($D top cc -o pid | wc -l)" = 2 ]; do sleep 0.05; done; ${holds}`,
      170_000,
    );
    assert.equal(stdout, held, stderr);
    assert.equal((await digests()).stdout, before);
    assert.equal(await output(box, "cc", "echo", "well"), "well\n");
  },
  { skip },
);

for (const flags of [["-i"], ["-t"]]) {
  withContainers(
    `A-050 output without end of exec ${flags[0]} waits for who reads it, and is kept by nobody`,
    async (box) => {
      await start(box);
      const { stdout, stderr } = await script(
        box,
        `mkfifo out; $D exec ${
          flags[0]
        } cc yes >out </dev/null & pid=$!; exec 3<out; head -c 1000000 <&3 | wc -c; sleep 4
         awk '/VmHWM/ { print ($2 < 200000) }' /proc/$pid/status
         exec 3<&-; wait $pid; echo $?; until [ "$($D top cc -o pid,args | grep -c yes)" = 0 ]; do sleep 0.1; done; echo over`,
      );
      assert.equal(stdout, "1000000\n1\n141\nover\n", stderr);
    },
    { skip },
  );
}

withContainers("A-050 who is attached and does not read holds nobody up, and keeps nothing", async (box) => {
  const words = ["run", "-q", "-d", "--network", "none", "--log-opt", "max-size=10m", "--name", "cc", IMAGE];
  await box.succeed([
    ...words,
    "sh",
    "-c",
    "while :; do head -c 1000000 /dev/zero; echo >>/tmp/pieces; sleep 0.02; done",
  ]);
  const { stdout, stderr } = await script(
    box,
    `mkfifo out; $D attach --no-stdin --sig-proxy=false cc >out & pid=$!; exec 3<out; head -c 100000 <&3 | wc -c
     a=$($D exec cc sh -c 'wc -l </tmp/pieces')
     until [ $($D exec cc sh -c 'wc -l </tmp/pieces') -gt $((a + 50)) ]; do sleep 0.1; done
     awk '/VmHWM/ { print ($2 < 200000) }' /proc/$pid/status; exec 3<&-; $D kill cc; wait $pid; echo over`,
  );
  assert.equal(stdout, "100000\n1\ncc\nover\n", stderr);
}, { skip });

withContainers("A-028 a terminal comes from a devpts of the container's, or not at all", async (box) => {
  await start(box, ["--cap-add", "sys_admin", "--security-opt", "seccomp=unconfined"]);
  assert.equal(await output(box, "-t", "cc", "tty"), "/dev/pts/0\r\n");
  await output(box, "cc", "mount", "-t", "tmpfs", "none", "/dev/pts");
  await output(box, "cc", "sh", "-c", "mknod /dev/pts/ptmx p || touch /dev/pts/ptmx");
  const { code, stderr } = await exec(box, "-t", "cc", "tty");
  assert.equal(code, 1);
  assert.match(stderr, /open a terminal of \/dev\/pts: ENOTTY/);
}, { skip });

withContainers(
  "C-079 exec -it has the size of the caller's terminal, passes keys, and leaves by its detach keys",
  async (box) => {
    await start(box);
    await withTerminal(box, async (terminal) => {
      await terminal.type(`${DUGOUT} exec -it -e PS1='in> ' cc sh`);
      await terminal.waitFor(/in>/);
      await terminal.type("stty size; tty");
      await terminal.waitFor(/30 100\n\/dev\/pts\/0/);
      await terminal.resize(90, 20);
      await terminal.type("stty size");
      await terminal.waitFor(/20 90/);
      // one job, so that the key finds it from the first word on
      await terminal.type("(echo be''gun; exec sleep 77)");
      await terminal.waitFor(/begun/);
      await terminal.press("C-c");
      await terminal.type("echo code $?");
      await terminal.waitFor(/code 130/);
      await terminal.type("exit 5");
      await terminal.waitFor(/outer\$/);
      await terminal.type("echo $?; stty -a | grep -o ' icanon'");
      await terminal.waitFor(/5\n icanon/);
      await terminal.type(`clear; ${DUGOUT} exec -it cc sh -c 'echo ready; sleep 1; seq 50000; echo yes >/tmp/alive'`);
      await terminal.waitFor(/^ready|\nready/);
      await terminal.press("C-p");
      await terminal.press("C-q");
      await terminal.waitFor(/read escape sequence/);
      await terminal.type(`clear; until ${DUGOUT} exec cc cat /tmp/alive; do sleep 0.2; done`);
      await terminal.waitFor(/yes/);
    });
  },
  { skip: skip || needs("tmux") },
);

withContainers("C-137 2,000 variables of 500 bytes work in exec, one that is too long is named", async (box) => {
  await start(box);
  const { stdout } = await script(
    box,
    `i=0; while test $i -lt 2000; do echo "V$i=$(printf %0500d 0)"; i=$((i+1)); done >env
     $D exec --env-file env cc sh -c 'env | grep -c ^V'; echo "BIG=$(printf %0140000d 0)" >big; $D exec --env-file big cc true 2>err; echo $?; grep -c BIG err`,
  );
  assert.equal(stdout, "2000\n126\n1\n");
}, { skip });

withContainers(
  "A-049 20 programs enter at once, commands are killed at any moment, and nothing is left of them",
  async (box) => {
    await start(box);
    const { stdout } = await script(
      box,
      `for i in $(seq 20); do $D exec cc sh -c 'echo $$ >/dev/null; exit 4' & pids="$pids $!"; done
     bad=0; for p in $pids; do wait $p; test $? = 4 || bad=$((bad+1)); done; echo bad $bad
     for i in $(seq 20); do $D exec cc true & p=$!; sleep 0.0$((i * 7 % 30 / 10))$((i % 10)); kill -9 $p 2>/dev/null; wait $p; done 2>/dev/null
     for i in $(seq 50); do n=$($D exec cc ps | grep -vc 'sleep 600'); test $n = 2 && break; sleep 0.1; done; echo $n; $D exec cc echo whole`,
    );
    // the heading, ps, and what filters it
    assert.equal(stdout, "bad 0\n2\nwhole\n");
  },
  { skip },
);

withContainers("exec while the container dies ends with a clean error", async (box) => {
  const { stdout } = await script(
    box,
    `for i in 1 2 3 4 5 6; do $D run -q -d --rm --network none --name d$i ${IMAGE} sleep 600 >/dev/null
       for k in 1 2 3 4 5 6; do { timeout 20 $D exec d$i sh -c 'sleep 5' >>all 2>&1; echo $? >>codes; } & done
       sleep 0.0$i; $D kill d$i >/dev/null; wait
     done; sort -u codes | tr '\\n' ' '; grep -v -e 'is not running' -e 'No such container' all | sort -u`,
  );
  assert.match(stdout, /^(?:1 )?(?:137 )?$/);
}, { skip });

withContainers(
  "each step of entering is made to fail: the error names it, and nothing is left in the container or open (A-045, A-049)",
  async (box) => {
    await start(box, ["--ulimit", "nofile=100:200", "--security-opt", "no-new-privileges", "--oom-score-adj", "500"]);
    const sources = process.env["DUGOUT_TEST_SOURCES"] ?? join(import.meta.dirname ?? "", "..");
    const state = (await box.succeed(["info", "--format", "{{.Dugout.RunDir}}"])).stdout.trim();
    const bun = join(sources, "node_modules/.bin/bun");
    const child = join(sources, "tests/support/inject_exec_child.ts");
    const { code, stdout, stderr } = await box.run([bun, "run", child, box.store, state, "cc"], { timeoutMs: 120_000 });
    assert.equal(code, 0, stderr);
    const reports = stdout.trim().split("\n").filter((line) => line.startsWith("{")).map((line) =>
      JSON.parse(line) as ExecReport
    );
    assert.equal(reports.length, 2);
    for (const { tried, stopped, faults, leftProcesses, leftFds } of reports) {
      assert.deepEqual(faults, []);
      assert.ok(tried > 40 && stopped > 30, `${stopped} of ${tried}`);
      assert.deepEqual([leftProcesses, leftFds], [0, 0]);
    }
  },
  { skip },
);
