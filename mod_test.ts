import { test } from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Container,
  container,
  type ContainerOptions,
  type ContainerProcess,
  containers,
  type EnginePlaces,
  images,
  pull,
  run,
  start,
  type StartOptions,
} from "./mod.ts";

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
  /** The same as one that lives on. */
  detach(script: string, options?: StartOptions): Promise<Container>;
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
      detach: (script, options) =>
        start({ ...places, ...system, command: ["sh", "-c", script], network: "none", ...options }),
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

test(
  "a program enters a container that lives on, with its streams, variables and exit code",
  { skip },
  () =>
    withPlace(async ({ detach }) => {
      await using server = await detach("while :; do sleep 0.05; done");
      const said = await server.exec(["sh", "-c", 'echo "$A $(pwd)"; echo err >&2; exit 5'], {
        env: { A: "1=2", B: undefined },
        workingDir: "/usr",
      });
      assert.deepEqual([said.exitCode, said.stdout, said.stderr], [5, "1=2 /usr\n", "err\n"]);
      assert.equal((await server.exec(["cat"], { input: "given" })).stdout, "given");

      const shell = server.exec(["sh"], { stdin: "pipe" });
      const [writer, reader] = [shell.stdin.getWriter(), shell.stdout.getReader()];
      await writer.write("echo one\n");
      assert.equal(new TextDecoder().decode((await reader.read()).value), "one\n");
      await writer.write("exit 6\n");
      assert.equal((await shell).exitCode, 6);

      const endless = server.exec(["sleep", "600"]);
      await endless.started;
      assert.equal(endless.kill("SIGTERM"), true);
      assert.equal((await endless).exitCode, 143);
      const deadline = server.exec(["sleep", "600"], { signal: AbortSignal.timeout(50) });
      await assert.rejects(async () => await deadline, { name: "TimeoutError" });

      await assert.rejects(async () => await server.exec(["/no/such/program"]), { code: "COMMAND_NOT_FOUND" });
      assert.throws(() => server.exec([]), { code: "OPTION_INVALID" });
      await server.stop({ timeoutSeconds: 0 });
      await assert.rejects(async () => await server.exec(["true"]), { code: "CONTAINER_NOT_RUNNING" });
    }),
);

test(
  "a container that lives on is told of, stopped, started again and removed",
  { skip },
  () =>
    withPlace(async ({ detach, places }) => {
      const script = "echo out; echo err >&2; trap 'exit 9' TERM; while :; do sleep 0.05; done";
      await using server = await detach(script, { name: "server", labels: { "__proto__": "kept", kind: "test" } });
      const { State, Name, Config } = await server.inspect();
      assert.deepEqual([State.Status, State.Running, Name], ["running", true, "/server"]);
      assert.equal((Config as { Labels: Record<string, string> }).Labels["kind"], "test");
      const found = await container("server", places);
      assert.equal(found.id, server.id);
      assert.deepEqual((await containers(places)).map(({ name, state }) => [name, state]), [["server", "running"]]);

      const lines = [];
      for await (const { stream, text, time } of server.logs({ follow: true })) {
        assert.ok(Math.abs(time.getTime() - Date.now()) < 60_000);
        if (lines.push(`${stream} ${text}`) === 2) break;
      }
      assert.deepEqual(lines.sort(), ["stderr err\n", "stdout out\n"]);
      await server.kill("TERM");
      assert.equal(await server.wait(), 9);
      assert.deepEqual(await containers(places), []);
      assert.equal((await containers({ ...places, all: true }))[0]?.state, "exited");
      const last = await Array.fromAsync(server.logs({ tailLines: 1, until: new Date() }));
      assert.deepEqual(last.map(({ stream, text }) => `${stream} ${text}`), ["stderr err\n"]);

      await server.start();
      await server.restart({ timeoutSeconds: 0 });
      assert.equal((await server.inspect()).State.Running, true);
      await assert.rejects(server.remove(), { code: "CONTAINER_RUNNING" });
      await assert.rejects(server.kill("NOTHING"), { code: "OPTION_INVALID" });
      await server.stop();
      assert.equal(await server.wait(), 9);
      await server.remove();
      await assert.rejects(server.inspect(), { code: "CONTAINER_UNKNOWN" });
      await assert.rejects(container("server", places), { code: "CONTAINER_UNKNOWN" });
    }),
);

test(
  "await using removes a container that lives on, and leaves no process of it",
  { skip },
  () =>
    withPlace(async ({ detach, places }) => {
      let pid: number;
      {
        await using server = await detach("sleep 600");
        pid = (await server.inspect()).State.Pid;
        process.kill(pid, 0);
      }
      assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
      assert.deepEqual(await containers({ ...places, all: true }), []);
      const own = `/proc/${process.pid}/task/${process.pid}/children`;
      for (let round = 0; readFileSync(own, "utf8") !== "" && round < 100; round++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      await assert.rejects(detach("", { name: "../x" }), { code: "FLAG_INVALID" });
      await assert.rejects(detach("", { signal: AbortSignal.abort(new Error("before")) }), /before/);
    }),
);
