/**
 * Which ids a container has, and whose files are whose: `--userns`.
 */
import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, needsRegistry, REGISTRY, type Sandbox } from "./harness.ts";
import { eventually } from "./support/keepers.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;
const RUN = ["run", "--network", "none", "--rm"];

/** What a command in a container wrote. */
async function output(box: Sandbox, flags: string[], script: string): Promise<string> {
  return (await box.succeed([...RUN, ...flags, IMAGE, "sh", "-c", script])).stdout;
}

/** Makes files of the sandbox's user, whoever runs the test. */
function own({ user }: Sandbox, path: string): void {
  if (process.getuid?.() === 0) chownSync(path, user.uid, user.gid);
}

asBoth("with nomap the caller has no id in the container, and its files are nobody's", async (box) => {
  const [closed, open] = [join(box.home, "closed"), join(box.home, "open")];
  for (const [path, mode] of [[closed, 0o700], [open, 0o755]] as const) {
    mkdirSync(path);
    chmodSync(path, mode);
    writeFileSync(join(path, "file"), "text");
    own(box, path);
    own(box, join(path, "file"));
  }
  await box.succeed(["pull", "-q", IMAGE]);
  const binds = ["--userns", "nomap", "-v", `${closed}:/closed`, "-v", `${open}:/open`];
  assert.doesNotMatch(await output(box, binds, "cat /proc/self/uid_map"), new RegExp(`\\b${box.user.uid}\\b`));
  const text = await output(
    box,
    binds,
    "id -u; id -G; stat -c %u:%g /bin/busybox /open /closed; cat /open/file; echo; " +
      "cat /closed/file || echo closed; touch /open/new || echo not mine; rm /open/file || echo not mine; touch /mine && stat -c %u:%g /mine",
  );
  assert.equal(
    text,
    "0\n0\n0:0\n65534:65534\n65534:65534\ntext\nclosed\nnot mine\nnot mine\n0:0\n",
  );
  assert.deepEqual(readdirSync(open), ["file"]);
}, { skip, only: "sub" });

asBoth("with nomap root of the container is a subordinate id on disk, and what it made can be removed", async (box) => {
  await box.succeed(["run", "--network", "none", "--name", "made", "--userns", "nomap", IMAGE, "mkdir", "-m0", "/a"]);
  const containers = join(box.store, "containers");
  const [id = ""] = readdirSync(containers).filter((name) => name !== "names");
  const made = statSync(join(containers, id, "upper"));
  assert.notEqual(made.uid, box.user.uid);
  await box.succeed(["rm", "made"]);
  assert.deepEqual(readdirSync(containers), ["names"]);
  await box.succeed(["rmi", IMAGE]);
  assert.deepEqual(
    readdirSync(join(box.store, "layers")).flatMap((map) => readdirSync(join(box.store, "layers", map))),
    [],
  );
}, { skip, only: "sub" });

asBoth("with nomap a new volume belongs to root, whether or not the image has something there", async (box) => {
  const flags = ["--userns", "nomap", "-v", "new:/new", "-v", "filled:/etc"];
  const text = await output(box, flags, "stat -c %u /new /etc /etc/passwd; touch /new/a /etc/b && echo written");
  assert.equal(text, "0\n0\n0\nwritten\n");
  assert.equal(await output(box, ["--userns", "nomap", "-v", "new:/new"], "ls /new"), "a\n");
}, { skip, only: "sub" });

asBoth("nomap works by copies, with another user, --init, a part of a volume, and an image as a mount", async (box) => {
  const id = "id -u; echo > /dev/stderr";
  await output(box, ["--userns", "nomap", "-v", "vol:/v"], "mkdir /v/sub; echo part > /v/sub/file");
  assert.equal(await output(box, ["--userns", "nomap", "-u", "33", "--init"], id), "33\n");
  const mounts = [
    "--mount",
    "type=volume,src=vol,dst=/part,volume-subpath=sub",
    "--mount",
    `type=image,src=${IMAGE},dst=/i`,
  ];
  assert.equal(await output(box, ["--userns", "nomap", ...mounts], "cat /part/file; stat -c %u /i/bin"), "part\n0\n");
  const copied = [
    "--storage-driver",
    "vfs",
    ...RUN,
    "--userns",
    "nomap",
    IMAGE,
    "sh",
    "-c",
    "touch /x; stat -c %u /x /bin",
  ];
  assert.equal((await box.succeed(copied)).stdout, "0\n0\n");
}, { skip, only: "sub" });

asBoth(
  "with keep-id and nomap a container in the background is entered, copied to, started again and removed",
  async (box) => {
    writeFileSync(join(box.home, "file"), "text");
    own(box, join(box.home, "file"));
    for (const [userns, user] of [["keep-id", String(box.user.uid)], ["nomap", "0"]] as const) {
      const script = "id -u; trap 'exit 3' TERM; while :; do sleep 0.1; done";
      const start = ["run", "-d", "--name", "kept", "--network", "none", "--userns", userns, "-v", "vol:/data", IMAGE];
      await box.succeed([...start, "sh", "-c", script]);
      assert.equal((await box.succeed(["exec", "kept", "sh", "-c", "touch /data/x && id -u"])).stdout, `${user}\n`);
      await box.succeed(["cp", "file", "kept:/tmp/running"]);
      await box.succeed(["stop", "kept"]);
      assert.equal((await box.succeed(["logs", "kept"])).stdout, `${user}\n`);
      await box.succeed(["cp", "file", "kept:/root/stopped"]);
      await box.succeed(["start", "kept"]);
      const look = ["exec", "-u", "0", "kept", "stat", "-c", "%u", "/tmp/running", "/root/stopped"];
      assert.equal((await box.succeed(look)).stdout, "0\n0\n");
      await box.succeed(["rm", "-f", "-v", "kept"]);
      await box.succeed(["volume", "rm", "vol"]);
      await box.succeed(["run", "-d", "--rm", "--network", "none", "--userns", userns, IMAGE, "mkdir", "-m0", "/a"]);
      const left = () => Promise.resolve(readdirSync(join(box.store, "containers")));
      await eventually(left, (names) => names.length === 1, "the container goes");
    }
  },
  { skip, only: "sub" },
);

asBoth("nomap is refused in one line where there is no other id", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  const { code, stderr } = await box.dugout([...RUN, "--userns", "nomap", IMAGE, "true"]);
  assert.equal(code, 125);
  assert.match(stderr, /^dugout: Cannot leave your own id out of the container .*\n {2}`dugout check` says/);
}, { skip, only: "one" });

asBoth("C-147 keep-id and nomap work below a home of mode 0700 whose group is not mapped", async (box) => {
  const USERS = 100;
  chownSync(box.home, box.user.uid, USERS);
  chmodSync(box.home, 0o700);
  for (const userns of ["keep-id", "nomap"]) {
    const text = await output(
      box,
      ["--userns", userns, "-v", "volume:/etc"],
      "touch /tmp/a /etc/a 2> /dev/null; stat -c %u /tmp/a /bin",
    );
    assert.equal(text, `${userns === "nomap" ? 0 : box.user.uid}\n0\n`);
    await box.succeed(["volume", "rm", "volume"]);
  }
  assert.equal(
    await output(box, ["--userns", "keep-id", "-v", `${box.home}:/h`], "touch /h/x && id -u"),
    `${box.user.uid}\n`,
  );
  assert.equal(statSync(join(box.home, "x")).uid, box.user.uid);
  await box.succeed(["rmi", IMAGE]);
}, {
  skip: skip || (process.getuid?.() !== 0 && "needs root, to give a directory to a group that the user is not in"),
  only: "sub",
});
