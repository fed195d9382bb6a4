/** `cp`, both ways, of containers that run and that do not. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needsRegistry, REGISTRY, type Result, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

/** Makes a container that has ended. */
async function stopped(box: Sandbox, name: string, script: string, ...flags: string[]): Promise<void> {
  await box.succeed(["run", "-q", "--network", "none", "--name", name, ...flags, IMAGE, "sh", "-c", script]);
}

/** Does something while a container runs whose script has made the file /ready. */
async function running(box: Sandbox, script: string, shell: string, ...flags: string[]): Promise<Result> {
  await box.succeed(["pull", "-q", IMAGE]);
  const around = `D=${DUGOUT}; $D run -d -q --network none --name cc "$@" >/dev/null || exit 9
until $D cp cc:/ready - >/dev/null 2>&1; do sleep 0.1; done; ${shell}
$D rm -f cc >/dev/null`;
  return await box.run(["sh", "-c", around, "sh", ...flags, IMAGE, "sh", "-c", `${script}; touch /ready; sleep 600`], {
    timeoutMs: 60_000,
  });
}

/** Makes sources and destinations, copies by each row of docker's table, and tells what came of it. */
const TABLE = `
row() { "$D" cp "$1" "$2" 2>/dev/null; echo "$? $3"; }
mkdir -p src/sub there && echo f >file && echo s >src/sub/s && echo old >exists
for pair in "file new1" "file new2/" "file exists" "file there" "src new3" "src new4/" "src exists" "src there" "src/. new5" "src/. exists" "src/. there"; do
  set -- $pair
  row "$1" "cc:/t/$2" "in $1 $2"
done
"$D" cp cc:/t got
(cd got && find . | sort) && cat got/exists
cd got && mkdir back && cd back && mkdir there && echo old >exists
for pair in "new1 a" "new1 b/" "new1 exists" "new1 there" "new3 c" "new3 d/" "new3 exists" "new3 there" "new3/. e" "new3/. exists" "new3/. there"; do
  set -- $pair
  row "cc:/t/$1" "$2" "out $1 $2"
done
find . | sort && cat exists; cd ../..; rm -rf got src there file exists
`;

const ROWS = `0 in file new1
1 in file new2/
0 in file exists
0 in file there
0 in src new3
0 in src new4/
1 in src exists
0 in src there
0 in src/. new5
1 in src/. exists
0 in src/. there
.
./exists
./new1
./new3
./new3/sub
./new3/sub/s
./new4
./new4/sub
./new4/sub/s
./new5
./new5/sub
./new5/sub/s
./there
./there/file
./there/src
./there/src/sub
./there/src/sub/s
./there/sub
./there/sub/s
f
0 out new1 a
1 out new1 b/
0 out new1 exists
0 out new1 there
0 out new3 c
0 out new3 d/
1 out new3 exists
0 out new3 there
0 out new3/. e
1 out new3/. exists
0 out new3/. there
.
./a
./c
./c/sub
./c/sub/s
./d
./d/sub
./d/sub/s
./e
./e/sub
./e/sub/s
./exists
./there
./there/new1
./there/new3
./there/new3/sub
./there/new3/sub/s
./there/sub
./there/sub/s
f
`;

const MAKE_TABLE = "mkdir -p /t/there; echo old >/t/exists";

asBoth("C-085 the table of docker's reference for cp, both ways, on a stopped container", async (box) => {
  await stopped(box, "cc", MAKE_TABLE);
  const { stdout } = await box.run(["sh", "-c", `D=${DUGOUT}; ${TABLE}`]);
  assert.equal(stdout, ROWS);
}, { skip });

asBoth("C-085 the same on a running one", async (box) => {
  assert.equal((await running(box, MAKE_TABLE, TABLE)).stdout, ROWS);
}, { skip });

asBoth(
  "C-086 a dangling link is followed within the root, with a slash it is an error; -L follows a source",
  async (box) => {
    const make =
      "mkdir -p /d; ln -s gone /d/rel; ln -s /d/gone2 /d/abs; ln -s ../../../../../../d/gone3 /d/up; echo pw >/pw; ln -s /pw /d/pw";
    await stopped(box, "cc", make);
    const script = `D=${DUGOUT}; echo f >f
    for l in rel abs up; do $D cp f cc:/d/$l/ 2>/dev/null; echo $?; $D cp f cc:/d/$l; echo $?; done
    $D cp cc:/d/gone - | tar tO >/dev/null; $D cp cc:/d - | tar t | sort
    $D cp cc:/d/pw link; $D cp -L cc:/d/pw file; readlink link; cat file
    ln -s f l; $D cp l cc:/l1; $D cp -L l cc:/l2; $D cp cc:/l1 l1; $D cp cc:/l2 l2; readlink l1; cat l2`;
    const { stdout } = await box.run(["sh", "-c", script]);
    assert.equal(stdout, "1\n0\n1\n0\n1\n0\nd/\nd/abs\nd/gone\nd/gone2\nd/gone3\nd/pw\nd/rel\nd/up\n/pw\npw\nf\nf\n");
  },
  { skip },
);

asBoth("owners, modes, hard links, holes and attributes come and go", async (box) => {
  const make =
    "mkdir /d; echo a >/d/a; ln /d/a /d/b; chmod 4751 /d/a; mkfifo /d/p; mkdir -m 1777 /d/t; touch -d @1000000000 /d/t";
  await stopped(box, "cc", make);
  const script = `D=${DUGOUT}; $D cp cc:/d out; stat -c '%a %h %n' out/a out/b out/p out/t; stat -c %Y out/t
    truncate -s 2G holes; $D cp holes cc:/d/holes; $D cp cc:/d/holes back; stat -c '%s' back; test $(stat -c %b back) -lt 100 && echo sparse
    chmod 640 out/b; $D cp out/b cc:/d/mode; $D cp cc:/d/mode - | tar tvn | cut -c1-14`;
  const { stdout } = await box.run(["sh", "-c", script], { timeoutMs: 60_000 });
  assert.equal(
    stdout,
    "751 2 out/a\n751 2 out/b\n644 1 out/p\n1777 2 out/t\n1000000000\n2147483648\nsparse\n-rw-r----- 0/0\n",
  );
}, { skip });

asBoth("an archive on standard input keeps its owners; -a keeps a file's", async (box) => {
  await stopped(box, "cc", "mkdir -p /lib2; ln -s lib2 /lib1");
  const script = `D=${DUGOUT}; mkdir -p lib1; echo x >lib1/x
    tar c --owner=33 --group=44 lib1/x | $D cp - cc:/; $D cp cc:/lib2/x - | tar tvn | cut -d' ' -f2
    $D cp -a lib1/x cc:/y; $D cp cc:/y - | tar tvn | cut -d' ' -f2
    echo junk | $D cp - cc:/; echo $?; tar c lib1 | $D cp - cc:/lib2/x; echo $?; tar c lib1 | $D cp - cc:/nope; echo $?`;
  const { stdout } = await box.run(["sh", "-c", script]);
  const own = `${box.user.uid}/${box.user.gid}`;
  // with a single id every file of a container is its root's
  const [first, second] = box.user.kind === "sub" ? ["33/44", own] : ["0/0", "0/0"];
  assert.equal(stdout, `${first}\n${second}\n1\n1\n1\n`);
}, { skip });

asBoth("-a out of a container gives files to the ids that they have there", async (box) => {
  await stopped(box, "cc", "echo x >/x; chown 33:44 /x");
  const { stdout } = await box.run([
    "sh",
    "-c",
    `D=${DUGOUT}; $D cp -a cc:/x x && $D unshare stat -c %u:%g x && rm -f x`,
  ]);
  assert.equal(stdout, "33:44\n");
}, { skip, only: "sub" });

asBoth(
  "volumes, binds and files in memory are seen as the container sees them; read-only ones stay so",
  async (box) => {
    const shell = `echo n >n
    $D cp cc:/v/a a && cat a; $D cp n cc:/v/n; $D cp cc:/tmp/m m && cat m; $D cp n cc:/b/n && cat bound/n; $D cp n cc:/r/n; echo $?
    $D cp cc:/proc/1/root/etc x; echo $?; $D cp cc:/etc/hostname h && test -s h && echo hostname; $D stop -t 0 cc >/dev/null
    $D cp cc:/v/n v && cat v; $D cp cc:/b/n b && cat b; $D cp n cc:/r/n; echo $?; $D cp cc:/tmp/m gone; echo $?`;
    const { stdout, stderr } = await box.run(["mkdir", "bound", "ro"]).then(() =>
      running(
        box,
        "echo a >/v/a; echo m >/tmp/m",
        shell,
        "-v",
        "vol:/v",
        "--tmpfs",
        "/tmp",
        "-v",
        "./bound:/b",
        "-v",
        "./ro:/r:ro",
      )
    );
    assert.equal(stdout, "a\nm\nn\n1\n1\nhostname\nn\nn\n1\n1\n", stderr);
    assert.match(stderr, /read-only/);
  },
  { skip },
);

asBoth("copies of what is not there, onto what is no directory and between containers say so", async (box) => {
  await stopped(box, "cc", "mkdir /d; echo f >/f");
  for (
    const [args, message] of [
      [["cc:/nope", "x"], /Could not find the file \/nope in container cc/],
      [["nope", "cc:/d"], /nope": no such file or directory/],
      [["cc:/f", "nodir/x"], /no such file or directory/],
      [["cc:/f/", "x"], /Could not find the file/],
      [["cc:/f", "cc:/g"], /copying between containers is not supported/],
      [["a", "b"], /must specify at least one container source/],
      [["nobody:/f", "x"], /No such container: nobody/],
    ] as const
  ) {
    const { code, stderr } = await box.dugout(["cp", ...args]);
    assert.equal(code, 1, args.join(" "));
    assert.match(stderr, message);
  }
  await box.run(["mkdir", "-p", "has/d", "d/f"]);
  assert.equal((await box.dugout(["cp", "cc:/d", "has"])).code, 0);
  assert.equal((await box.dugout(["cp", "cc:/f", "d"])).code, 1);
  assert.deepEqual(readdirSync(box.home).filter((name) => name.endsWith("x")), []);
}, { skip });

asBoth("A-003 A-012 two copies that lay a link and go through it touch nothing outside", async (box) => {
  await stopped(box, "one", `mkdir -p /o; ln -s ${box.canary} /o/p; ln -s .. /o/q`);
  await stopped(
    box,
    "two",
    "mkdir -p /o/p /o/q; echo made >/o/p/made; echo made >/o/q/made; touch /o/s; chmod 6755 /o/s",
  );
  await box.succeed(["cp", "one:/o", "."]);
  const { code, stderr } = await box.dugout(["cp", "two:/o", "."]);
  assert.equal(code, 1);
  assert.match(stderr, /with a directory/);
  await box.succeed(["cp", "two:/o/s", "s"]);
  assert.equal(statSync(join(box.home, "s")).mode & 0o7777, 0o755);
}, { skip });

asBoth("A-002 A-006 hostile archives on standard input reach nothing outside of the container", async (box) => {
  await stopped(box, "cc", "true");
  const script = `D=${DUGOUT}; mkdir a && cd a && ln -s ${box.canary} l && echo x >f
    tar c l >../t; rm l; mkdir l; echo made >l/made; tar rf ../t l/made; tar rf ../t --transform 's,^f,../../f,' -P f
    cd ..; $D cp - cc:/tmp <t; echo $?; tar cP --transform 's,^a/f,.,' a/f | $D cp - cc:/tmp; echo $?`;
  const { stdout } = await box.run(["sh", "-c", script]);
  assert.equal(stdout, "1\n1\n");
}, { skip });

asBoth("A-046 A-048 A-005 copies while a process in the container swaps links reach nothing outside", async (box) => {
  const swap = `mkdir -p /a/b /evil; echo in >/a/b/f; ln -s ${box.canary} /evil/b; cp /a/b/f /evil/f
    (while :; do mv /a /x; ln -s ${box.canary} /a; rm /a; mv /x /a; mv /a/b /a/c; ln -s ${box.canary} /a/b; rm /a/b; mv /a/c /a/b; done) 2>/dev/null & true`;
  // what is copied may be one of the links, and a destination that is a link is the user's own: so it goes before the next copy
  const shell = `echo mine >file; mkdir dir; echo mine >dir/file; i=0
    while [ $i -lt 4 ]; do
      for p in /a/b /a/b/f /a/b/ /a/b/. /a; do $D cp cc:$p out.$i 2>/dev/null; rm -rf out.$i; $D cp -L cc:$p out.$i 2>/dev/null; rm -rf out.$i; done
      for p in /a/b /a/b/f /a/b/ /a/; do $D cp file cc:$p 2>/dev/null; $D cp dir/. cc:$p 2>/dev/null; done
      $D cp cc:/a/b - 2>/dev/null | grep -ac "inner canary" | grep -v 0
      i=$((i+1))
    done; echo done`;
  const { stdout } = await running(box, swap, shell);
  assert.equal(stdout, "done\n");
}, { skip });

asBoth("A-047 nothing that is found in a container is executed", async (box) => {
  const traps =
    `for f in tar sh xz gzip cat; do printf '#!/bin/touch /ran\\n' >/trap.$f; done; echo /trap.so >/etc/ld.so.preload
    printf 'passwd: trap\\n' >/etc/nsswitch.conf; echo x >/file`;
  await stopped(box, "cc", traps);
  const script =
    `D=${DUGOUT}; $D cp cc:/ all && test ! -e all/ran && $D cp all/file cc:/etc/ && $D cp cc:/etc - | tar t >/dev/null; echo $?`;
  assert.equal((await box.run(["sh", "-c", script])).stdout, "0\n");
}, { skip });

asBoth(
  "A-009 directories deeper than a path can say are refused by name, and the container can be removed",
  async (box) => {
    // three chains, each as long as a path may be, laid one into the other
    const deep =
      "p=; i=0; while [ $i -lt 900 ]; do p=$p/d; i=$((i+1)); done; mkdir -p /x$p /y$p /z$p; mv /z /y$p/; mv /y /x$p/; mv /x /d";
    await stopped(box, "cc", deep);
    const { code, stderr } = await box.dugout(["cp", "cc:/d", "out"], { timeoutMs: 60_000 });
    assert.equal(code, 1);
    assert.match(stderr, /more than 4095/);
    assert.ok(stderr.length < 2000, "the message is one line");
    await box.succeed(["rm", "cc"]);
    await box.run(["rm", "-rf", "out"]);
  },
  { skip },
);

asBoth("kill -9 of cp at any moment leaves whole files only, and the next copy works", async (box) => {
  await stopped(
    box,
    "cc",
    "mkdir /d; i=0; while [ $i -lt 200 ]; do head -c 65536 /dev/zero | tr '\\0' x >/d/$i; i=$((i+1)); done",
  );
  const script = `D=${DUGOUT}; mkdir in && $D cp cc:/d in/
    for i in $(seq 20); do
      $D cp cc:/d out & pid=$!; sleep 0.0$((i % 10)); kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
      $D cp in/d cc:/new & pid=$!; sleep 0.0$((i % 10)); kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
      find out -type f -size -65536c 2>/dev/null
    done
    sleep 0.5; $D cp cc:/d out2 && diff -r out2 in/d && $D cp in/d cc:/last && $D cp cc:/last out3 && diff -r out3 in/d && echo same
    $D cp cc:/new out4 2>/dev/null; find out4 -type f -size -65536c`;
  const { stdout, stderr } = await box.run(["sh", "-c", script], { timeoutMs: 110_000 });
  assert.equal(stdout, "same\n", stderr);
}, { skip });

asBoth("a created container takes files before its first start, also into its volumes", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  await box.succeed([
    "create",
    "--network",
    "none",
    "--name",
    "cc",
    "-v",
    "vol:/data",
    IMAGE,
    "cat",
    "/data/f",
    "/etc/own",
  ]);
  const script =
    `D=${DUGOUT}; echo in >f; $D cp cc:/data got && ls got; $D cp f cc:/data/ && $D cp f cc:/etc/own && $D start -a cc`;
  assert.equal((await box.run(["sh", "-c", script])).stdout, "in\nin\n");
  assert.equal(readFileSync(join(box.home, "f"), "utf8"), "in\n");
}, { skip });

asBoth("files of containers with other ids, with directories of the host as their root", async (box) => {
  await box.run(["sh", "-c", `${DUGOUT} pull -q ${IMAGE}; mkdir root; echo f >f`]);
  await stopped(box, "keep", "mkdir /y; echo y >/y/y", "--userns", "keep-id", "--user", "0");
  await box.succeed(["cp", "keep:/bin", "root/"]);
  const rootfs = async (name: string, path: string) =>
    await box.succeed([
      "run",
      "-q",
      "--network",
      "none",
      "--name",
      name,
      "--rootfs",
      path,
      "sh",
      "-c",
      "echo own >/own",
    ]);
  await rootfs("direct", "root");
  await rootfs("over", "root:O");
  const script = `D=${DUGOUT}
    for c in keep direct over; do $D cp f $c:/in && $D cp $c:/in - | tar xO; done
    $D cp keep:/y y && stat -c %u y/y; cat root/in root/own; $D diff over; $D diff keep; $D diff direct 2>/dev/null; echo $?
    $D export over | tar t bin/sh own in; $D start -a over; echo $?; $D commit over 2>/dev/null; echo $?`;
  const { stdout, stderr } = await box.run(["sh", "-c", script]);
  assert.equal(
    stdout,
    `f\nf\nf\n${box.user.uid}\nf\nown\nC /in\nC /own\nA /in\nA /y\nA /y/y\n1\nbin/sh\nin\nown\n0\n1\n`,
    stderr,
  );
}, { skip });
