/** Health checks, run by the keeper and by hand. */
import assert from "node:assert/strict";
import { asBoth, DUGOUT, needsRegistry, REGISTRY, type Sandbox } from "./harness.ts";
import { noKeeper } from "./support/keepers.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;
const QUICK = ["--health-interval", "200ms", "--health-retries", "2", "--health-timeout", "1s"];

async function runDetached(box: Sandbox, flags: readonly string[], ...command: string[]): Promise<void> {
  await box.succeed(["run", "-d", "-q", "--network", "none", "--stop-timeout", "0", ...flags, IMAGE, ...command]);
}

async function health(box: Sandbox, name: string): Promise<Record<string, unknown>> {
  return JSON.parse((await box.succeed(["inspect", "-f", "{{json .State.Health}}", name])).stdout);
}

async function until(box: Sandbox, name: string, wanted: string): Promise<Record<string, unknown>> {
  const stopMs = Date.now() + 20_000;
  for (;;) {
    const found = await health(box, name);
    if (found["Status"] === wanted) return found;
    assert.ok(Date.now() < stopMs, `${name} is at last ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

asBoth("C-122 a container becomes healthy and unhealthy as its check says, and events tell", async (box) => {
  await runDetached(
    box,
    ["--name", "well", ...QUICK, "--health-cmd", "cat /tmp/ok; echo seen >&2"],
    "sh",
    "-c",
    "sleep 1; touch /tmp/ok; sleep 1000",
  );
  const first = (await box.succeed(["ps", "--format", "{{.Status}}"])).stdout;
  assert.match(first, /\((?:health: starting|unhealthy|healthy)\)/);
  await until(box, "well", "healthy");
  assert.match((await box.succeed(["ps", "--format", "{{.Status}}"])).stdout, /^Up .* \(healthy\)\n$/);
  await runDetached(box, ["--name", "ill", ...QUICK, "--health-cmd", "echo no; exit 3"], "sleep", "1000");
  const ill = await until(box, "ill", "unhealthy");
  const [entry] = ill["Log"] as { ExitCode: number; Output: string; Start: string }[];
  assert.equal(entry?.ExitCode, 3);
  assert.equal(entry?.Output, "no\n");
  assert.ok(Number(ill["FailingStreak"]) >= 2);
  assert.equal((await box.succeed(["ps", "-q", "--filter", "health=unhealthy"])).stdout.split("\n").length, 2);
  const events = (await box.succeed(["events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}"])).stdout
    .split("\n");
  assert.ok(events.includes("health_status: healthy") && events.includes("health_status: unhealthy"), events.join());
  assert.equal(
    (await box.succeed(["inspect", "-f", "{{json .Config.Healthcheck.Test}}", "ill"])).stdout,
    '["CMD-SHELL","echo no; exit 3"]\n',
  );
  await box.succeed(["stop", "well"]);
  assert.equal((await health(box, "well"))["Status"], "unhealthy");
  // from the start again
  await box.succeed(["start", "well"]);
  await until(box, "well", "healthy");
  await box.succeed(["rm", "-f", "well", "ill"]);
  await noKeeper(box);
}, { skip });

asBoth("A-050 a check that writes without end, or does not end, is cut and killed", async (box) => {
  await runDetached(box, ["--name", "loud", ...QUICK, "--health-cmd", "yes"], "sleep", "1000");
  const loud = await until(box, "loud", "unhealthy");
  const [entry] = loud["Log"] as { ExitCode: number; Output: string }[];
  assert.equal(entry?.ExitCode, -1);
  assert.match(entry?.Output ?? "", /^Health check exceeded timeout \(1000ms\): y\ny\n/);
  assert.ok((entry?.Output.length ?? 0) < 4200);
  // what was killed is gone, and a check that cannot be run is told
  const left = await box.succeed(["exec", "loud", "sh", "-c", "ps | grep -c '[y]es' || true"]);
  assert.ok(Number(left.stdout) <= 1, left.stdout);
  await runDetached(box, ["--name", "none", ...QUICK, "--health-cmd", "x", "--entrypoint", "/bin/sleep"], "1000");
  await until(box, "none", "unhealthy");
  await box.succeed(["rm", "-f", "loud", "none"]);
  await noKeeper(box);
}, { skip });

asBoth(
  "a check runs by hand, the image's is left out where that is asked for, and the start period counts",
  async (box) => {
    await runDetached(
      box,
      ["--name", "hand", "--health-cmd", "test -e /tmp/ok", "--health-interval", "1h"],
      "sleep",
      "1000",
    );
    const failed = await box.dugout(["healthcheck", "run", "hand"]);
    assert.deepEqual([failed.code, failed.stdout], [1, "unhealthy\n"]);
    assert.equal((await health(box, "hand"))["FailingStreak"], 1);
    await box.succeed(["exec", "hand", "touch", "/tmp/ok"]);
    await box.succeed(["healthcheck", "run", "hand"]);
    assert.equal((await health(box, "hand"))["Status"], "healthy");
    await runDetached(box, ["--name", "plain"], "sleep", "1000");
    assert.equal((await box.dugout(["healthcheck", "run", "plain"])).code, 125);
    await runDetached(
      box,
      [
        "--name",
        "late",
        ...QUICK,
        "--health-start-period",
        "1h",
        "--health-start-interval",
        "100ms",
        "--health-cmd",
        "false",
      ],
      "sleep",
      "1000",
    );
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const late = await health(box, "late");
    assert.deepEqual([late["Status"], late["FailingStreak"]], ["starting", 0]);
    assert.ok((late["Log"] as unknown[]).length >= 2);
    await box.succeed(["rm", "-f", "hand", "plain", "late"]);
  },
  { skip },
);

asBoth(
  "--health-on-failure kills, stops or restarts what is unhealthy, as its restart policy has it then",
  async (box) => {
    const ill = [...QUICK, "--health-cmd", "test ! -e /tmp/ill"];
    const script = "trap 'exit 4' TERM; touch /tmp/ill; while :; do sleep 0.05; done";
    for (const action of ["kill", "stop"]) {
      await runDetached(box, ["--name", action, ...ill, "--health-on-failure", action], "sh", "-c", script);
    }
    assert.equal((await box.succeed(["wait", "kill", "stop"])).stdout, "137\n137\n");
    const marked =
      "rm -f /tmp/ill; echo start >>/tmp/starts; sleep 0.5; test $(wc -l </tmp/starts) -gt 1 || touch /tmp/ill; sleep 1000";
    const again = ["--health-on-failure", "restart"];
    const killed = ["--health-on-failure", "kill", "--restart", "always"];
    for (const [name, flags] of [["again", again], ["killed", killed]] as const) {
      await runDetached(box, ["--name", name, ...ill, ...flags], "sh", "-c", marked);
    }
    for (const name of ["again", "killed"]) {
      const both = "until [ $(wc -l </tmp/starts) -ge 2 ]; do sleep 0.05; done; wc -l </tmp/starts";
      for (let round = 0; round < 100; round++) {
        // it may end while it is looked at
        const { code, stdout } = await box.dugout(["exec", name, "sh", "-c", both]);
        if (code === 0) {
          assert.equal(stdout, "2\n");
          break;
        }
      }
      await until(box, name, "healthy");
    }
    assert.equal((await box.succeed(["inspect", "-f", "{{.RestartCount}}", "killed"])).stdout, "1\n");
    await box.succeed(["rm", "-f", "kill", "stop", "again", "killed"]);
    await noKeeper(box);
  },
  { skip },
);

asBoth("--health-on-failure without a check, or against another flag, is refused", async (box) => {
  const refused = async (...flags: string[]) => {
    const { code, stderr } = await box.dugout(["run", "-q", "--network", "none", ...flags, IMAGE, "true"]);
    assert.equal(code, 125);
    return stderr;
  };
  assert.match(await refused("--health-on-failure", "kill"), /neither the image nor --health-cmd has a health check/);
  assert.match(await refused("--health-on-failure", "burn"), /it is none, kill, restart or stop/);
  const restart = ["--health-cmd", "true", "--health-on-failure", "restart"];
  assert.match(await refused(...restart, "--restart", "always"), /cannot both be given/);
  assert.match(await refused(...restart, "--rm"), /cannot both be given/);
  assert.equal((await box.succeed(["ps", "-aq"])).stdout, "");
}, { skip });

asBoth("a container in the foreground is checked too", async (box) => {
  const script = `"$@" & sleep 3; "$D" ps --format '{{.Status}}'; "$D" stop -t 0 front >/dev/null; wait`;
  const words = [
    "run",
    "--rm",
    "-q",
    "--name",
    "front",
    "--network",
    "none",
    ...QUICK,
    "--health-cmd",
    "true",
    IMAGE,
    "sleep",
    "100",
  ];
  const { stdout } = await box.run(["sh", "-c", `D="$1"; ${script}`, "sh", DUGOUT, ...words]);
  assert.match(stdout, /^Up .* \(healthy\)$/m);
  await noKeeper(box);
}, { skip });
