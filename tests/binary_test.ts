import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { asBoth, DUGOUT, needs, type Sandbox } from "./harness.ts";

const MARK = "mark";

/** A directory full of files that a compiler, a runtime or a loader might read, each of which would leave a mark. */
function layTraps(box: Sandbox): string {
  const trap = join(box.path, "trap");
  const mark = join(box.path, MARK);
  mkdirSync(trap);
  const script = `require("node:fs").writeFileSync(${JSON.stringify(mark)}, "run");\n`;
  const files: Record<string, string> = {
    ".env":
      `DUGOUT_TRAP=1\nHOME=${trap}\nDOCKER_HOST=unix:///evil\nHTTPS_PROXY=http://127.0.0.1:9\nNODE_OPTIONS=--require ./preload.js\n`,
    ".env.local": "DUGOUT_TRAP=1\n",
    ".env.production": "DUGOUT_TRAP=1\n",
    "bunfig.toml": `preload = ["./preload.js"]\n[define]\n"process.argv" = "[]"\n[run]\npreload = ["./preload.js"]\n`,
    ".bunfig.toml": `preload = ["./preload.js"]\n`,
    "preload.js": script,
    "package.json": `{"type":"commonjs","imports":{"#cli/cli.ts":"./preload.js","#oci/error.ts":"./preload.js"}}\n`,
    "deno.json": `{"imports":{"valibot":"./preload.js"}}\n`,
    "tsconfig.json": `{"compilerOptions":{"paths":{"*":["./preload.js"]}}}\n`,
    "jsconfig.json": `{}\n`,
    "libc.so.6": "not a library\n",
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(trap, name), text);
  for (const name of ["valibot", "commander", "smol-toml"]) {
    mkdirSync(join(trap, "node_modules", name), { recursive: true });
    writeFileSync(join(trap, "node_modules", name, "index.js"), script);
  }
  for (const name of ["newuidmap", "newgidmap", "fuse-overlayfs", "sh"]) {
    writeFileSync(join(trap, name), `#!/bin/sh\ntouch ${mark}\n`);
    chmodSync(join(trap, name), 0o755);
  }
  return trap;
}

for (
  const args of [["--version"], ["--help"], ["run", "--help"], ["images"], ["info"], ["run", "--explain", "hello"], [
    "run",
    "--rm",
    "hello",
  ]]
) {
  asBoth(`A-104 files of the current directory have no effect on "dugout ${args.join(" ")}"`, async (box) => {
    const elsewhere = await box.dugout(args);
    const trapped = await box.dugout(args, { cwd: layTraps(box) });
    assert.equal(existsSync(join(box.path, MARK)), false, "a file of the current directory ran");
    assert.equal(trapped.code, elsewhere.code, trapped.stderr);
    assert.equal(trapped.code, 0, trapped.stderr);
    assert.doesNotMatch(trapped.stdout, /DUGOUT_TRAP|evil/);
  });
}

asBoth(
  "the binary runs from a directory whose parents cannot be read, through a link, and by a relative path",
  async (box) => {
    const closed = join(box.path, "closed");
    mkdirSync(closed);
    symlinkSync(DUGOUT, join(closed, "link"));
    chmodSync(closed, 0o711);
    for (const argv of [[join(closed, "link")], ["./link"]]) {
      const { code, stdout, stderr } = await box.run([...argv, "--version"], { cwd: closed });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^dugout version \d+\.\d+\.\d+\n$/);
    }
  },
);

asBoth("the binary needs no home, no environment and no open stdio to say its version", async (box) => {
  const bare = await box.run(["env", "-i", DUGOUT, "--version"]);
  assert.equal(bare.code, 0, bare.stderr);
  const closed = await box.run(["sh", "-c", '"$0" --version <&- 2>&-', DUGOUT]);
  assert.equal(closed.code, 0);
  assert.match(closed.stdout, /^dugout version/);
});

test("A-096 the binary is an ordinary file: no set-id bits, no capabilities", { skip: !!needs("getcap") }, () => {
  assert.equal(statSync(DUGOUT).mode & 0o6000, 0);
  assert.equal(spawnSync("/usr/sbin/getcap", [DUGOUT], { encoding: "utf8" }).stdout, "");
});

asBoth("the binary's bytecode is used: without it the start takes three times as long", async (box) => {
  const { stdout, stderr } = await box.run([DUGOUT, "--version"], { env: { BUN_JSC_verboseDiskCache: "1" } });
  assert.match(stdout + stderr, /Cache hit/);
});
