/** What looks after the store as a whole: `system df`, `prune`, `reset`. */
import assert from "node:assert/strict";
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { asBoth, needsRegistry, REGISTRY, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

async function run(box: Sandbox, flags: readonly string[], ...command: string[]): Promise<string> {
  return (await box.succeed(["run", "-q", "--network", "none", ...flags, IMAGE, ...command])).stdout.trim();
}

/** Files of many owners and modes, a container that runs, and a volume. */
async function fill(box: Sandbox): Promise<void> {
  const line =
    "mkdir -p /d/e/f; echo hello >/d/e/f/g; chown -R 55:66 /d; chmod 0 /d/e; ln -s / /d/root; echo x >/data/x";
  await run(box, ["--name", "ended", "-v", "data:/data"], "sh", "-c", line);
  await run(box, ["-d", "--name", "live", "-v", "/anonymous", "--restart", "always"], "sleep", "1000");
}

asBoth("system df counts what is there, once, and what a prune would free", async (box) => {
  await fill(box);
  const rows = (await box.succeed(["system", "df", "--format", "json"])).stdout.trim().split("\n")
    .map((text) => JSON.parse(text));
  assert.deepEqual(rows.map(({ Type, TotalCount, Active }) => [Type, TotalCount, Active]), [
    ["Images", "1", "1"],
    ["Containers", "2", "1"],
    ["Local Volumes", "2", "2"],
    ["Build Cache", "0", "0"],
  ]);
  assert.match(rows[1].Size, /^7B$/);
  assert.match(rows[1].Reclaimable, /^7B \(100%\)$/);
  assert.equal(rows[2].Size, "2B");
  const table = (await box.succeed(["system", "df"])).stdout.split("\n");
  assert.equal(table[0], "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE");

  await box.succeed(["tag", IMAGE, "other"]);
  const { stdout } = await box.succeed(["system", "df", "-v"]);
  for (
    const heading of [
      "Images space usage:\n\nREPOSITORY ",
      "\nContainers space usage:\n\nCONTAINER ID ",
      "\nLocal Volumes space usage:\n\nVOLUME NAME ",
      "\nBuild cache usage: 0B\n\nCACHE ID ",
    ]
  ) assert.ok(stdout.includes(heading), heading);
  const names = await box.succeed([
    "system",
    "df",
    "-v",
    "--format",
    "{{range .Containers}}{{.Names}} {{.Size}};{{end}}",
  ]);
  assert.equal(names.stdout, "live 0B;ended 7B;\n");
  await box.succeed(["rm", "-fv", "live"]);
}, { skip });

asBoth("system prune asks in docker's words, and removes what nobody uses", async (box) => {
  await fill(box);
  await box.succeed(["volume", "create", "named"]);
  await box.succeed(["tag", IMAGE, "other"]);
  await box.succeed(["volume", "create"]);
  const asked = await box.dugout(["system", "prune", "-a", "--volumes"], { input: "n\n" });
  assert.equal(
    asked.stdout,
    [
      "WARNING! This will remove:",
      "  - all stopped containers",
      "  - all networks not used by at least one container",
      "  - all anonymous volumes not used by at least one container",
      "  - all images without at least one container associated to them",
      "  - all build cache",
      "",
      "Are you sure you want to continue? [y/N] ",
    ].join("\n"),
  );
  const mixed = await box.dugout(["system", "prune", "-f", "--volumes", "--filter", "until=1h"]);
  assert.equal(mixed.code, 1);
  const none = await box.succeed(["system", "prune", "-f", "--filter", "label=none"]);
  assert.equal(none.stdout, "Total reclaimed space: 0B\n");

  const { stdout } = await box.succeed(["system", "prune", "-f", "--volumes"]);
  assert.match(
    stdout,
    /^Deleted Containers:\n[0-9a-f]{64}\n\nDeleted Volumes:\n[0-9a-f]{64}\n\nTotal reclaimed space: 7B\n$/,
  );
  assert.equal((await box.succeed(["ps", "--format", "{{.Names}}"])).stdout, "live\n");
  const kept = (await box.succeed(["volume", "ls", "-q"])).stdout.trim().split("\n");
  assert.ok(kept.includes("data") && kept.includes("named") && kept.length === 3, kept.join(" "));
  await box.succeed(["image", "exists", "other"]);

  await box.succeed(["rm", "-fv", "live"]);
  await box.succeed(["system", "prune", "-af"]);
  assert.equal((await box.succeed(["images", "-q"])).stdout, "");
}, { skip });

asBoth("C-053 system reset leaves nothing, of containers that run and files of other ids too", async (box) => {
  await fill(box);
  const asked = await box.dugout(["system", "reset"], { input: "\n" });
  assert.match(asked.stdout, /^WARNING! This will remove:\n {2}- all containers, those that run too\n/);
  assert.ok(existsSync(box.store));
  await box.succeed(["system", "reset", "--force"]);
  assert.equal(existsSync(box.store), false);
  assert.equal(existsSync(join(box.runtimeDirectory, "dugout")), false);
  // and again, with nothing there
  await box.succeed(["system", "reset", "-f"]);
  assert.equal(await run(box, ["--rm"], "echo", "new"), "new");
}, { skip });

asBoth("C-053 system reset removes a store that is damaged all over, and follows no link out of it", async (box) => {
  await fill(box);
  writeFileSync(join(box.store, "version"), "99999\n");
  for (const id of readdirSync(join(box.store, "containers"))) {
    const record = join(box.store, "containers", id, "config.json");
    if (existsSync(record)) writeFileSync(record, "{]");
  }
  rmSync(join(box.store, "images/index.json"));
  writeFileSync(join(box.store, "images/names/broken.json"), "{");
  writeFileSync(join(box.store, "volumes/data/volume.json"), "");
  symlinkSync(box.canary, join(box.store, "layers/link"));
  symlinkSync("/", join(box.store, "volumes/root"));
  symlinkSync(box.canary, join(box.store, "networks"));
  const state = join(box.runtimeDirectory, "dugout/containers");
  if (existsSync(state)) { for (const id of readdirSync(state)) writeFileSync(join(state, id, "state.json"), "x"); }
  assert.notEqual((await box.dugout(["ps"])).code, 0);
  await box.succeed(["system", "reset", "-f"]);
  assert.equal(existsSync(box.store), false);
}, { skip });

asBoth("system reset refuses a directory that is no store, and leaves what is not the store's", async (box) => {
  const other = join(box.home, "other");
  await box.run(["mkdir", "-p", `${other}/images`, `${other}/volumes`]);
  await box.run(["sh", "-c", `echo precious >${other}/images/photo`]);
  const { code, stderr } = await box.dugout(["--root", other, "system", "reset", "-f"]);
  assert.equal(code, 125);
  assert.match(stderr, /it is not a store of dugout's/);
  assert.equal(readFileSync(join(other, "images/photo"), "utf8"), "precious\n");

  await box.succeed(["pull", "-q", IMAGE]);
  await box.run(["sh", "-c", `echo mine >${box.store}/notes`]);
  const mixed = await box.succeed(["system", "reset", "-f"]);
  assert.match(mixed.stderr, /notes/);
  assert.deepEqual(readdirSync(box.store), ["notes"]);
}, { skip });

asBoth("system reset follows the link that the store itself was moved by", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  const moved = join(box.home, "moved");
  renameSync(box.store, moved);
  symlinkSync(moved, box.store);
  await box.succeed(["image", "exists", IMAGE]);
  await box.succeed(["system", "reset", "-f"]);
  assert.equal(existsSync(moved), false);
  assert.deepEqual(readdirSync(join(box.store, "..")), []);
}, { skip });

asBoth("system check finds what is damaged, repairs what can be had again, and loses nothing else", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  await box.succeed(["tag", IMAGE, "other:1"]);
  await run(box, ["--name", "keeper", "-v", "data:/data"], "sh", "-c", "echo precious >/data/x; echo mine >/y");
  const clean = await box.succeed(["system", "check"]);
  assert.match(clean.stdout, /^All is as it should be: 3 blobs, 1 layers, 1 containers, 1 volumes\.\n$/);

  const blobs = join(box.store, "images/blobs/sha256");
  const layer = JSON.parse((await box.succeed(["image", "inspect", IMAGE])).stdout)[0].RootFS.Layers.length;
  assert.equal(layer, 1);
  const [largest = ""] = readdirSync(blobs).sort((a, b) =>
    statSync(join(blobs, b)).size - statSync(join(blobs, a)).size
  );
  await box.run(["sh", "-c", `printf x | dd of=${join(blobs, largest)} bs=1 seek=1000 conv=notrunc`]);
  writeFileSync(join(box.store, "images/names/other%3A1.json"), "{");
  writeFileSync(join(box.store, "images/index.json"), "{}");
  writeFileSync(join(box.store, "volumes/data/volume.json"), "]");
  const names = join(box.store, "containers/names");
  renameSync(join(names, "keeper"), join(names, "ghost"));
  symlinkSync(`${"a".repeat(64)} 1 x`, join(names, "nobody"));

  const quick = await box.dugout(["system", "check", "--quick"]);
  assert.equal(quick.code, 1);
  assert.doesNotMatch(quick.stdout, /^blob /m);
  const found = await box.dugout(["system", "check"]);
  assert.equal(found.code, 1);
  for (
    const line of [
      `blob sha256:${largest}: its content is not what its digest says`,
      "name other%3A1.json: ",
      "index.json: it does not list the names that there are",
      "container keeper: its name is not taken",
      "name nobody: the container that took it is gone",
      "volume data: its volume.json cannot be read",
    ]
  ) assert.ok(found.stdout.includes(line), `${line}\nin: ${found.stdout}`);

  const repaired = await box.dugout(["system", "check", "--repair"]);
  // of the image a blob is missing now, which only a pull gets
  assert.equal((await box.dugout(["system", "check"])).code, 1, repaired.stdout + repaired.stderr);
  await box.succeed(["pull", "-q", IMAGE]);
  const again = await box.dugout(["system", "check"]);
  assert.match(again.stdout, /^All is as it should be/, again.stdout);
  assert.equal((await box.succeed(["start", "-a", "keeper"])).stdout, "");
  assert.equal(await run(box, ["--rm", "-v", "data:/data"], "cat", "/data/x"), "precious");
  await box.succeed(["rm", "keeper"]);
}, { skip });

asBoth(
  "system reset ends nothing of another store at the same runtime directory, whatever is missing of it there",
  async (box) => {
    const runtime = join(box.home, "runtime");
    const of = (store: string) => ["--root", join(box.home, store), "--run", runtime];
    const words = ["run", "-d", "-q", "--network", "none", "--name", "cc", IMAGE, "sleep", "1000"];
    const id = (await box.succeed([...of("a"), ...words])).stdout.trim();
    await box.succeed([...of("b"), ...words]);
    // as while it is being made, and as after a sweep
    for (const missing of [join(runtime, "containers", id, "store"), join(runtime, "containers", id)]) {
      rmSync(missing, { recursive: true });
      await box.succeed([...of("b"), "system", "reset", "-f"]);
      assert.equal((await box.succeed([...of("a"), "ps", "--format", "{{.State}}"])).stdout, "running\n");
      assert.equal((await box.succeed([...of("a"), "exec", "cc", "echo", "still"])).stdout, "still\n");
    }
    await box.succeed([...of("a"), "system", "reset", "-f"]);
    assert.equal(existsSync(runtime), false);
  },
  { skip },
);
