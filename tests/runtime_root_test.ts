/** The OCI runtime as root: on its own bundles, on those of others, and on states that a user has written. */
import assert from "node:assert/strict";
import test from "node:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, ROOT, runCommand, withSandbox } from "./harness.ts";
import { BUSYBOX, changeConfig, makeBundle } from "./support/bundle.ts";

const skip = process.getuid?.() !== 0 ? "needs root" : BUSYBOX === undefined && "needs busybox";

/** `dugout runtime` as root. */
function asRoot(...args: string[]) {
  return runCommand([DUGOUT, "runtime", ...args], { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root" } });
}

/** A directory of states that is the caller's, outside of the sandbox's home. */
function makeRoot(uid: number, gid: number): string {
  const root = mkdtempSync("/tmp/dugout-test-runtime-");
  chownSync(root, uid, gid);
  return root;
}

test(
  "root's own bundle runs without a user namespace, with devices of its own",
  { skip },
  () =>
    withSandbox(ROOT, async (box) => {
      const root = makeRoot(0, 0);
      try {
        const bundle = await makeBundle(box, "b", (config) => {
          config.process.args = [
            "sh",
            "-c",
            "cat /proc/self/uid_map; ls -l /dev/null; echo to /dev/null > /dev/null; grep ' / ' /proc/self/mounts",
          ];
          config.linux["devices"] = [{
            type: "c",
            path: "/dev/own",
            major: 1,
            minor: 3,
            fileMode: 0o600,
            uid: 7,
            gid: 8,
          }];
        });
        const { code, stdout, stderr } = await asRoot("--root", root, "run", "--bundle", bundle, "roots");
        assert.equal(code, 0, stderr);
        assert.match(stdout, /^ +0 +0 +4294967295\n/);
        assert.match(stdout, /^crw-rw-rw-.* 1, +3 .*\/dev\/null$/m);
        // rules that forbid devices hold for nodes that lie in the root directory, too
        assert.match(stdout, / \/ .*nodev/);
        changeConfig(bundle, (config) => (config.process["capabilities"] = { bounding: ["CAP_MKNOD"] }));
        const refused = await asRoot("--root", root, "run", "--bundle", bundle, "roots");
        assert.match(refused.stderr, /CAP_MKNOD/);
        assert.equal(refused.code, 1);
      } finally {
        rmSync(root, { recursive: true, force: true });
      }
    }),
);

asBoth("A-095 root runs no bundle and no hook that others than root may change", async (box) => {
  const root = makeRoot(0, 0);
  const canary = join(box.home, "canary");
  try {
    const bundle = await makeBundle(box, "b", (config) => {
      config.process.args = ["true"];
      config.hooks = { createRuntime: [{ path: "/usr/bin/touch", args: ["touch", canary] }] };
      config.linux = { namespaces: [{ type: "mount" }, { type: "pid" }] };
      delete config["hostname"];
    });
    const foreign = await asRoot("--root", root, "run", "--bundle", bundle, "x");
    assert.deepEqual([foreign.code, /it belongs to user/.test(foreign.stderr)], [1, true], foreign.stderr);
    chownSync(bundle, 0, 0);
    const file = await asRoot("--root", root, "run", "--bundle", bundle, "x");
    assert.deepEqual([file.code, /config\.json.*it belongs to user/.test(file.stderr)], [1, true], file.stderr);
    chownSync(join(bundle, "config.json"), 0, 0);
    chmodSync(join(bundle, "config.json"), 0o666);
    assert.match((await asRoot("--root", root, "run", "--bundle", bundle, "x")).stderr, /others may write it/);
    chmodSync(join(bundle, "config.json"), 0o644);
    // the hook's program is one that the user can replace
    const program = join(box.home, "hook");
    writeFileSync(program, `#!/bin/sh\ntouch ${canary}\n`, { mode: 0o755 });
    chownSync(program, box.user.uid, box.user.gid);
    changeConfig(bundle, (config) => (config.hooks = { createRuntime: [{ path: program }] }));
    const hook = await asRoot("--root", root, "run", "--bundle", bundle, "x");
    assert.deepEqual([hook.code, /cannot run the hook/.test(hook.stderr)], [1, true], hook.stderr);
    assert.equal(existsSync(canary), false);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}, { skip });

asBoth(
  "A-094 root becomes the owner of a user's states before it believes them: nothing happens beyond the user's rights",
  async (box) => {
    const root = makeRoot(box.user.uid, box.user.gid);
    const outside = join("/tmp", `dugout-test-outside-${box.path.split("-")[1]}`);
    mkdirSync(outside, { mode: 0o700 });
    writeFileSync(join(outside, "kept"), "");
    const sleeper = runCommand(["/bin/sleep", "30"], { timeoutMs: 40_000 });
    try {
      // a whole life first: Slurm's calls
      const bundle = await makeBundle(box, "b", (config) => (config.process.args = ["sleep", "600"]));
      const start = `exec "$0" runtime --root "$1" run --detach --bundle "$2" web >/dev/null 2>&1 </dev/null`;
      assert.equal((await box.run(["/bin/sh", "-c", start, DUGOUT, root, bundle])).code, 0);
      rmSync(bundle, { recursive: true });
      const state = await asRoot("--root", root, "state", "web");
      assert.equal(JSON.parse(state.stdout).status, "running");
      const unknown = await asRoot("--root", root, "state", "unknown");
      assert.deepEqual([unknown.code, unknown.stdout], [1, ""]);
      assert.equal((await asRoot("--root", root, "kill", "web", "KILL")).code, 0);
      assert.equal((await asRoot("--root", root, "delete", "--force", "web")).code, 0);
      assert.equal(existsSync(join(root, "web")), false);

      // states that the user has made up
      const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      const [victim] = (await runCommand(["/usr/bin/pgrep", "-u", "0", "-f", "^/bin/sleep 30$"])).stdout.trim().split(
        "\n",
      );
      const stat = readFileSync(`/proc/${victim}/stat`, "utf8");
      const startTime = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
      const write = (id: string, text: string) => {
        const directory = join(root, id);
        mkdirSync(directory, { recursive: true });
        writeFileSync(join(directory, "state.json"), text);
        for (const path of [directory, join(directory, "state.json")]) chownSync(path, box.user.uid, box.user.gid);
      };
      const told = (change: object) =>
        JSON.stringify({
          id: "evil",
          pid: Number(victim),
          bootId,
          startTime,
          bundle: "/",
          rootfs: "/",
          created: "",
          owner: "",
          creating: false,
          annotations: {},
          group: outside,
          ...change,
        });
      write("evil", told({}));
      const kill = await asRoot("--root", root, "kill", "evil", "KILL");
      assert.deepEqual([kill.code, /EPERM/.test(kill.stderr)], [1, true], kill.stderr);
      await asRoot("--root", root, "delete", "--force", "evil");
      // one whose first process has ended: its group is removed, with the user's rights
      write("evil", told({ pid: 4_000_000 }));
      await asRoot("--root", root, "delete", "--force", "evil");
      assert.ok(existsSync(join(outside, "kept")));
      assert.ok(existsSync(`/proc/${victim}`));
      symlinkSync(outside, join(root, "link"));
      assert.equal((await asRoot("--root", root, "delete", "--force", "link")).code, 0);
      assert.ok(existsSync(join(outside, "kept")));
      for (
        const text of ["", "{", "[".repeat(10_000), told({ pid: -1 }), told({ id: "other" }), "x".repeat(17 << 20)]
      ) {
        write("evil", text);
        assert.equal((await asRoot("--root", root, "state", "evil")).code, 1);
      }
      rmSync(join(root, "evil"), { recursive: true });
      mkdirSync(join(root, "evil"));
      await runCommand(["/usr/bin/mkfifo", join(root, "evil/state.json")]);
      assert.equal((await asRoot("--root", root, "state", "evil")).code, 1);
      for (const id of ["..", ".", "../..", "/", "a/b"]) {
        assert.equal((await asRoot("--root", root, "delete", "--force", id)).code, 1);
      }
    } finally {
      await runCommand(["/usr/bin/pkill", "-u", "0", "-f", "^/bin/sleep 30$"]);
      await sleeper;
      rmSync(root, { recursive: true, force: true });
      rmSync(outside, { recursive: true, force: true });
    }
  },
  { skip },
);

asBoth("A-094 a directory of states that is a link, somebody's, or open to others is not used", async (box) => {
  const root = makeRoot(box.user.uid, box.user.gid);
  try {
    symlinkSync(root, join(box.home, "link"));
    assert.match(
      (await box.dugout(["runtime", "--root", join(box.home, "link"), "list"])).stderr,
      /it is no directory/,
    );
    chmodSync(root, 0o777);
    assert.match((await box.dugout(["runtime", "--root", root, "list"])).stderr, /others may write there/);
    chmodSync(root, 0o755);
    chownSync(root, 65534, 65534);
    assert.match((await box.dugout(["runtime", "--root", root, "list"])).stderr, /it belongs to user 65534/);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}, { skip });

asBoth("A-096 with the set-user-id bit the runtime does nothing", async (box) => {
  const copy = join(box.home, "dugout-runtime");
  await runCommand(["/bin/cp", DUGOUT, copy]);
  chmodSync(copy, 0o4755);
  const { code, stderr } = await box.run([copy, "list"]);
  assert.deepEqual([code, /refusing to run with rights that the caller does not have/.test(stderr)], [1, true], stderr);
  rmSync(copy);
}, { skip });
