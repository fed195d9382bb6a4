/** Containers that live on, from outside: made, started, followed, left, stopped, started again. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needs, needsRegistry, REGISTRY, type Result, type Sandbox, withTerminal } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

function dugout(box: Sandbox, ...args: string[]): Promise<Result> {
  return box.dugout(args, { timeoutMs: 40_000 });
}

/** `run`, `create` and the like of the image, without a network. */
function make(box: Sandbox, command: string, flags: readonly string[], ...program: string[]): Promise<Result> {
  return dugout(box, command, "-q", "--network", "none", ...flags, IMAGE, ...program);
}

async function text(box: Sandbox, ...args: string[]): Promise<string> {
  return (await box.succeed(args, { timeoutMs: 40_000 })).stdout;
}

/** A script with `D` for the binary and `I` for the image with its flags, for what has to happen close together. */
async function script(box: Sandbox, lines: string): Promise<Result> {
  const head = `D=${DUGOUT}; N="-q --network none"; I=${IMAGE}; `;
  return await box.run(["sh", "-c", head + lines], { timeoutMs: 60_000 });
}

const TRAP = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";

asBoth(
  "wait for a container that was never started has nothing to wait for, and names have two letters at least",
  async (box) => {
    await box.succeed(["create", "-q", "--network", "none", "--name", "idle", IMAGE, "/no/such/program"]);
    assert.equal((await box.succeed(["wait", "idle"])).stdout, "0\n");
    await box.dugout(["start", "idle"]);
    assert.equal((await box.succeed(["wait", "idle"])).stdout, "127\n");
    const { code, stderr } = await box.dugout(["rename", "idle", "x"]);
    assert.equal(code, 1);
    assert.match(stderr, /Cannot name a container "x"/);
    assert.equal((await box.dugout(["volume", "ls", "-f", "dangling=maybe"])).code, 1);
    await box.succeed(["rm", "idle"]);
  },
  { skip },
);

asBoth("a container in the background prints its id, lives on, and is waited for", async (box) => {
  const { stdout } = await make(box, "run", ["-d", "--name", "job"], "sh", "-c", "sleep 0.5; exit 7");
  assert.match(stdout, /^[0-9a-f]{64}\n$/);
  assert.equal(await text(box, "ps", "--format", "{{.Names}} {{.State}}"), "job running\n");
  assert.equal(await text(box, "wait", "job"), "7\n");
  assert.equal(await text(box, "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "job"), "exited 7\n");
}, { skip });

asBoth("C-080 logs give back what was written, both streams apart, with tails and times", async (box) => {
  const line = "printf 'one\\ntwo\\n'; echo err >&2; sleep 0.1; printf last";
  await make(box, "run", ["-d", "--name", "cc"], "sh", "-c", line);
  await dugout(box, "wait", "cc");
  const all = await dugout(box, "logs", "cc");
  assert.deepEqual([all.stdout, all.stderr], ["one\ntwo\nlast", "err\n"]);
  assert.equal((await dugout(box, "logs", "--tail", "1", "cc")).stdout, "last");
  assert.equal((await dugout(box, "logs", "-n", "0", "cc")).stdout, "");
  const times = (await dugout(box, "logs", "-t", "cc")).stdout.split("\n");
  for (const [index, word] of ["one", "two", "last"].entries()) {
    assert.match(times[index] ?? "", new RegExp(`^[0-9-]{10}T[0-9:]{8}\\.[0-9]{9}Z ${word}$`));
  }
  const last = times[2]!.split(" ")[0]!;
  assert.equal((await dugout(box, "logs", "--since", last, "cc")).stdout, "last");
  assert.equal((await dugout(box, "logs", "--until", "1h", "cc")).stdout, "");
  assert.equal((await dugout(box, "logs", "nobody")).code, 1);
}, { skip });

asBoth("a follower sees all until the container ends, whoever else follows", async (box) => {
  const { stdout } = await script(
    box,
    `$D run $N -d --name cc $I sh -c 'for i in 1 2 3 4 5; do echo $i; sleep 0.1; done' >/dev/null
     $D logs -f cc >a & $D logs -f cc >b & $D logs -f --tail 0 cc >t; wait; cat a; cmp a b && echo same`,
  );
  assert.equal(stdout, "1\n2\n3\n4\n5\nsame\n");
}, { skip });

asBoth("create makes, start starts, as often as one likes, with the files that it left", async (box) => {
  const made = await make(
    box,
    "create",
    ["--name", "cc", "-v", "/kept", "-e", "A=b"],
    "sh",
    "-c",
    "echo $A; cat /f /kept/f; date >/f; echo x >>/kept/f",
  );
  assert.match(made.stdout, /^[0-9a-f]{64}\n$/);
  assert.equal(await text(box, "ps", "-a", "--format", "{{.Names}} {{.Status}}"), "cc Created\n");
  assert.equal((await dugout(box, "logs", "cc")).stdout, "");
  assert.equal((await dugout(box, "start", "-a", "cc")).stdout, "b\n");
  const again = await dugout(box, "start", "-a", "cc");
  assert.match(again.stdout, /^b\n.*20[0-9]{2}\nx\n$/);
  assert.equal(again.code, 0);
  assert.equal(await text(box, "start", "cc"), "cc\n");
  await dugout(box, "wait", "cc");
  assert.equal((await dugout(box, "logs", "cc")).stdout.split("\n").filter((line) => line === "b").length, 3);
  assert.equal((await text(box, "volume", "ls", "-q")).split("\n").length, 2, "one volume, each time the same");
  await box.succeed(["rm", "-v", "cc"]);
  assert.equal(await text(box, "volume", "ls", "-q"), "");
}, { skip });

asBoth("a start reads the caller's input, passes signals on, and tells the exit code", async (box) => {
  await make(box, "create", ["-i", "--name", "cat"], "cat");
  const { stdout } = await box.dugout(["start", "-ai", "cat"], { input: "typed\n", timeoutMs: 20_000 });
  assert.equal(stdout, "typed\n");
  await make(box, "create", ["--name", "trap"], "sh", "-c", TRAP);
  const signalled = await script(
    box,
    `$D start -a trap >out & until grep -q ready out; do sleep 0.05; done; kill -TERM $!; wait $!; echo code $?`,
  );
  assert.equal(signalled.stdout, "code 9\n");
}, { skip });

asBoth("a start that fails leaves a container on record, with docker's codes and the error", async (box) => {
  for (const [name, program, code] of [["none", "nonesuch", 127], ["etc", "/etc", 126]] as const) {
    const failed = await make(box, "run", ["-d", "--name", name], program);
    assert.equal(failed.code, code);
    assert.match(failed.stderr, new RegExp(`execute ${program}`));
    const state = await text(box, "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}", name);
    assert.match(state, new RegExp(`^created ${code} execute ${program}`));
    assert.equal((await dugout(box, "start", name)).code, 1);
  }
  assert.equal((await make(box, "run", ["--rm", "-d"], "nonesuch")).code, 127);
  assert.equal((await make(box, "run", ["--name", "front"], "nonesuch")).code, 127);
  assert.equal(await text(box, "ps", "-a", "--format", "{{.Names}}"), "front\netc\nnone\n");
}, { skip });

asBoth(
  "C-081 with --rm a container goes at its end, in the background too, with its volumes and its name",
  async (box) => {
    await script(
      box,
      `for i in 1 2 3 4 5; do $D run $N -d --rm -v /anon --name c$i $I sh -c 'chown 5:5 /anon; mkdir -m 0 /d; sleep 0.0$i'; done`,
    );
    await script(box, 'until [ -z "$(ls $HOME/.local/share/dugout/containers | grep -v names)" ]; do sleep 0.05; done');
    assert.equal(await text(box, "ps", "-aq"), "");
    assert.deepEqual(readdirSync(join(box.store, "containers/names")), []);
    assert.equal(await text(box, "volume", "ls", "-q"), "");
  },
  { skip },
);

asBoth("C-077 stop asks with TERM, with what the container or the user says, and kills then", async (box) => {
  const traps = 'for s in TERM INT USR1; do trap "echo $s; exit 3" $s; done; echo ready; while :; do sleep 0.05; done';
  const lines = (name: string, run: string, stop: string) =>
    `$D run $N -d --name ${name} ${run} $I sh -c '${traps}' >/dev/null; until $D logs ${name} | grep -q ready; do sleep 0.05; done; $D stop ${stop} ${name}; $D logs --tail 1 ${name}`;
  const { stdout } = await script(
    box,
    [lines("aa", "", ""), lines("bb", "--stop-signal INT", ""), lines("cc", "--stop-signal INT", "-s USR1")].join("\n"),
  );
  assert.equal(stdout, "aa\nTERM\nbb\nINT\ncc\nUSR1\n");
  const deaf = await script(
    box,
    `$D run $N -d --name deaf $I sh -c "trap '' TERM; echo ready; while :; do sleep 0.05; done" >/dev/null
     until $D logs deaf | grep -q ready; do sleep 0.05; done; $D stop -t 1 deaf; $D wait deaf`,
  );
  assert.equal(deaf.stdout, "deaf\n137\n");
}, { skip });

asBoth("restart starts again what ran, what ended, what was only made, and keeps one with --rm", async (box) => {
  const { stdout, stderr } = await script(
    box,
    `$D run $N -d --name runs $I sh -c 'echo start; sleep 600' >/dev/null
     $D run $N -d --rm --name goes $I sh -c 'sleep 600' >/dev/null
     $D create $N --name made $I sh -c 'echo start; sleep 600' >/dev/null
     $D restart -t 0 runs goes made
     sleep 0.2; $D ps --format '{{.Names}}' | sort; $D logs runs; $D rm -f runs goes made >/dev/null`,
  );
  assert.equal(stdout, "runs\ngoes\nmade\ngoes\nmade\nruns\nstart\nstart\n", stderr);
}, { skip });

asBoth("a container starts again whatever its ids and its root are, and its end is known", async (box) => {
  const kinds = ["run $N --userns keep-id", "run $N --pid host", "run $N --init", "--storage-driver vfs run $N"];
  const fuse = existsSync("/usr/bin/fuse-overlayfs") ? ["--storage-driver fuse-overlayfs run $N"] : [];
  const lines = [...kinds, ...fuse].map((run) => `life "${run}" $I`);
  const { stdout, stderr } = await script(
    box,
    `$D pull -q $I >/dev/null
     life() {
       $D $1 -d --name cc \${2:-} sh -c 'trap "exit 4" TERM; echo up; while :; do sleep 0.02; done' >/dev/null
       for turn in 1 2; do
         until [ "$($D logs cc | wc -l)" = $turn ]; do sleep 0.02; done
         $D stop cc >/dev/null; $D wait cc; test $turn = 2 || $D start cc >/dev/null
       done; $D rm cc
     }
     ${lines.join("\n     ")}
     life "run $N --rootfs /:O"`,
  );
  assert.equal(stdout, "4\n4\ncc\n".repeat(lines.length + 1), stderr);
}, { skip });

asBoth("C-076 /dev/stdout can be opened again by a user who is not root, and it is in the log", async (box) => {
  const user = box.user.kind === "sub" ? ["--user", "33"] : [];
  await make(box, "run", ["--name", "cc", ...user], "sh", "-c", "echo x >/dev/stdout; echo y >/dev/stderr");
  const { stdout, stderr } = await dugout(box, "logs", "cc");
  assert.deepEqual([stdout, stderr], ["x\n", "y\n"]);
}, { skip });

asBoth("C-073 in the foreground all arrives, also what is written in the last moment, and it is kept", async (box) => {
  for (let round = 0; round < 10; round++) {
    const { stdout } = await make(
      box,
      "run",
      ["--name", `c${round}`],
      "sh",
      "-c",
      "dd if=/dev/zero bs=500000 count=1 2>/dev/null",
    );
    assert.equal(stdout.length, 500_000);
  }
  assert.equal((await dugout(box, "logs", "c3")).stdoutBytes.length, 500_000);
}, { skip });

asBoth("-a shows the streams that it names, and all are kept", async (box) => {
  const shown = await make(box, "run", ["--name", "cc", "-a", "stderr"], "sh", "-c", "echo out; echo err >&2");
  assert.deepEqual([shown.stdout, shown.stderr.includes("err\n")], ["", true]);
  assert.equal((await dugout(box, "logs", "cc")).stdout, "out\n");
}, { skip });

asBoth("logs grow to max-size, so many of them as max-file says, and --log-driver none keeps none", async (box) => {
  const write = "i=0; while [ $i -lt 300 ]; do printf '%01000d\\n' $i; i=$((i+1)); done";
  await make(
    box,
    "run",
    ["-d", "--name", "cc", "--log-opt", "max-size=50k", "--log-opt", "max-file=3"],
    "sh",
    "-c",
    write,
  );
  await dugout(box, "wait", "cc");
  const [id] = readdirSync(join(box.store, "containers")).filter((name) => name.length === 64);
  const files = readdirSync(join(box.store, "containers", id!)).filter((name) => name.startsWith("log")).sort();
  assert.deepEqual(files, ["log", "log.1", "log.2"]);
  const kept = (await dugout(box, "logs", "cc")).stdout.trimEnd().split("\n").map(Number);
  assert.equal(kept.at(-1), 299);
  assert.ok(kept.length > 50 && kept.length < 260, `${kept.length} lines`);
  assert.deepEqual(kept, Array.from({ length: kept.length }, (_, index) => 300 - kept.length + index));

  const none = await make(box, "run", ["--log-driver", "none", "--name", "nn"], "echo", "seen");
  assert.equal(none.stdout, "seen\n");
  const logs = await dugout(box, "logs", "nn");
  assert.equal(logs.code, 1);
  assert.match(logs.stderr, /configured logging driver does not support reading/);
}, { skip });

asBoth("--cidfile has the id, and a file that is there is not overwritten", async (box) => {
  const made = await make(box, "create", ["--cidfile", "cid"], "true");
  assert.equal(readFileSync(join(box.home, "cid"), "utf8"), made.stdout.trim());
  assert.equal((await make(box, "run", ["-d", "--cidfile", "cid"], "true")).code, 125);
  assert.equal(existsSync(join(box.home, "cid")), true);
}, { skip });

asBoth("C-079 ctrl-p ctrl-q leaves a container running, in the foreground of a terminal", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  await withTerminal(box, async (terminal) => {
    // a shell at its prompt asks the terminal where it is, and the answer would come to whoever reads then
    const program = "'stty size; while read line; do echo got-$line; done'";
    await terminal.type(`${DUGOUT} run -it --network none --name term ${IMAGE} sh -c ${program}`);
    await terminal.waitFor(/30 100/);
    await terminal.type("one");
    await terminal.waitFor(/got-one/);
    await terminal.press("C-p");
    await terminal.press("C-q");
    await terminal.waitFor(/read escape sequence\s+outer\$/);
    await terminal.type(`${DUGOUT} ps --format '{{.Names}}={{.State}}'`);
    await terminal.waitFor(/term=running/);
    await terminal.type(`clear; ${DUGOUT} attach term`);
    await terminal.type("two");
    await terminal.waitFor(/got-two/);
    await terminal.press("C-p");
    await terminal.press("C-q");
    await terminal.waitFor(/read escape sequence\s+outer\$/);
    await terminal.type(`clear; ${DUGOUT} logs term; ${DUGOUT} rm -f term`);
    await terminal.waitFor(/got-one[\s\S]*got-two[\s\S]*term/);
  });
  assert.equal(await text(box, "ps", "-aq"), "");
}, { skip: skip || needs("tmux") });

asBoth(
  "attach shows what comes and passes on what is typed, to several at once; the exit code is the container's",
  async (box) => {
    const { stdout, stderr } = await script(
      box,
      `$D run $N -di --name cat $I sh -c 'echo before; while read line; do echo "got $line"; [ "$line" = end ] && exit 6; done' >/dev/null
     until $D logs cat | grep -q before; do sleep 0.05; done
     $D attach --no-stdin cat >seen & watcher=$!; sleep 0.5; (echo one; sleep 0.3) | timeout 5 $D attach cat >first & sleep 1; kill $!
     (sleep 0.3; echo end) | $D attach cat; echo code $?; wait $watcher; echo code $?; cat seen
     $D attach cat; echo code $?`,
    );
    assert.equal(stdout, "got end\ncode 6\ncode 6\ngot one\ngot end\ncode 1\n", stderr);
    assert.match(stderr, /You cannot attach to a stopped container, start it first/);
  },
  { skip },
);

asBoth("a monitor holds less than 100 KB, idle and under load, with a terminal and with stdin", async (box) => {
  const { stdout } = await script(
    box,
    `ids="$($D run $N -d --name idle $I sleep 600)
     $($D run $N -dit --name tty $I sh -c 'yes | head -c 3000000; sleep 600')
     $($D run $N -di --name load $I sh -c 'yes | head -c 30000000; yes | head -c 3000000 >&2; sleep 600')"
     sleep 1
     for id in $ids; do
       for file in $XDG_RUNTIME_DIR/dugout/containers/$id/state.json /run/user/$(id -u)/dugout/containers/$id/state.json; do
         test -e $file && monitor=$(sed 's/.*"monitor":\\([0-9]*\\).*/\\1/' $file)
       done
       awk '/^Pss:/ { print $2 }' /proc/$monitor/smaps_rollup
     done
     $D rm -f idle tty load >/dev/null`,
  );
  const sizes = stdout.trim().split("\n").map(Number);
  assert.equal(sizes.length, 3, stdout);
  for (const kilobytes of sizes) assert.ok(kilobytes > 0 && kilobytes < 100, stdout);
}, { skip });
