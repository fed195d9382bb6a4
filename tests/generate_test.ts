/** Units and lines for cron of containers that are there. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { asBoth, needsRegistry, REGISTRY } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

asBoth(
  "generate systemd --new makes the container again by the words that made it, whatever is in them",
  async (box) => {
    const flags = ["-q", "--network", "none", "-e", "A=50% of $HOME 'x'", "-l", "a=b", "-v", "/usr:/host:ro", "--init"];
    await box.succeed(["run", "-d", "--name", "web", ...flags, IMAGE, "sh", "-c", 'echo "$A"; exec sleep 1000']);
    const show = async () => {
      const template = "{{.Config.Env}} {{.Config.Labels}} {{.Config.Cmd}} {{.HostConfig.Binds}} {{.HostConfig.Init}}";
      return (await box.succeed(["inspect", "-f", template, "web"])).stdout;
    };
    const before = await show();
    const unit = (await box.succeed(["generate", "systemd", "--new", "--name", "web"])).stdout;
    assert.match(unit, /^# container-web\.service$/m);
    assert.match(
      unit,
      /^ExecStart=\S+ run --name=web --replace --rm --sdnotify=conmon .*"--env=A=50%% of \$\$HOME 'x'"/m,
    );
    const line = (await box.succeed(["generate", "systemd", "--new", "--cron", "web"])).stdout;
    const [id] = (await box.succeed(["ps", "-q"])).stdout.split("\n");
    // cron gives the shell what stands there, without the backslash before a per cent sign
    const { code, stderr } = await box.run(["sh", "-c", line.replace("@reboot ", "").replaceAll("\\%", "%")]);
    assert.equal(code, 0, stderr);
    assert.notEqual((await box.succeed(["ps", "-q"])).stdout.split("\n")[0], id);
    assert.equal(await show(), before);
    assert.equal((await box.succeed(["logs", "web"])).stdout, "50% of $HOME 'x'\n");
    await box.succeed(["rm", "-f", "web"]);
  },
  { skip },
);

asBoth("generate systemd --new refuses words that meant something where they were typed", async (box) => {
  await box.succeed(["create", "-q", "--network", "none", "-e", "HOME", "--name", "web", IMAGE]);
  const { code, stderr } = await box.dugout(["generate", "systemd", "--new", "web"]);
  assert.equal(code, 125);
  assert.match(stderr, /its command line depended on/);
  await box.succeed(["rm", "web"]);
}, { skip });

asBoth("a unit of a store that the caller has named names it, too", async (box) => {
  const root = ["--root", join(box.home, "other")];
  await box.succeed([...root, "create", "-q", "--network", "none", "--name", "web", IMAGE, "true"]);
  const { stdout } = await box.succeed(["--root", "other", "generate", "systemd", "--name", "web"]);
  assert.match(stdout, new RegExp(`^ExecStart=\\S+ --root=${join(box.home, "other")} start --attach web$`, "m"));
  await box.succeed([...root, "system", "reset", "-f"]);
}, { skip });
