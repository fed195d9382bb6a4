/** Images of one layer from archives at an address, and the user's limits on layers. */
import assert from "node:assert/strict";
import { createReadStream, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { asBoth, CACHE, needsRegistry, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const BUSYBOX_TAR = join(CACHE, "tars/busybox-amd64-1.tar");

/** A web server on the loopback with busybox's file system at /busybox.tar and nothing else. */
async function withServer(work: (origin: string) => Promise<void>): Promise<void> {
  const server = createServer((request, response) => {
    if (request.url !== "/busybox.tar") return void response.writeHead(404).end();
    createReadStream(BUSYBOX_TAR).pipe(response.writeHead(200));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

function setLimits(box: Sandbox, text: string): void {
  mkdirSync(join(box.home, ".config/dugout"), { recursive: true });
  writeFileSync(join(box.home, ".config/dugout/layers.toml"), text);
}

asBoth("import takes an archive from an address, says from where, and the image runs", async (box) => {
  await withServer(async (origin) => {
    const { stdout } = await box.succeed([
      "import",
      "-c",
      'CMD ["echo", "imported"]',
      `${origin}/busybox.tar`,
      "mine:1",
    ]);
    const lines = stdout.split("\n");
    assert.equal(lines[0], `Downloading from ${origin}/busybox.tar`);
    assert.match(lines[1] ?? "", /^sha256:[0-9a-f]{64}$/);
    assert.equal((await box.succeed(["run", "--rm", "--network", "none", "mine:1"])).stdout, "imported\n");
    const { stdout: history } = await box.succeed(["history", "--format", "{{.Comment}}", "mine:1"]);
    assert.equal(history, `Imported from ${origin}/busybox.tar\n`);

    const { stdout: before } = await box.succeed(["images", "-q"]);
    const missing = await box.dugout(["import", `${origin}/none.tar`]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /none\.tar.*404/);
    const refused = await box.dugout(["import", "http://me:secret@127.0.0.1/x.tar"]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /user name/);
    assert.equal((await box.succeed(["images", "-q"])).stdout, before);
  });
}, { skip });

asBoth("A-097 limits on layers are the user's to set, hold for import, and for what is unpacked", async (box) => {
  setLimits(box, "max-entries = 5\n");
  const imported = await box.dugout(["import", BUSYBOX_TAR, "mine:1"]);
  assert.equal(imported.code, 1);
  assert.match(imported.stderr, /more than 5 entries[\s\S]*max-entries.*layers\.toml/);
  setLimits(box, "");
  await box.succeed(["import", BUSYBOX_TAR, "mine:1"]);
  setLimits(box, "max-total-size = 1000\n");
  const run = await box.dugout(["run", "--rm", "--network", "none", "mine:1", "true"]);
  assert.equal(run.code, 125);
  assert.match(run.stderr, /more than 1000 bytes[\s\S]*max-total-size/);
  setLimits(box, "max-total-size = 1_000_000_000\n");
  assert.ok(readFileSync(BUSYBOX_TAR).length < 1_000_000_000);
  await box.succeed(["run", "--rm", "--network", "none", "mine:1", "true"]);
  setLimits(box, "max-totalsize = 1\n");
  const unknown = await box.dugout(["import", BUSYBOX_TAR]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /layers\.toml.*max-totalsize/);
}, { skip });
