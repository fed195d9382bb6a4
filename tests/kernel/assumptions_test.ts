/**
 * What the code relies on of the kernel, one small test each, with the version from which it holds. Where one fails on a new
 * machine, this says why the rest does.
 */
import assert from "node:assert/strict";
import { asBoth, needs, type Sandbox } from "../harness.ts";

/** Runs a shell line as root of a new user namespace with a mount namespace, as a container's set-up does. */
async function inNamespace(box: Sandbox, line: string): Promise<string> {
  const { stdout, stderr } = await box.run(["unshare", "-Urm", "sh", "-c", `exec 2>&1; ${line}`]);
  return stdout + stderr;
}

const OVERLAY = "mount -t overlay overlay -o userxattr,lowerdir=l,upperdir=u,workdir=w m";

asBoth("5.11: a user mounts overlay in a namespace of theirs", async (box) => {
  assert.equal(
    await inNamespace(box, `mkdir l u w m; echo lower >l/a; ${OVERLAY} && cat m/a && echo upper >m/a && cat l/a u/a`),
    "lower\nlower\nupper\n",
  );
});

asBoth("5.8: a user makes the device 0:0, which hides a name in overlay, and no other device", async (box) => {
  const hides = `mkdir l u w m; touch l/a l/b; mknod u/a c 0 0 && ${OVERLAY} && ls m`;
  assert.equal(await inNamespace(box, hides), "b\n");
  // outside of a namespace too
  assert.equal((await box.run(["mknod", "whiteout", "c", "0", "0"])).code, 0);
  assert.match(await inNamespace(box, "mknod null c 1 3"), /Operation not permitted/);
});

asBoth("5.11: user.overlay.opaque hides what is below a directory, with userxattr", async (box) => {
  const line =
    `mkdir -p l/d u/d w m; touch l/d/lower u/d/upper; setfattr -n user.overlay.opaque -v y u/d && ${OVERLAY} && ls m/d`;
  assert.equal(await inNamespace(box, line), "upper\n");
}, { skip: needs("setfattr") });

asBoth("user.* attributes are refused on symbolic links and fifos: records keep what the disk cannot", async (box) => {
  assert.match(await inNamespace(box, "ln -s x link; setfattr -h -n user.a -v b link"), /Operation not permitted/);
  assert.match(await inNamespace(box, "mkfifo fifo; setfattr -n user.a -v b fifo"), /Operation not permitted/);
}, { skip: needs("setfattr") });

asBoth("5.12: overlay refuses metacopy beside userxattr", async (box) => {
  const line = "mkdir l u w m; mount -t overlay overlay -o userxattr,metacopy=on,lowerdir=l,upperdir=u,workdir=w m";
  assert.match(await inNamespace(box, line), /wrong fs type|Invalid argument/);
});

asBoth("3.19: in a namespace that maps one's own group, setgroups is forbidden for good", async (box) => {
  assert.equal(await inNamespace(box, "cat /proc/self/setgroups"), "deny\n");
});

asBoth("newuidmap and newgidmap map the subordinate range", async (box) => {
  const line = "cat /proc/self/uid_map | tr -s ' '; touch f && chown 7:8 f && stat -c %u:%g f";
  const { code, stdout, stderr } = await box.run(["unshare", "--map-root-user", "--map-auto", "sh", "-c", line]);
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    new RegExp(`^ 0 ${box.user.uid} 1\\n 1 \\d+ 65535\\n7:8\\n$|^ 0 ${box.user.uid} 1\\n 1 \\d+ 65536\\n7:8\\n$`),
  );
}, { only: "sub", skip: needs("newuidmap") });

asBoth("without a range chown to another id is refused, so that calls have to be answered", async (box) => {
  assert.match(await inNamespace(box, "touch f; chown 7 f"), /Invalid argument/);
}, { only: "one" });

asBoth("tmpfs, proc, devpts, mqueue, sysfs of one's own network: what a container's root needs", async (box) => {
  const line =
    "set -e; mkdir t p d q s; mount -t tmpfs t t; mount -t proc p p; mount -t devpts -o newinstance,ptmxmode=666 d d; " +
    "mount -t mqueue q q; mount -t sysfs s s; echo all";
  const { stdout, stderr } = await box.run(["unshare", "-Urmpfin", "sh", "-c", line]);
  assert.equal(stdout, "all\n", stderr);
});

asBoth("/dev/fuse and /dev/net/tun are open to users", async (box) => {
  assert.equal(
    (await box.run(["sh", "-c", "exec 3<>/dev/fuse && exec 4<>/dev/net/tun && echo open"])).stdout,
    "open\n",
  );
});

asBoth("a file given as standard input can be opened again for writing: A-025 is no theory", async (box) => {
  const { stdout } = await box.run(["sh", "-c", "echo before >f; sh -c 'echo after >/proc/self/fd/0' <f; cat f"]);
  assert.equal(stdout, "after\n");
});

asBoth("the control group of a test holds what leaves its session, so that leftovers are seen", async (box) => {
  const { stdout } = await box.run(["setsid", "sh", "-c", "cat /proc/self/cgroup"]);
  if (process.getuid?.() === 0) assert.match(stdout, new RegExp(`^0::/${box.path.slice("/tmp/".length)}$`, "m"));
});
