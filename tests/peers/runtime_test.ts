/** Engines and tools that call an OCI runtime, on `dugout runtime`. */
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needs, needsRegistry, REGISTRY, type Sandbox } from "../harness.ts";
import { changeConfig } from "../support/bundle.ts";

const IMAGE = `${REGISTRY}/busybox`;

/** The runtime under the name by which it is one. */
function makeRuntime(box: Sandbox): string {
  const path = join(box.home, "dugout-runtime");
  copyFileSync(DUGOUT, path);
  return path;
}

asBoth("podman runs containers on it: exit codes, exec, signals, terminals' sizes, networks, keep-id", async (box) => {
  const runtime = makeRuntime(box);
  const podman = (...args: string[]) =>
    box.run(["/usr/bin/podman", "--log-level=error", "--cgroup-manager=cgroupfs", "--runtime", runtime, ...args], {
      timeoutMs: 90_000,
    });
  const run = ["run", "--rm", "--network", "none"];
  try {
    assert.equal((await podman("pull", "-q", "--tls-verify=false", IMAGE)).code, 0);
    for (
      const [args, code, words] of [
        [[...run, IMAGE, "sh", "-c", "id -u; exit 3"], 3, /^0\n$/],
        [[...run, IMAGE, "nope"], 127, /executable file not found in \$PATH/],
        [[...run, IMAGE, "/etc"], 126, /permission denied/i],
        [[...run, "--userns", "keep-id", IMAGE, "id", "-u"], 0, new RegExp(`^${box.user.uid}\n$`)],
        [[...run, "--tmpfs", "/tmp", IMAGE, "grep", " /tmp ", "/proc/mounts"], 0, /^tmpfs \/tmp tmpfs/],
        [["run", "--rm", IMAGE, "cat", "/proc/net/dev"], 0, /tap0/],
        [[...run, "--read-only", IMAGE, "touch", "/x"], 1, /Read-only/],
        [[...run, "--sysctl", "net.ipv4.ip_forward=1", IMAGE, "cat", "/proc/sys/net/ipv4/ip_forward"], 0, /^1\n$/],
        [[...run, "--device", "/dev/fuse", IMAGE, "ls", "/dev/fuse"], 0, /fuse/],
        [[...run, "--privileged", IMAGE, "grep", "Seccomp:", "/proc/self/status"], 0, /Seccomp:\t0/],
        [[...run, "--user", "33:44", "--group-add", "5", IMAGE, "id", "-G"], 0, /\b5\b/],
      ] as const
    ) {
      const result = await podman(...args);
      assert.equal(result.code, code, `${args.join(" ")}: ${result.stderr}`);
      assert.match(result.stdout + result.stderr, words, args.join(" "));
    }
    const server = "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done";
    assert.equal((await podman("run", "-d", "--name", "web", "--network", "none", IMAGE, "sh", "-c", server)).code, 0);
    assert.equal(
      (await podman("exec", "-w", "/tmp", "-e", "A=b", "web", "sh", "-c", "pwd; echo $A; exit 4")).stdout,
      "/tmp\nb\n",
    );
    assert.equal((await podman("exec", "web", "sh", "-c", "exit 4")).code, 4);
    assert.equal((await podman("exec", "web", "nope")).code, 127);
    assert.match((await podman("logs", "web")).stdout, /up/);
    await podman("stop", "web");
    assert.equal(
      (await podman("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "web")).stdout,
      "exited 5\n",
    );
    await podman("start", "web");
    await podman("kill", "web");
    assert.equal((await podman("wait", "web")).stdout, "137\n");
  } finally {
    await podman("system", "reset", "--force");
  }
}, { skip: needs("podman", "conmon") || needsRegistry(), only: "sub" });

asBoth("buildah runs steps of a build on it", async (box) => {
  const runtime = makeRuntime(box);
  const buildah = (...args: string[]) =>
    box.run(["/usr/bin/buildah", ...args], { timeoutMs: 90_000, env: { TMPDIR: box.home } });
  const name = (await buildah("from", "-q", "--tls-verify=false", IMAGE)).stdout.trim();
  const run = ["run", "--isolation", "oci", "--runtime", runtime, "--network", "none", name, "sh", "-c"];
  try {
    assert.equal((await buildah(...run, "echo made > /made; exit 6")).code, 6);
    assert.equal((await buildah(...run, "cat /made")).stdout, "made\n");
  } finally {
    await buildah("rm", "--all");
    await box.run(["/usr/bin/buildah", "unshare", "rm", "-rf", join(box.home, ".local/share/containers")]);
  }
}, { skip: needs("buildah") || needsRegistry(), only: "sub" });

asBoth("a bundle that umoci unpacked runs on it", async (box) => {
  const copy = [
    "/usr/bin/skopeo",
    "copy",
    "-q",
    "--src-tls-verify=false",
    `docker://${IMAGE}`,
    `oci:${box.home}/image:latest`,
  ];
  // else it leaves files in /var/tmp for as long as it runs
  assert.equal((await box.run(copy, { env: { TMPDIR: box.home } })).code, 0);
  const bundle = join(box.home, "bundle");
  assert.equal(
    (await box.run(["/usr/bin/umoci", "unpack", "--rootless", "--image", `${box.home}/image:latest`, bundle])).code,
    0,
  );
  changeConfig(bundle, (config) => {
    config.process.terminal = false;
    config.process.args = ["sh", "-c", "id -u; exit 3"];
  });
  const { code, stdout, stderr } = await box.dugout(["runtime", "run", "--bundle", bundle, "unpacked"]);
  assert.deepEqual([code, stdout], [3, "0\n"], stderr);
}, { skip: needs("umoci", "skopeo") || needsRegistry() });
