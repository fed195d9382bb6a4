import { test } from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ContainerOptions, type ContainerProcess, type EnginePlaces, images, pull, run } from "./mod.ts";

/** Why no container can be run here; false where one can. */
function needsNamespaces(): string | false {
  const { status } = spawnSync("unshare", ["--user", "--map-root-user", "--mount", "--pid", "--fork", "true"]);
  return status === 0 ? false : "needs user namespaces";
}

const skip = needsNamespaces();

/** A store of its own, and a way to run a shell of this machine's as a container. */
interface Place {
  places: EnginePlaces;
  shell(script: string, options?: ContainerOptions): ContainerProcess;
}

async function withPlace(work: (place: Place) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "dugout-mod-"));
  const places = { root: join(folder, "root"), runRoot: join(folder, "run") };
  try {
    const system = makeSystem(join(folder, "system"));
    await work({
      places,
      shell: (script, options) =>
        run({ ...places, ...system, command: ["sh", "-c", script], network: "none", ...options }),
    });
    assert.deepEqual(listContainers(places.root), [], "a container was left behind");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A root directory with this machine's programs and libraries, bound read-only. */
function makeSystem(rootfs: string): { rootfs: string; volumes: string[] } {
  const volumes: string[] = [];
  for (const name of ["usr", "bin", "sbin", "lib", "lib64"]) {
    const stat = lstatSync(`/${name}`, { throwIfNoEntry: false });
    mkdirSync(rootfs, { recursive: true });
    if (stat?.isSymbolicLink()) symlinkSync(readlinkSync(`/${name}`), join(rootfs, name));
    else if (stat?.isDirectory()) volumes.push(`/${name}:/${name}:ro`);
  }
  return { rootfs, volumes };
}

/** What lies on disk of containers, their names included. */
function listContainers(root: string): string[] {
  try {
    return ["containers", "containers/names"].flatMap((folder) => readdirSync(join(root, folder)))
      .filter((name) => name !== "names");
  } catch {
    return [];
  }
}

function countFds(): number {
  return readdirSync("/proc/self/fd").length;
}

test("the embedded image is pulled, listed and run", { skip }, () =>
  withPlace(async ({ places }) => {
    const pulled = await pull("hello", places);
    assert.deepEqual(pulled.names, ["dugout/hello:latest"]);
    assert.deepEqual((await images(places)).map(({ id }) => id), [pulled.id]);
    const { exitCode, stdout, stderr, id, durationMs } = await run({ ...places, image: "hello", network: "none" });
    assert.match(stdout, /^Hello from a container!/);
    assert.match(stdout, /overlay of 2 layers|one tree/);
    assert.deepEqual([exitCode, stderr], [0, ""]);
    assert.match(id, /^[0-9a-f]{64}$/);
    assert.ok(durationMs > 0);
  }));

test(
  "a program's exit code and both outputs are in the result, and failing is no error",
  { skip },
  () =>
    withPlace(async ({ shell }) => {
      const { exitCode, stdout, stderr } = await shell("echo out; echo err >&2; exit 3");
      assert.deepEqual([exitCode, stdout, stderr], [3, "out\n", "err\n"]);
      assert.equal((await shell("kill -9 $$; sleep 60", { init: true })).exitCode, 137);
    }),
);

test("stdin is written while stdout is read", { skip }, () =>
  withPlace(async ({ shell }) => {
    const container = shell('while read -r line; do echo "<$line>"; done; echo end', { stdin: "pipe" });
    const writer = container.stdin.getWriter();
    const reader = container.stdout.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
      .getReader();
    for (const word of ["one", "two"]) {
      await writer.write(`${word}\n`);
      assert.equal((await reader.read()).value, `<${word}>\n`);
    }
    await writer.close();
    assert.equal((await reader.read()).value, "end\n");
    const { exitCode, stdout } = await container;
    assert.deepEqual([exitCode, stdout], [0, ""], "what was read as a stream is not kept");
  }));

test("text, bytes, iterables and streams are input", { skip }, () =>
  withPlace(async ({ shell }) => {
    const big = "x".repeat(1_000_000);
    const inputs: Partial<ContainerOptions>[] = [
      { input: big },
      { input: new TextEncoder().encode(big) },
      { stdin: [big.slice(0, 500_000), new TextEncoder().encode(big.slice(500_000))] },
      { stdin: new Response(big).body as ReadableStream<Uint8Array> },
    ];
    for (const input of inputs) assert.equal((await shell("wc -c", input)).stdout.trim(), "1000000");
    assert.equal((await shell("cat")).stdout, "", "without any there is nothing to read");
    assert.equal((await shell("exit 4", { input: big })).exitCode, 4, "what nobody reads holds nothing up");
  }));

test("a source that fails ends the container, and is the reason", { skip }, () =>
  withPlace(async ({ shell }) => {
    const stdin = (async function* () {
      yield await Promise.resolve("some");
      throw new Error("no more");
    })();
    await assert.rejects(async () => await shell("cat; sleep 600", { stdin }), /no more/);
  }));

test("much output is neither lost nor waited for", { skip }, () =>
  withPlace(async ({ shell }) => {
    const script = "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2";
    const { stdout, stderr } = await shell(script);
    assert.deepEqual([stdout.length, stderr.length], [3_000_000, 3_000_000]);
    let sizeBytes = 0;
    const container = shell(script, { stderr: "ignore" });
    for await (const chunk of container.stdout as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>) {
      sizeBytes += chunk.length;
    }
    assert.equal(sizeBytes, 3_000_000);
    assert.equal((await container).exitCode, 0);
    const kept = async () => await shell("yes", { maxOutputBytes: 100_000 });
    await assert.rejects(kept, { code: "OUTPUT_TOO_LARGE" });
  }));

test(
  "an AbortSignal kills the container: the promise rejects with its reason when nothing is left",
  { skip },
  () =>
    withPlace(async ({ shell, places }) => {
      const controller = new AbortController();
      const container = shell("trap '' TERM INT; echo ready; sleep 600", { signal: controller.signal });
      const reader = container.stdout.getReader();
      assert.equal(new TextDecoder().decode((await reader.read()).value), "ready\n");
      const { pid } = await container.started;
      controller.abort(new Error("enough"));
      await assert.rejects(async () => await container, /enough/);
      assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
      assert.deepEqual(listContainers(places.root!), []);
      assert.equal((await reader.read()).done, true);

      const late = { signal: AbortSignal.abort(new Error("before")) };
      await assert.rejects(async () => await shell("true", late), /before/);
    }),
);

test(
  "kill sends signals, and await using kills at the end of its block",
  { skip },
  () =>
    withPlace(async ({ shell }) => {
      const container = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done");
      await container.stdout.getReader().read();
      assert.throws(() => container.kill("SIGNOTHING"), { code: "OPTION_INVALID" });
      assert.equal(container.kill(), true);
      assert.equal((await container).exitCode, 7);
      assert.equal(container.kill(), false);

      let pid: number;
      {
        await using used = shell("sleep 600");
        pid = (await used.started).pid;
      }
      assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
    }),
);

test(
  "a container that cannot be started rejects everywhere, with the error's code",
  { skip },
  () =>
    withPlace(async ({ shell, places }) => {
      const container = shell("", { command: ["/no/such/program"], stdin: "pipe" });
      const writing = container.stdin.getWriter().write("x");
      const reading = container.stdout.getReader().read();
      for (const promise of [container, container.started, writing, reading]) {
        await assert.rejects(async () => await promise, { code: "COMMAND_NOT_FOUND", exitCode: 127 });
      }
      const missing = async () => await run({ ...places, image: "localhost/nothing", pull: "never" });
      await assert.rejects(missing, { code: "IMAGE_NOT_FOUND" });
      assert.throws(() => shell("true", { stdout: "ignore" }).stdout, { code: "OPTION_INVALID" });
      await shell("true");
    }),
);

test("eight containers run side by side, and no descriptor is left", { skip }, () =>
  withPlace(async ({ shell }) => {
    await shell("true");
    const before = countFds();
    const all = Array.from({ length: 8 }, (_, index) => shell(`cat; echo ${index}; exit ${index}`, { stdin: "pipe" }));
    await Promise.all(all.map(({ started }) => started));
    // the last first, while all the others wait
    for (const container of all.reverse()) {
      await container.stdin.close();
      const { exitCode, stdout } = await container;
      assert.equal(stdout, `${exitCode}\n`);
    }
    // a runtime closes its copies of what has ended a little later
    for (let round = 0; countFds() > before && round < 100; round++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.ok(countFds() <= before, `${countFds()} descriptors, ${before} before`);
  }));
