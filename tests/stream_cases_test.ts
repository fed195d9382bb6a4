/** Streams, terminals and signals that broke other engines (cases.md, section 7), as both kinds of user. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needs, needsRegistry, REGISTRY, type Result, type Sandbox, withTerminal } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

/** Runs a shell script of the user's in which `$run` starts a container of busybox, pulled before. */
async function script(box: Sandbox, text: string, timeoutMs = 30_000): Promise<Result> {
  await box.succeed(["pull", "-q", IMAGE]);
  const env = { IMAGE, run: `${DUGOUT} run --rm -q --network none` };
  return await box.run(["sh", "-c", text], { env, timeoutMs });
}

async function output(box: Sandbox, text: string, timeoutMs?: number): Promise<string> {
  const { code, stdout, stderr } = await script(box, text, timeoutMs);
  assert.equal(code, 0, `${text}\nstdout: ${stdout}\nstderr: ${stderr}`);
  assert.equal(stderr, "", text);
  return stdout;
}

asBoth(
  "C-072 standard input ends where it ends: from a pipe, a file, /dev/null, and one that stays open",
  async (box) => {
    assert.equal(await output(box, "echo hi | $run -i $IMAGE cat"), "hi\n");
    assert.equal(await output(box, "echo hi >in; $run -i $IMAGE cat <in"), "hi\n");
    assert.equal(await output(box, "$run -i $IMAGE cat </dev/null; echo end"), "end\n");
    assert.equal(
      await output(box, "mkfifo f; sleep 20 >f & exec 3<f; $run -i $IMAGE echo done <&3; kill %1 2>/dev/null; kill $!"),
      "done\n",
    );
    // a pipe of another user's: ours are root's here
    assert.equal(
      (await box.dugout(["run", "--rm", "-q", "-i", "--network", "none", IMAGE, "head", "-n1"], { input: "a\nb\n" }))
        .stdout,
      "a\n",
    );
  },
  { skip },
);

asBoth(
  "C-074 a program that ends before it reads its input ends the command, though the writer goes on",
  async (box) => {
    assert.equal(await output(box, "for i in $(seq 20); do echo | $run -i $IMAGE true || echo $?; done"), "");
    assert.equal(
      await output(box, "(echo x; sleep 2; echo y) | (timeout -s KILL 8 $run -i $IMAGE true; echo $?)", 15_000),
      "0\n",
    );
  },
  { skip },
);

asBoth("C-074 a pipe of somebody else's that stays open does not keep the command", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  const words = ["run", "--rm", "-q", "-i", "--network", "none", IMAGE, "echo", "done"];
  // root holds the other end, and never closes it
  const line = `mkfifo ${box.path}/pipe; chmod 666 ${box.path}/pipe; exec 3<>${box.path}/pipe; exec ${
    box.prefix().map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ")
  } timeout -s KILL 8 ${DUGOUT} ${words.join(" ")} <&3`;
  const { runCommand } = await import("./support/command.ts");
  const { code, stdout, stderr } = await runCommand(["sh", "-c", line], { env: box.environment, timeoutMs: 15_000 });
  assert.deepEqual([code, stdout], [0, "done\n"], stderr);
}, { skip: skip || (process.getuid?.() === 0 ? false : "needs root") });

asBoth("C-073 output arrives in full before the end is told: to a file, a pipe, and to a slow reader", async (box) => {
  const make = "dd if=/dev/zero bs=1000 count=500 2>/dev/null";
  const text = `for i in $(seq 8); do $run $IMAGE sh -c '${make}' >f; stat -c %s f; done
    for i in $(seq 8); do $run $IMAGE sh -c '${make}' | wc -c; done
    $run $IMAGE sh -c '${make}' | (sleep 1; wc -c)`;
  assert.equal(await output(box, text), "500000\n".repeat(17));
}, { skip });

asBoth("C-075 -a chooses streams, the exit code is always the program's", async (box) => {
  const line = `for i in 1 2 3; do $run -a stdin $IMAGE sh -c 'echo out; echo err >&2; exit 4'; echo $?; done
    $run -a stdout $IMAGE sh -c 'echo out; echo err >&2'; $run -a stderr $IMAGE sh -c 'echo out; echo err >&2' 2>&1`;
  assert.equal(await output(box, line), "4\n4\n4\nout\nerr\n");
}, { skip });

asBoth(
  "C-076 /dev/stdout, /dev/stderr and /dev/stdin can be opened again, by root and by others, whatever they are",
  async (box) => {
    const users = box.user.kind === "sub" ? ["0", "33"] : ["0", "33"];
    for (const user of users) {
      const inner = "'echo x >/dev/stdout; echo y >/dev/stderr; echo z >/proc/self/fd/1'";
      assert.equal(await output(box, `$run --user ${user} $IMAGE sh -c ${inner} 2>&1 | cat`), "x\ny\nz\n", user);
      assert.equal(await output(box, `$run --user ${user} $IMAGE sh -c ${inner} >f 2>&1; cat f`), "x\ny\nz\n", user);
      assert.equal(
        await output(box, `$run --user ${user} $IMAGE sh -c ${inner} 2>/dev/null >f; cat f`),
        "x\nz\n",
        user,
      );
      assert.equal(await output(box, `echo in | $run -i --user ${user} $IMAGE cat /dev/stdin`), "in\n", user);
      const tty = await output(
        box,
        `script -qec "$run -t --user ${user} $IMAGE sh -c 'echo x >/dev/stdout'" /dev/null </dev/null`,
      );
      assert.equal(tty.trim(), "x", user);
    }
  },
  { skip: skip || needs("script") },
);

asBoth(
  "streams that the caller has closed are none of ours: the container has /dev/null, and its exit code counts",
  async (box) => {
    const inner = "'echo out; echo err >&2; ls -l /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 >/tmp/f; exit 3'";
    for (const closed of ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "<&- >&-"]) {
      const { stdout } = await script(
        box,
        `$run -i $IMAGE sh -c ${inner} ${closed}; echo $? >&9`.replace(/^/, "exec 9>&1; "),
      );
      assert.match(stdout, /(?:^|\n)3\n$/, closed);
    }
  },
  { skip },
);

asBoth("C-079 the terminal has its size at the first instant", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  await withTerminal(box, async (terminal) => {
    await terminal.resize(173, 42);
    for (const flags of ["-it", "-it --init"]) {
      await terminal.type(`clear; ${DUGOUT} run --rm ${flags} --network none ${IMAGE} stty size; echo "end$?"`);
      assert.match(await terminal.waitFor(/^end0/m), /^42 173$/m, flags);
    }
  });
}, { skip: skip || needs("tmux") });

asBoth("C-078 Ctrl-C ends a program of a terminal, with --init and behind a shell; job control works", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  await withTerminal(box, async (terminal) => {
    await terminal.type(
      `clear; ${DUGOUT} run --rm -it --init --network none ${IMAGE} sh -c 'echo up; sleep 100'; echo "end$?"`,
    );
    await terminal.waitFor(/^up/m);
    await terminal.press("C-c");
    await terminal.waitFor(/end130/);
    for (const flags of ["-it", "-it --init"]) {
      await terminal.type(`clear; ${DUGOUT} run --rm ${flags} --network none -e PS1='in> ' ${IMAGE} sh; echo "end$?"`);
      const start = await terminal.waitFor(/^in>/m);
      assert.doesNotMatch(start, /job control|can't access tty/, flags);
      await terminal.type("sleep 100");
      await terminal.press("C-z");
      await terminal.waitFor(/Stopped/);
      await terminal.type("kill -9 %1; sleep 0.3; tty; exit 6");
      await terminal.waitFor(/^end6/m);
    }
  });
}, { skip: skip || needs("tmux") });

asBoth("C-078 at the second Ctrl-C that a program does not get, it is said why, and how it ends", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  // process 1 with SIGINT at its default; a shell that handles it; a reaper
  const deaf = "'echo up; exec sleep 100'";
  const heard = "'trap true INT; sleep 100 & echo up; while :; do wait; done'";
  const runs = [["", deaf, true], ["", heard, false], ["--init", deaf, false], ["--name kept", deaf, true]] as const;
  for (const [flags, inner, says] of runs) {
    const rm = flags.includes("--name") ? "" : "--rm";
    const line =
      `"${DUGOUT}" run ${rm} -q --network none --pidfile pid ${flags} $IMAGE sh -c ${inner} >out 2>err & pid=$!
      until grep -qs up out; do sleep 0.05; done
      for n in 1 2 3; do kill -INT $pid 2>/dev/null; sleep 0.3; done
      kill -9 $(cat pid) 2>/dev/null; wait $pid; rm -f out pid; cat err`;
    const { stdout } = await box.run(["sh", "-c", line], { env: { IMAGE }, timeoutMs: 20_000 });
    assert.equal(stdout.split("does not handle SIGINT").length - 1, says ? 1 : 0, `${flags} ${inner}: ${stdout}`);
    if (says) assert.match(stdout, /dugout kill.*--init/);
  }
  await box.succeed(["rm", "kept"]);
}, { skip });

asBoth("C-078 in a terminal too, which the detach keys leave", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  await withTerminal(box, async (terminal) => {
    await terminal.type(
      `clear; ${DUGOUT} run -it --name deaf --network none ${IMAGE} sh -c 'echo up; exec sleep 100'; echo "end$?"`,
    );
    await terminal.waitFor(/^up/m);
    await terminal.press("C-c");
    await terminal.press("C-c");
    await terminal.waitFor(/does not handle SIGINT[\s\S]*detach keys/);
    await terminal.press("C-p");
    await terminal.press("C-q");
    await terminal.waitFor(/end0/);
  });
  await box.succeed(["rm", "-f", "deaf"]);
}, { skip: skip || needs("tmux") });

asBoth("C-136 a terminal lives as long as the container, though the program closes all three streams", async (box) => {
  const inner = "exec 0<&- 1>&- 2>&-; sleep 0.3; echo still >/dev/console; echo there >/dev/tty";
  const text = await output(box, `script -qec "$run -t $IMAGE sh -c '${inner}'" /dev/null </dev/null`);
  assert.match(text, /still\r*\nthere/);
}, { skip: skip || needs("script") });

asBoth("C-081 SIGHUP and its kin are passed on", async (box) => {
  const inner =
    `'for s in HUP INT TERM USR1 QUIT WINCH; do trap "echo $s; test $s = TERM && exit 5" $s; done; echo up; while :; do sleep 0.05; done'`;
  const line = `$run $IMAGE sh -c ${inner} >out & pid=$!; until grep -qs up out; do sleep 0.05; done
    for s in HUP USR1 INT TERM; do kill -$s $pid; sleep 0.3; done; wait $pid; echo $?; cat out`;
  // a shell starts what is in the background with SIGINT ignored: sent all the same
  const text = await output(box, line);
  assert.match(text, /^5\nup\nHUP\nUSR1\n(?:INT\n)?TERM\n$/);
}, { skip });

asBoth(
  "C-081 a container whose command was killed runs on, its end is on disk, and the next command cleans up",
  async (box) => {
    await box.succeed(["pull", "-q", IMAGE]);
    const inner = "'echo up; until test -e /h/go; do sleep 0.05; done; echo ran on >/h/proof; exit 7'";
    const line = `"${DUGOUT}" run --rm -q --network none -v "$HOME:/h" --pidfile pid $IMAGE sh -c ${inner} >out & pid=$!
    until grep -qs up out; do sleep 0.05; done; kill -KILL $pid; wait $pid; echo $?; kill -0 $(cat pid) && echo runs; touch go
    while kill -0 $(cat pid) 2>/dev/null; do sleep 0.05; done; cat proof`;
    const { stdout, stderr } = await box.run(["sh", "-c", line], { env: { IMAGE }, timeoutMs: 20_000 });
    assert.equal(stdout, "137\nruns\nran on\n", stderr);
    assert.equal(
      (await box.dugout(["run", "--rm", "-q", "--network", "none", IMAGE, "echo", "next"])).stdout,
      "next\n",
    );
  },
  { skip },
);

asBoth(
  "the dispositions of signals that the caller ignores reach neither the container nor our waiting",
  async (box) => {
    const line =
      `trap '' CHLD INT PIPE HUP USR1; $run $IMAGE sh -c 'grep -E "^Sig(Ign|Blk)" /proc/self/status; exit 3'; echo $?`;
    assert.equal(await output(box, line), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n3\n");
  },
  { skip },
);

asBoth("a pid file that cannot be written stops the start, and no container is left", async (box) => {
  const { code, stderr } = await script(box, "$run --pidfile /no/such/directory/pid $IMAGE sleep 100");
  assert.equal(code, 125, stderr);
  assert.match(stderr, /pidfile|pid file/);
  assert.doesNotMatch(stderr, /internal error/);
  const place = join(box.store, "containers");
  assert.deepEqual(existsSync(place) ? readdirSync(place).filter((name) => name.length === 64) : [], []);
}, { skip });

asBoth("C-135 a reader that stops reading does not hurt, and one that goes away ends the writer", async (box) => {
  assert.equal((await script(box, "$run $IMAGE yes | head -n 2")).stdout, "y\ny\n");
  assert.equal(await output(box, "$run $IMAGE sh -c 'yes | head -c 3000000' | (sleep 0.5; wc -c)"), "3000000\n");
}, { skip });

const STI = `import fcntl,os,sys
done=[]
for fd in (0,1,2):
    for request,arg in ((0x5412,b"x"),(0x100005412,b"y"),(0x541c,b"\\x02")):
        try:
            fcntl.ioctl(fd,request if request<1<<31 else request-(1<<64) if request>=1<<63 else request,arg)
            done.append((fd,hex(request)))
        except (OSError,OverflowError): pass
for fd in (1,2):
    try:
        os.set_blocking(fd,False)
        r=os.open("/proc/self/fd/%d"%fd,os.O_RDONLY|os.O_NONBLOCK|os.O_NOCTTY)
        done.append(("reads",fd)) if os.isatty(r) else None
    except OSError: pass
try:
    os.open("/dev/tty",os.O_RDWR); done.append("tty")
except OSError: pass
print("typed",done)`;

asBoth(
  "A-025 A-026 nothing in a container types into the caller's terminal or reads from one that it may write to",
  async (box) => {
    writeFileSync(join(box.home, "sti.py"), STI);
    chmodSync(join(box.home, "sti.py"), 0o644);
    await withTerminal(box, async (terminal) => {
      for (
        const flags of [
          "",
          "-i",
          "--security-opt seccomp=unconfined",
          "-i --security-opt seccomp=unconfined",
          "-i --init",
        ]
      ) {
        await terminal.type(
          `clear; ${DUGOUT} run --rm ${flags} --network none --rootfs /:O /usr/bin/python3 ${box.home}/sti.py; echo "end$?"`,
        );
        const screen = await terminal.waitFor(/end\d+\n/);
        assert.match(screen, /^typed \[\]$/m, flags);
      }
      await terminal.type("");
      assert.doesNotMatch(await terminal.screen(), /[xy]\n.*not found/);
    });
  },
  { skip: needs("tmux", "python3") },
);

asBoth(
  "a monitor that is killed leaves the container alone: its end is waited for, and said to be unknown",
  async (box) => {
    const inner = "echo up; sleep 1; echo ran on";
    const line = `$run $IMAGE sh -c '${inner}' >out 2>err & pid=$!; until grep -qs up out; do sleep 0.05; done
    kill -KILL $(pgrep -P $pid -f dugout-monitor | head -n 1); wait $pid; echo $?; cat out err`;
    const { stdout } = await script(box, line);
    assert.match(stdout, /^125\nup\nran on\ndugout: Cannot tell how the container ended: its monitor was killed/);
    const place = join(box.store, "containers");
    assert.deepEqual(readdirSync(place).filter((name) => name.length === 64), []);
  },
  { skip: skip || needs("pgrep") },
);
