/** Layers larger than memory should be (bench/large.ts measures one of 5 GiB), and layers that are not what they seem. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needs, type Sandbox } from "./harness.ts";
import { serveLargeImage } from "./support/large_registry.ts";

const skip = needs("time");

/** Runs dugout and tells the most memory that one of its processes held. */
async function measure(box: Sandbox, ...args: string[]): Promise<{ code: number; stderr: string; kilobytes: number }> {
  const report = join(box.home, "kilobytes");
  const time = ["/usr/bin/time", "-q", "-o", report, "-f", "%M"];
  const { code, stderr } = await box.run([...time, DUGOUT, ...args], { timeoutMs: 120_000 });
  return { code, stderr, kilobytes: Number(readFileSync(report, "utf8").trim()) };
}

asBoth("a layer of 768 MiB is pulled, and pushed, with less than 150 MB of memory", async (box) => {
  const { host, close } = await serveLargeImage(768);
  try {
    const pull = await measure(box, "pull", "-q", `${host}/large`);
    assert.equal(pull.code, 0, pull.stderr);
    assert.ok(pull.kilobytes < 150_000, `pull: ${pull.kilobytes} kB`);
    await box.succeed(["tag", `${host}/large`, `${host}/copy`]);
    const push = await measure(box, "push", "-q", `${host}/copy`);
    assert.equal(push.code, 0, push.stderr);
    assert.ok(push.kilobytes < 150_000, `push: ${push.kilobytes} kB`);
  } finally {
    close();
  }
}, { skip });

asBoth(
  "A-097 a layer that grows a thousandfold is refused in bounded memory, and leaves nothing on the disk",
  async (box) => {
    const { host, close } = await serveLargeImage(4096, true);
    try {
      const { code, stderr, kilobytes } = await measure(box, "pull", "-q", `${host}/large`);
      assert.equal(code, 1);
      assert.match(stderr, /^dugout: Cannot unpack the layer.*more than 500 for one/);
      assert.ok(kilobytes < 200_000, `${kilobytes} kB`);
      const layers = join(box.store, "layers");
      for (const map of existsSync(layers) ? readdirSync(layers) : []) {
        assert.deepEqual(readdirSync(join(layers, map)).filter((name) => !name.startsWith(".")), []);
      }
      await box.succeed(["image", "prune", "-f"]);
      const { stdout } = await box.run(["du", "-sk", box.store]);
      assert.ok(Number(stdout.split("\t")[0]) < 1024, stdout);
      assert.equal((await box.succeed(["images", "-q"])).stdout, "");
    } finally {
      close();
    }
  },
  { skip },
);
