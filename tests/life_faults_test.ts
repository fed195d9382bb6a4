/**
 * Containers that live on, when things go wrong: commands, monitors and programs that are killed, directories that are swept
 * away, disks that are full, many at once. The rule: the next command works, says the truth, and nothing of the user's is lost.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needsRegistry, REGISTRY, type Result, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;
const MOMENTS = 20;

/** A script with `D` for the binary, `I` for the image, `R` for `run` of it without a network. */
async function script(box: Sandbox, lines: string, timeoutMs = 110_000): Promise<Result> {
  const head = `D=${DUGOUT}; I=${IMAGE}; N="-q --network none"; $D pull -q $I >/dev/null; `;
  return await box.run(["sh", "-c", head + lines], { timeoutMs });
}

/** What is left of containers on disk, but for directories that are too young to be taken for left behind. */
function leftovers(box: Sandbox): string[] {
  const folder = join(box.store, "containers");
  const names = readdirSync(join(folder, "names"));
  return [...names, ...readdirSync(folder).filter((name) => existsSync(join(folder, name, "config.json")))];
}

/** Kills a command after 0 to 57 ms, looks what the next ones say, and cleans up. */
function killed(before: string, command: string, after: string): string {
  return `
    at=0; while [ $at -lt ${MOMENTS} ]; do
      ${before}
      ${command} >/dev/null 2>&1 & pid=$!
      sleep $(awk "BEGIN { print $at * 0.003 }"); kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
      $D ps -a >/dev/null || echo "ps fails at $at"
      ${after}
      $D rm -f cc >/dev/null || echo "rm fails at $at"
      $D create $N --name cc $I true >/dev/null || echo "the name is taken at $at"
      $D rm cc >/dev/null || echo "what was made stays at $at"
      at=$((at+1))
    done; echo "$at moments"; $D ps -aq`;
}

const KILLS: readonly (readonly [name: string, before: string, command: string, after: string])[] = [
  ["run -d", "", "$D run $N -d --name cc $I sleep 600", ""],
  ["run -d --rm", "", "$D run $N -d --rm --name cc $I sleep 600", ""],
  ["create", "", "$D create $N --name cc -v /anon $I true", ""],
  [
    "start",
    "$D create $N --name cc $I sh -c 'echo ran; sleep 600' >/dev/null",
    "$D start cc",
    '$D start cc >/dev/null || echo "start fails at $at"; $D ps -q --filter name=cc | grep -q . || echo "not running at $at"',
  ],
  [
    "stop",
    "$D run $N -d --name cc $I sh -c 'trap \"exit 4\" TERM; echo up; while :; do sleep 0.01; done' >/dev/null; until $D logs cc | grep -q up; do :; done",
    "$D stop cc",
    '$D stop -t 5 cc >/dev/null; test "$($D wait cc)" = 4 || echo "the exit code is lost at $at"',
  ],
  [
    "rm",
    "$D run $N --name cc -v /anon $I sh -c 'mkdir -p a/b; chown 3:3 a' 2>/dev/null",
    "$D rm -v cc",
    "",
  ],
];

for (const [name, before, command, after] of KILLS) {
  asBoth(`${name} is killed at ${MOMENTS} moments, and the next command works and says the truth`, async (box) => {
    const { stdout, stderr } = await script(box, killed(before, command, after));
    assert.equal(stdout, `${MOMENTS} moments\n`, stderr);
    assert.deepEqual(leftovers(box), []);
  }, { skip });
}

/** Lines of a script that find a container's monitor and first process. */
const PIDS = `pids() {
    for file in $XDG_RUNTIME_DIR/dugout/containers/$1/state.json /run/user/$(id -u)/dugout/containers/$1/state.json; do
      test -e $file && monitor=$(sed 's/.*"monitor":\\([0-9]*\\).*/\\1/' $file) && first=$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' $file) && state=$(dirname $file)
    done
  }`;

asBoth(
  "a monitor is killed: the container is still listed, its end is unknown, its log stays, and it starts again",
  async (box) => {
    const { stdout, stderr } = await script(
      box,
      `${PIDS}
     id=$($D run $N -d --name cc $I sh -c 'echo before; sleep 600'); until $D logs cc | grep -q before; do :; done
     pids $id; kill -9 $monitor; $D ps --format '{{.Names}} {{.State}}'; $D stop -t 0 cc
     $D ps -a --format '{{.Names}} {{.State}}'; $D wait cc; $D logs cc
     $D start cc; until [ $($D logs cc | wc -l) = 2 ]; do :; done; $D rm -f cc`,
    );
    assert.equal(stdout, "cc running\ncc\ncc exited\n255\nbefore\ncc\ncc\n", stderr);
  },
  { skip },
);

asBoth("C-071 the first process is killed from outside: 137, and what it wrote is there", async (box) => {
  const { stdout } = await script(
    box,
    `${PIDS}
     id=$($D run $N -d --name cc $I sh -c 'echo before; sleep 600'); until $D logs cc | grep -q before; do :; done
     pids $id; kill -9 $first; $D wait cc; $D logs cc; $D ps -a --format '{{.State}}'`,
  );
  assert.equal(stdout, "137\nbefore\nexited\n");
}, { skip });

asBoth(
  "C-058 the runtime directory is swept away: containers are listed, stopped, and their ends are known",
  async (box) => {
    const { stdout, stderr } = await script(
      box,
      `${PIDS}
     run() { $D run $N -d --name $1 $I sh -c 'trap "echo end; exit 5" TERM; echo up; while :; do sleep 0.02; done'; }
     one=$(run one); two=$(run two); until $D logs two | grep -q up; do :; done
     for id in $one $two; do pids $id; rm -rf $state; done
     $D ps --format '{{.Names}} {{.State}}' | sort; $D stop one; $D wait one; $D logs one
     pids $two; rm -rf $state; kill -TERM $first; $D wait two; $D ps -a --format '{{.Status}}' | grep -c 'Exited (5)'; $D rm one two`,
    );
    assert.equal(stdout, "one running\ntwo running\none\n5\nup\nend\n5\n2\none\ntwo\n", stderr);
  },
  { skip },
);

asBoth("C-059 the machine was started again: nothing is believed to run, and everything starts again", async (box) => {
  await script(
    box,
    `$D run $N -d --name cc $I sh -c 'echo run; sleep 600'; until $D logs cc | grep -q run; do :; done; $D kill cc; $D wait cc`,
  );
  const [id] = readdirSync(join(box.store, "containers")).filter((name) => name.length === 64);
  const directory = join(box.store, "containers", id!);
  // as the machine's end left it: running, of another boot
  const record = readFileSync(join(directory, "config.json"), "utf8");
  writeFileSync(join(directory, "config.json"), record.replace(/"bootId":"[^"]*"/, '"bootId":"another"'));
  rmSync(join(directory, "end.json"));
  const { stdout } = await script(
    box,
    `$D ps -q; $D ps -a --format '{{.Status}}' | cut -c1-12; $D start cc; until [ $($D logs cc | wc -l) = 2 ]; do :; done; $D ps --format '{{.Names}}'; $D rm -f cc`,
  );
  assert.equal(stdout, "Exited (255)\ncc\ncc\ncc\n");
}, { skip });

asBoth("a clock that was set back loses no lines: --since looks at each for itself", async (box) => {
  await script(box, `$D run $N --name cc $I true`);
  const [id] = readdirSync(join(box.store, "containers")).filter((name) => name.length === 64);
  const log = join(box.store, "containers", id!, "log");
  for (const [seconds, word] of [[2_000, "late"], [1_000, "early"], [3_000, "latest"], [1_500, "back"]] as const) {
    const line = Buffer.from(`${word}\n`);
    const frame = Buffer.alloc(28 + line.length);
    frame.writeBigInt64LE(BigInt(seconds), 0);
    frame.writeUInt32LE(1, 16);
    frame.writeUInt32LE(line.length, 20);
    line.copy(frame, 24);
    frame.writeUInt32LE(line.length, 24 + line.length);
    appendFileSync(log, frame);
  }
  assert.equal((await box.succeed(["logs", "cc"])).stdout, "late\nearly\nlatest\nback\n");
  assert.equal((await box.succeed(["logs", "--since", "1500", "cc"])).stdout, "late\nlatest\nback\n");
  assert.equal((await box.succeed(["logs", "--until", "1500", "cc"])).stdout, "early\nback\n");
  assert.equal((await box.succeed(["logs", "--since", "1500", "--tail", "1", "cc"])).stdout, "back\n");
}, { skip });

asBoth(
  "C-135 nobody reads 1 GB, or a reader is stopped: the program never waits, and all of it is in the log",
  async (box) => {
    const { stdout, stderr } = await script(
      box,
      `$D run $N -d --name cc $I sh -c 'yes 0123456789 | head -c 1000000000' >/dev/null
     $D logs -f cc >/dev/null & slow=$!; kill -STOP $slow
     $D wait cc; $D logs cc | wc -c; $D logs --tail 2 cc; kill -CONT $slow
     while grep VmHWM /proc/$slow/status >now 2>/dev/null; do cp now memory; sleep 0.05; done
     wait $slow; echo reader $?; $D rm cc; awk '{ print $2 < 200000 }' memory`,
    );
    assert.equal(stdout, "0\n1000000000\n0123456789\n0123456789reader 0\ncc\n1\n", stderr);
  },
  { skip },
);

asBoth("50 containers start at once, each has its id and its log", async (box) => {
  const { stdout, stderr } = await script(
    box,
    `for i in $(seq 50); do $D run $N -d --name c$i $I sh -c "echo $i; sleep 600" >id$i 2>err$i & done; wait
     cat id* | sort -u | wc -l; cat err*; $D ps -q | wc -l
     for i in $(seq 50); do until [ "$($D logs c$i)" = $i ]; do :; done; done; $D rm -f $($D ps -aq) | wc -l`,
  );
  assert.equal(stdout, "50\n50\n50\n", stderr);
  assert.deepEqual(leftovers(box), []);
}, { skip });

asBoth(
  "20 processes make and remove a container of one name, 5 times each: one at a time has it, none is left",
  async (box) => {
    const { stdout, stderr } = await script(
      box,
      `for i in $(seq 20); do (for k in 1 2 3 4 5; do
       $D run $N -d --name same $I sleep 600 >>ids 2>>errors; $D ps -q --filter name=same | wc -l >>counts
       $D rm -f same >/dev/null 2>>errors
     done) & done; wait
     sort -un counts | tail -1; $D ps -aq; grep -v 'has that name\\|another name\\|No such container\\|removed meanwhile' errors | head -3`,
    );
    assert.match(stdout, /^[01]\n$/, `${stdout}${stderr}`);
    assert.deepEqual(leftovers(box), []);
  },
  { skip },
);

asBoth("rm -f while a container starts, 20 times: it is gone, with its processes, or was never there", async (box) => {
  const { stdout, stderr } = await script(
    box,
    `for i in $(seq 20); do
       $D run $N -d --name cc $I sleep 600 >/dev/null 2>&1 & pid=$!
       while kill -0 $pid 2>/dev/null; do $D rm -f cc >/dev/null 2>>errors; done; wait $pid
       $D rm -f cc >/dev/null; $D ps -aq
     done; grep -vx 'dugout: No such container: cc' errors | sort -u | head -3`,
  );
  assert.equal(stdout, "", stderr);
  assert.deepEqual(leftovers(box), []);
  // the harness finds processes that were left running
}, { skip });

const rootOnly = process.getuid?.() === 0 ? skip : "needs root, for a file system of a few megabytes";

asBoth(
  "C-051 a disk that is full never stops a container; it is listed, stopped, removed, and what is missing is said",
  async (box) => {
    const disk = join(box.home, "disk");
    mkdirSync(disk);
    const { uid, gid } = box.user;
    chownSync(disk, uid, gid);
    const mount = spawnSync("mount", ["-t", "tmpfs", "-o", `size=24m,mode=700,uid=${uid},gid=${gid}`, "tmpfs", disk]);
    assert.equal(mount.status, 0, String(mount.stderr));
    try {
      const { stdout, stderr } = await box.run([
        "sh",
        "-c",
        `
      D="${DUGOUT} --root disk/store"; I=${IMAGE}; N="-q --network none"; $D pull -q $I >/dev/null
      $D run $N -d --name cc $I sh -c 'echo first; yes | head -c 60000000; touch /dev/shm/done; while [ ! -e /dev/shm/go ]; do sleep 0.02; done; echo last; sleep 600' >/dev/null
      until $D logs --tail 1 cc 2>/dev/null | grep -q y; do :; done
      dd if=/dev/zero of=disk/ballast bs=64k 2>/dev/null; sleep 1; dd if=/dev/zero of=disk/ballast2 bs=1 count=4096 2>/dev/null
      $D ps --format '{{.Names}} {{.State}}'; $D stop -t 0 cc; $D ps -a --format '{{.Names}} {{.State}}'; $D wait cc
      rm -f disk/ballast disk/ballast2; $D logs cc 2>err | head -1; $D logs --tail 1 cc 2>/dev/null
      $D start cc; $D rm -f cc`,
      ], { timeoutMs: 60_000 });
      assert.equal(stdout, "cc running\ncc\ncc exited\n137\nfirst\ny\ncc\ncc\n", stderr);
    } finally {
      spawnSync("umount", ["-l", disk]);
    }
  },
  { skip: rootOnly },
);

asBoth(
  "C-055 a home without extended attributes: containers live on there, start again and are removed",
  async (box) => {
    const disk = join(box.home, "disk");
    mkdirSync(disk);
    // ramfs has none
    const mount = spawnSync("mount", ["-t", "ramfs", "ramfs", disk]);
    assert.equal(mount.status, 0, String(mount.stderr));
    chownSync(disk, box.user.uid, box.user.gid);
    try {
      const { stdout, stderr } = await box.run([
        "sh",
        "-c",
        `D="${DUGOUT} --root disk/store"; I=${IMAGE}; N="-q --network none"; $D pull -q $I >/dev/null 2>&1
       $D run $N -d --name cc $I sh -c 'cat /f; echo kept >/f; echo up; sleep 600' >/dev/null
       until [ "$($D logs cc 2>/dev/null)" = up ]; do sleep 0.05; done; $D restart -t 0 cc
       until [ "$($D logs --tail 1 cc)" = up ] && [ "$($D logs cc 2>/dev/null | wc -l)" = 3 ]; do sleep 0.05; done
       $D logs cc 2>/dev/null; $D rm -f cc; $D run $N -d --rm $I true >/dev/null; until [ -z "$($D ps -aq)" ]; do sleep 0.05; done`,
      ], { timeoutMs: 60_000 });
      assert.equal(stdout, "cc\nup\nkept\nup\ncc\n", stderr);
    } finally {
      spawnSync("umount", ["-l", disk]);
    }
  },
  { skip: rootOnly },
);
