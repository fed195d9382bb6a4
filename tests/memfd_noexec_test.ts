import test from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Runs a command in a pid namespace of its own in which executable memory files are forbidden: only root may do that. */
function runWithoutExecutableMemory(...command: string[]) {
  const set = 'echo 2 >/proc/sys/vm/memfd_noexec || exit; exec "$@"';
  return spawnSync("unshare", ["--pid", "--fork", "--mount-proc", "sh", "-c", set, "sh", ...command], {
    encoding: "utf8",
  });
}

const skip = runWithoutExecutableMemory("true").status === 0
  ? false
  : "needs root and sysctl vm.memfd_noexec (Linux 6.3)";

test("the player runs from a file where executable memory files are forbidden", { skip }, () => {
  const script = fileURLToPath(new URL("support/play_hello.ts", import.meta.url).href);
  const run = process.execPath.endsWith("deno") ? ["run", "-A", "--no-check"] : [];
  const { status, stdout, stderr } = runWithoutExecutableMemory(process.execPath, ...run, script);
  assert.deepEqual({ status, stdout }, { status: 0, stdout: "hello\nagain\n" }, stderr);
});
