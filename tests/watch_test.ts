/** What is seen of containers that run: top, stats, port; and what takes a control group. */
import assert from "node:assert/strict";
import { asBoth, DUGOUT, needsRegistry, REGISTRY } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

asBoth("top, stats and port tell of a container by docker's columns, and pause says what it takes", async (box) => {
  const run = ["run", "-q", "-d", "--network", "none"];
  await box.succeed([...run, "--name", "busy", "--init", IMAGE, "sh", "-c", "while :; do :; done"], {
    timeoutMs: 30_000,
  });
  await box.succeed([...run, "--name", "idle", "-u", "33", IMAGE, "sleep", "600"], { timeoutMs: 30_000 });
  await box.succeed(["create", "-q", "--name", "made", IMAGE, "true"]);
  try {
    const top = (await box.succeed(["top", "busy"])).stdout.split("\n");
    assert.match(top[0] ?? "", /^UID {17}PID {17}PPID {16}C {19}STIME {15}TTY {17}TIME {16}CMD$/);
    assert.equal(top.length, 4);
    assert.match(top[2] ?? "", /sh -c while :; do :; done$/);
    await box.succeed(["exec", "-d", "idle", "sleep", "77"]);
    const few = (await box.succeed(["container", "top", "idle", "-o", "pid,args"])).stdout;
    assert.match(few, /^PID +COMMAND\n[0-9]+ +sleep 600\n[0-9]+ +sleep 77\n$/);
    assert.match((await box.dugout(["top", "idle", "-o", "rss"])).stderr, /Couldn't find PID field in ps output/);

    const format = "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.NetIO}} {{.PIDs}}";
    const { stdout } = await box.succeed(["stats", "-a", "--no-stream", "--format", format], { timeoutMs: 20_000 });
    const [made, idle, busy] = stdout.split("\n");
    assert.match(made ?? "", /^made 0\.00% 0B \/ 0B 0B \/ 0B 0$/);
    assert.match(idle ?? "", /^idle 0\.00% [0-9.]+[KM]iB \/ [0-9.]+GiB 0B \/ 0B 2$/);
    assert.match(busy ?? "", /^busy (?!0\.00)[0-9.]+% .* 2$/);
    const table = (await box.succeed(["stats", "--no-stream", "idle"], { timeoutMs: 20_000 })).stdout;
    const heading = table.split("\n")[0]?.split(/ {3,}/).join("|");
    assert.equal(heading, "CONTAINER ID|NAME|CPU %|MEM USAGE / LIMIT|MEM %|NET I/O|BLOCK I/O|PIDS");

    assert.equal((await box.succeed(["port", "idle"])).stdout, "");
    assert.equal(
      (await box.dugout(["port", "idle", "80"])).stderr,
      "dugout: no public port '80/tcp' published for idle\n",
    );
    for (
      const [args, words] of [
        [["pause", "idle"], /control group/],
        [["unpause", "idle"], /is not paused/],
        [["pause", "made"], /is not running/],
        [["top", "made"], /is not running/],
        [["top", "nobody"], /No such container: nobody/],
      ] as const
    ) {
      const { code, stderr } = await box.dugout(args);
      assert.equal(code, 1);
      assert.match(stderr, words);
    }
  } finally {
    await box.run([DUGOUT, "rm", "-f", "--all"]);
  }
}, { skip });
