/** Pushing to a real registry: what comes back is what went, for other tools too. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needs, needsRegistry, REGISTRY, type Sandbox } from "./harness.ts";
import { withPrivateRegistry } from "./support/private_registry.ts";

const skip = needsRegistry() || needs("skopeo", "docker-registry");

async function inspectDigest(box: Sandbox, name: string): Promise<string> {
  const { code, stdout, stderr } = await box.run([
    "skopeo",
    "inspect",
    "--tls-verify=false",
    "--format",
    "{{.Digest}}",
    `docker://${name}`,
  ]);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

asBoth(
  "C-034 a pulled image goes to another registry byte for byte, whatever its layers are compressed with",
  async (box) => {
    await withPrivateRegistry(async ({ host }) => {
      for (const tag of ["latest", "plain", "members", "zstd", "docker"]) {
        const name = `${host}/copies/busybox:${tag}`;
        await box.succeed(["pull", "-q", `${REGISTRY}/busybox:${tag}`]);
        // it has been used in between
        await box.succeed(["run", "--rm", "--network", "none", `${REGISTRY}/busybox:${tag}`, "true"]);
        await box.succeed(["tag", `${REGISTRY}/busybox:${tag}`, name]);
        const { stdout } = await box.succeed(["push", name]);
        const digest = await inspectDigest(box, `${REGISTRY}/busybox:${tag}`);
        assert.match(stdout, /^The push refers to repository \[127\.0\.0\.1:\d+\/copies\/busybox\]\n/);
        assert.match(stdout, new RegExp(`\n${tag}: digest: ${digest} size: \\d+\n$`));
        assert.equal(await inspectDigest(box, name), digest);
        const again = await box.succeed(["push", name]);
        assert.doesNotMatch(again.stdout, /Pushed/);
      }
      // and back into an empty store, where it runs
      await box.succeed(["--root", join(box.home, "second"), "pull", "-q", `${host}/copies/busybox:docker`]);
      const { stdout } = await box.succeed([
        "--root",
        join(box.home, "second"),
        "run",
        "--rm",
        "--network",
        "none",
        `${host}/copies/busybox:docker`,
        "echo",
        "hello",
      ]);
      assert.equal(stdout, "hello\n");
    });
  },
  { skip },
);

asBoth(
  "all tags of a repository, and one platform of an index",
  async (box) => {
    await withPrivateRegistry(async ({ host }) => {
      for (const tag of ["latest", "plain"]) {
        await box.succeed(["pull", "-q", `${REGISTRY}/busybox:${tag}`]);
        await box.succeed(["tag", `${REGISTRY}/busybox:${tag}`, `${host}/all:${tag}`]);
      }
      await box.succeed(["push", "-a", `${host}/all`]);
      const { stdout } = await box.run(["skopeo", "list-tags", "--tls-verify=false", `docker://${host}/all`]);
      assert.deepEqual(JSON.parse(stdout).Tags, ["latest", "plain"]);
      // the layer that is known to be in another repository of that registry is mounted from there
      await box.succeed(["tag", `${host}/all:latest`, `${host}/other:1`]);
      const { stdout: mounted } = await box.succeed(["push", `${host}/other:1`]);
      assert.match(mounted, /: Mounted from all\n/);
      await box.succeed(["pull", "-q", "--platform", "linux/arm64", `${REGISTRY}/multi`]);
      await box.succeed(["tag", `${REGISTRY}/multi`, `${host}/multi`]);
      await box.succeed(["push", "-q", "--platform", "linux/arm64", `${host}/multi`]);
      const inspect = await box.run(["skopeo", "inspect", "--tls-verify=false", `docker://${host}/multi`, "--config"]);
      assert.equal(JSON.parse(inspect.stdout).architecture, "arm64");
    });
  },
  { skip },
);

asBoth(
  "C-037 a registry that is killed during a push and comes back gets the rest, in a bounded amount of memory",
  async (box) => {
    await withPrivateRegistry(async ({ host, kill, start, waitForBytes }) => {
      await box.succeed(["pull", "-q", `${REGISTRY}/debian`]);
      await box.succeed(["tag", `${REGISTRY}/debian`, `${host}/debian`]);
      const report = join(box.home, "kilobytes");
      const pushing = box.run(["/usr/bin/time", "-o", report, "-f", "%M", DUGOUT, "push", `${host}/debian`]);
      await waitForBytes(4_000_000);
      await kill();
      await start();
      const { code, stderr } = await pushing;
      assert.equal(code, 0, stderr);
      assert.equal(await inspectDigest(box, `${host}/debian`), await inspectDigest(box, `${REGISTRY}/debian`));
      const kilobytes = Number(readFileSync(report, "utf8").trim());
      assert.ok(kilobytes > 0 && kilobytes < 150_000, `${kilobytes} kB`);
      await kill();
      const away = await box.dugout(["push", `${host}/debian`]);
      assert.equal(away.code, 1);
      assert.match(away.stderr, new RegExp(`^dugout: Cannot .*${host}.*nothing listens there`));
    });
  },
  { skip: skip || needs("time") },
);
