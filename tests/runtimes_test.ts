/** The same engine from its sources: under Deno, and as a library in scripts of both runtimes. */
import assert from "node:assert/strict";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { asBoth, needsRegistry, REGISTRY, type Result, runCommand, type Sandbox } from "./harness.ts";
import { eventually, keepers, noKeeper } from "./support/keepers.ts";

const skip = needsRegistry();
const SOURCES = process.env["DUGOUT_TEST_SOURCES"] ?? join(import.meta.dirname ?? "", "..");
const BIN = join(SOURCES, "node_modules/.bin");
const IMAGE = `${REGISTRY}/busybox`;

/** How each runtime runs a script; Deno's flags are those of the documented command. */
const RUNTIMES = {
  bun: [join(BIN, "bun"), "run"],
  deno: [join(BIN, "deno"), "run", "-A", "--no-lock"],
};

asBoth("deno run -A src/cli/main.ts does what the binary does", async (box) => {
  const deno = (...args: string[]) =>
    box.run([join(BIN, "deno"), "run", "-A", join(SOURCES, "src/cli/main.ts"), ...args], { timeoutMs: 120_000 });
  const hello = await deno("run", "hello");
  assert.equal(hello.code, 0, hello.stderr);
  const pulled = await deno("pull", "-q", IMAGE);
  assert.equal(pulled.code, 0, pulled.stderr);
  const ran = await deno("run", "--rm", "--network", "none", IMAGE, "sh", "-c", "echo from deno; exit 3");
  assert.equal(ran.stdout, "from deno\n", ran.stderr);
  assert.equal(ran.code, 3);
  // and the binary reads what it left
  assert.equal(
    (await box.succeed(["run", "--rm", "--network", "none", "--pull", "never", IMAGE, "echo", "same store"])).stdout,
    "same store\n",
  );
}, { skip });

const SCRIPT = `
import { images, pull, run } from "dugout";

await pull(${JSON.stringify(IMAGE)});
console.log("images", (await images()).length);

const container = { image: ${JSON.stringify(IMAGE)}, network: "none" };

const upper = run({ ...container, command: ["tr", "a-z", "A-Z"], stdin: "pipe" });
const writer = upper.stdin.getWriter();
await writer.write("through a container\\n");
await writer.close();
let text = "";
for await (const chunk of upper.stdout) text += new TextDecoder().decode(chunk);
console.log("stdout", text.trim(), "exit", (await upper).exitCode);

console.log("code", (await run({ ...container, command: ["sh", "-c", "exit 9"] })).exitCode);

const controller = new AbortController();
const long = run({ ...container, command: ["sleep", "600"], signal: controller.signal });
await long.started;
controller.abort();
console.log("aborted", await long.then(() => "not", (error) => error.name));
`;

async function runScript(box: Sandbox, runtime: keyof typeof RUNTIMES, text: string): Promise<string> {
  // as "npm install" of a directory leaves it
  const folder = mkdtempSync(join(box.home, "script-"));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(SOURCES, join(folder, "node_modules/dugout"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module", "dependencies": { "dugout": "*" } }\n');
  const file = join(folder, "script.ts");
  writeFileSync(file, text);
  chmodSync(file, 0o644);
  const { code, stdout, stderr } = await box.run([...RUNTIMES[runtime], file], { timeoutMs: 120_000 });
  assert.equal(code, 0, `${stdout}${stderr}`);
  return stdout;
}

/** A program that ends when a file is made. */
const ENDS = ["sh", "-c", "until test -e /tmp/end; do sleep 0.1; done; rm /tmp/end; exit 3"];

asBoth(
  "a keeper that is Deno starts containers again, checks them, sleeps as a tape, and leaves with the last one",
  async (box) => {
    const deno = async (...args: string[]) => {
      const words = [...RUNTIMES.deno, join(SOURCES, "src/cli/main.ts"), ...args];
      const { code, stdout, stderr } = await box.run(words, { timeoutMs: 120_000 });
      assert.equal(code, 0, stderr);
      return stdout;
    };
    await box.succeed(["pull", "-q", IMAGE]);
    const detached = ["run", "-d", "-q", "--network", "none", "--stop-timeout", "0"];
    const check = ["--health-cmd", "test -e /tmp/well", "--health-interval", "500ms"];
    await deno(...detached, "--restart", "always", ...check, "--name", "kept", IMAGE, ...ENDS);
    const inspect = (template: string) => () => deno("inspect", "-f", template, "kept");
    const asleep = async () =>
      (await commandLines(box, await keepers(box))).filter((line) => !line.includes("__keeper"));
    // a Deno takes its time to begin
    await eventually(() => keepers(box), (pids) => pids.length === 1, "a keeper");
    await box.succeed(["exec", "kept", "touch", "/tmp/well"]);
    await eventually(inspect("{{.State.Health.Status}}"), (word) => word === "healthy\n", "health");
    await box.succeed(["exec", "kept", "touch", "/tmp/end"]);
    await eventually(inspect("{{.RestartCount}} {{.State.Running}}"), (text) => text === "1 true\n", "restart");
    await deno("update", "--restart", "no", "kept");
    await deno(...detached, "--restart", "always", "--name", "quiet", IMAGE, ...ENDS);
    await box.succeed(["rm", "-f", "kept"]);
    await eventually(asleep, (lines) => lines.length === 1, "a keeper that sleeps");
    await box.succeed(["exec", "quiet", "touch", "/tmp/end"]);
    await eventually(() => deno("inspect", "-f", "{{.RestartCount}}", "quiet"), (text) => text === "1\n", "a wake");
    await box.succeed(["rm", "-f", "quiet"]);
    await noKeeper(box);
  },
  { skip },
);

async function commandLines(box: Sandbox, pids: readonly number[]): Promise<string[]> {
  const { stdout } = await box.run([
    "sh",
    "-c",
    `for p in ${pids.join(" ")}; do tr '\\0' ' ' </proc/$p/cmdline; echo; done`,
  ]);
  return stdout.split("\n").slice(0, -1);
}

for (const runtime of ["bun", "deno"] as const) {
  asBoth(`a ${runtime} script pulls, feeds a container, reads it, gets its exit code, and cancels it`, async (box) => {
    const stdout = await runScript(box, runtime, SCRIPT);
    assert.equal(stdout, "images 1\nstdout THROUGH A CONTAINER exit 0\ncode 9\naborted AbortError\n");
  }, { skip });
}

const EXAMPLES = join(SOURCES, "examples");
const SCRIPTS = existsSync(EXAMPLES) ? readdirSync(EXAMPLES).filter((name) => name.endsWith(".ts")) : [];

for (const name of SCRIPTS) {
  asBoth(`the example ${name} runs under both runtimes`, async (box) => {
    for (const [runtime, argv] of Object.entries(RUNTIMES)) {
      const words = [...argv, join(EXAMPLES, name)];
      const { code, stdout, stderr } = await box.run(words, {
        timeoutMs: 120_000,
        env: { DUGOUT_EXAMPLE_REGISTRY: REGISTRY },
      });
      assert.equal(code, 0, `${runtime}: ${stdout}${stderr}`);
    }
  }, { skip });
}

/** @param denort Deno's runtime for compiled programs; undefined: that of the environment, else what Deno fetches. */
async function compileWithDeno(box: Sandbox, denort = process.env["DENORT_BIN"]): Promise<Result> {
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: box.home,
    ...(denort === undefined ? {} : { DENORT_BIN: denort }),
  };
  return await runCommand(["node", join(SOURCES, "dist/build.mjs"), "deno"], { env, timeoutMs: 240_000 });
}

function takeCompiled(box: Sandbox): string {
  const binary = join(box.path, "dugout-deno");
  copyFileSync(join(SOURCES, "dist/dugout-deno"), binary);
  chmodSync(binary, 0o755);
  return binary;
}

const buildsInCopy = process.getuid?.() === 0 ? false : "needs root: it builds in the copy of the sources";

asBoth("deno compile takes in the whole program, and none of the development packages", async (box) => {
  // the place of denort is taken by Deno itself: what comes out is complete, but starts as Deno
  const base = join(SOURCES, "node_modules/deno/deno");
  const built = await compileWithDeno(box, base);
  assert.equal(built.code, 0, built.stdout + built.stderr);
  const addedBytes = statSync(takeCompiled(box)).size - statSync(base).size;
  assert.ok(addedBytes > 500_000 && addedBytes < 60_000_000, `${addedBytes} bytes were added`);
}, { only: "sub", skip: buildsInCopy });

// no npm package has denort: where it can be had neither from Deno's host nor from DENORT_BIN, that has to be what is said
asBoth("a binary made by deno compile runs a container; without denort it is said what is missing", async (box) => {
  const built = await compileWithDeno(box);
  if (built.code === 0) {
    const { code, stderr } = await box.run([takeCompiled(box), "run", "hello"], { timeoutMs: 120_000 });
    assert.equal(code, 0, stderr);
    return;
  }
  assert.match(built.stderr, /denort could not be fetched: set DENORT_BIN/);
  assert.deepEqual(readdirSync(join(SOURCES, "dist/out")).filter((name) => name.startsWith("deno-")), []);
}, { only: "sub", skip: buildsInCopy });
