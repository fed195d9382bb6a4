import test from "node:test";
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, listTestUsers, runCommand, withSandbox } from "./harness.ts";

const ROOT_ONLY = process.getuid?.() === 0 ? false : "needs root";
const user = listTestUsers()[0];

asBoth("a sandbox has a home, a runtime directory and a fresh environment of its own", async (box) => {
  const { stdout } = await box.run([
    "sh",
    "-c",
    "id -u; pwd; echo $HOME $XDG_RUNTIME_DIR; env | wc -l; stat -c %a . $XDG_RUNTIME_DIR",
  ]);
  const lines = stdout.trim().split("\n");
  assert.deepEqual(lines.slice(0, 3), [String(box.user.uid), box.home, `${box.home} ${box.runtimeDirectory}`]);
  // our seven, and what the shell adds: PWD, OLDPWD, _ …
  assert.ok(Number(lines[3]) <= 10, stdout);
  assert.deepEqual(lines.slice(4), ["700", "700"]);
});

asBoth("a command gets its input and its end, and gives back bytes and exit code", async (box) => {
  const result = await box.run(["sh", "-c", "cat; printf '\\377'; echo problem >&2; exit 7"], { input: "in" });
  assert.equal(result.code, 7);
  assert.deepEqual([...result.stdoutBytes], [105, 110, 255]);
  assert.equal(result.stderr, "problem\n");
  assert.equal((await box.run(["sh", "-c", "kill -TERM $$"])).code, 143);
});

test(
  "a process that a test leaves running fails it, even in a session of its own",
  { skip: ROOT_ONLY || !user },
  async () => {
    assert.ok(user);
    await assert.rejects(
      withSandbox(user, async (box) => {
        await box.run(["setsid", "-f", "sh", "-c", "exec >/dev/null 2>&1 sleep 600"]);
      }),
      /processes were left running[\s\S]*sleep 600/,
    );
  },
);

test("touching the canary fails a test", { skip: !user }, async () => {
  assert.ok(user);
  for (const command of ["touch file", "chmod 644 file", "rm link", "echo x >>directory/inner", "mkdir new"]) {
    await assert.rejects(
      withSandbox(user, async (box) => {
        assert.equal((await box.run(["sh", "-c", command], { cwd: box.canary })).code, 0);
      }),
      /the canary was touched/,
      command,
    );
  }
});

test("a file of the user's left in /tmp fails a test", { skip: !user }, async () => {
  assert.ok(user);
  const name = join("/tmp", `left-by-a-test-${process.pid}`);
  await assert.rejects(
    withSandbox(user, async (box) => {
      await box.run(["touch", name]);
    }),
    /files were left in shared places/,
  );
  await runCommand(["rm", name]);
});

test("a command that hangs is killed and told", async () => {
  await assert.rejects(runCommand(["/bin/sleep", "60"], { timeoutMs: 50 }), /did not end in 50 ms/);
});

asBoth("a sandbox is removed with whatever is in it", async (box) => {
  mkdirSync(join(box.path, "deep/er"), { recursive: true });
  writeFileSync(join(box.path, "deep/er/file"), "x");
  assert.equal((await box.run(["mkdir", "-p", "-m", "000", "closed"])).code, 0);
  if (process.getuid?.() !== 0) await box.run(["chmod", "700", "closed"]);
});
