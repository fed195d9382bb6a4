/** Which containers commands are about, and what lists and `inspect` tell of them: docker's words, and podman's where docker has none. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, needsRegistry, REGISTRY, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

async function detach(box: Sandbox, name: string, ...flags: string[]): Promise<string> {
  const words = ["run", "-q", "-d", "--network", "none", "--name", name, ...flags, IMAGE, "sleep", "1000"];
  return (await box.succeed(words)).stdout.trim();
}

async function lines(box: Sandbox, ...args: string[]): Promise<string[]> {
  return (await box.succeed(args)).stdout.split("\n").slice(0, -1);
}

asBoth("--all, --latest and --cidfile stand for names", async (box) => {
  const ids: string[] = [];
  for (const name of ["one", "two", "three"]) ids.unshift(await detach(box, name, "--cidfile", `${name}.cid`));
  assert.deepEqual(await lines(box, "kill", "--latest"), [ids[0]]);
  await box.succeed(["wait", ids[0]!]);
  assert.deepEqual(await lines(box, "stop", "-t", "0", "--cidfile", "one.cid"), [ids[2]]);
  assert.deepEqual(await lines(box, "stop", "-a", "-t", "0"), [ids[1]]);
  assert.deepEqual(await lines(box, "start", "--all"), ids);
  assert.deepEqual((await lines(box, "ps", "-q", "--no-trunc")).sort(), [...ids].sort());
  assert.equal((await box.dugout(["rm", "--all"])).code, 1);
  assert.equal((await box.dugout(["rm", "-t", "1", "one"])).code, 125);
  assert.equal((await box.dugout(["rm", "--all", "one"])).code, 125);
  assert.deepEqual(await lines(box, "rm", "-a", "-f", "-t", "0"), ids);
  assert.deepEqual(await lines(box, "rm", "--all"), []);
  for (const command of ["rm", "stop", "kill", "start", "rmi"]) {
    const { code, stderr } = await box.dugout([command]);
    assert.equal(code, 1, command);
    assert.match(stderr, /requires at least 1 argument/);
  }
  await box.succeed(["tag", IMAGE, "another"]);
  await box.succeed(["rmi", "-a"]);
  assert.deepEqual(await lines(box, "images", "-aq"), []);
}, { skip });

asBoth("--ignore passes over what is not there", async (box) => {
  assert.deepEqual(await lines(box, "rm", "--ignore", "nobody"), []);
  assert.deepEqual(await lines(box, "stop", "--ignore", "nobody"), []);
  await box.succeed(["rmi", "--ignore", "nothing"]);
  for (const command of ["rm", "stop", "rmi"]) assert.equal((await box.dugout([command, "nobody"])).code, 1, command);
});

asBoth("exists says by its exit code whether there is a container, an image or a volume", async (box) => {
  await box.succeed(["create", "-q", "--name", "some", IMAGE]);
  await box.succeed(["volume", "create", "some"]);
  for (const [kind, name] of [["container", "some"], ["image", IMAGE], ["volume", "some"]] as const) {
    const { stdout, stderr } = await box.succeed([kind, "exists", name]);
    assert.equal(stdout + stderr, "", kind);
    const none = await box.dugout([kind, "exists", "nobody"]);
    assert.deepEqual([none.code, none.stdout, none.stderr], [1, "", ""], kind);
    assert.equal((await box.dugout([kind, "exists"])).code, 1, kind);
  }
  const [id = ""] = await lines(box, "ps", "-lq", "--no-trunc");
  writeFileSync(join(box.store, "containers", id, "config.json"), "{");
  assert.equal((await box.dugout(["container", "exists", id])).code, 1);
  assert.equal((await box.dugout(["container", "exists", "--external", id])).code, 0);
}, { skip });

asBoth("--latest stands for the last container that was made", async (box) => {
  await detach(box, "first");
  const words = [
    "run",
    "-q",
    "-d",
    "--network",
    "none",
    "--name",
    "last",
    IMAGE,
    "sh",
    "-c",
    "echo out; exec sleep 1000",
  ];
  const id = (await box.succeed(words)).stdout.trim();
  assert.deepEqual(await lines(box, "exec", "-l", "hostname"), [id.slice(0, 12)]);
  assert.deepEqual(await lines(box, "logs", "--latest"), ["out"]);
  assert.match((await box.succeed(["top", "-l"])).stdout, /sleep 1000/);
  assert.match((await box.succeed(["stats", "-l", "--no-stream", "--format", "{{.Name}}"])).stdout, /^last$/m);
  assert.deepEqual(await lines(box, "container", "inspect", "-l", "-f", "{{.Name}}"), ["/last"]);
  assert.deepEqual(await lines(box, "diff", "--latest"), []);
  assert.deepEqual(await lines(box, "port", "--latest"), []);
  assert.deepEqual(await lines(box, "stop", "-l", "-t", "0"), [id]);
  assert.deepEqual(await lines(box, "wait", "-l"), ["137"]);
  await box.succeed(["rm", "-af"]);
  assert.match((await box.dugout(["logs", "-l"])).stderr, /no last container/);
}, { skip });

asBoth("rm -f of what is not there says so, and succeeds", async (box) => {
  const { stdout, stderr } = await box.succeed(["rm", "-f", "nobody"]);
  assert.deepEqual([stdout, stderr], ["", "dugout: No such container: nobody\n"]);
  assert.equal((await box.dugout(["rm", "-f", "--ignore", "nobody"])).stderr, "");
});

asBoth("flags that nobody can have here are refused in one line, with 125", async (box) => {
  const refused: readonly (readonly string[])[] = [
    ["volume", "create", "--scope", "single"],
    ["volume", "create", "--type", "block"],
    ["volume", "ls", "--cluster"],
    ["volume", "update", "some"],
    ["start", "--checkpoint", "one", "some"],
    ["rm", "--link", "some"],
  ];
  for (const words of refused) {
    const { code, stderr } = await box.dugout(words);
    assert.equal(code, 125, words.join(" "));
    assert.match(stderr, /cannot be used|is not possible/, words.join(" "));
  }
});

asBoth("ps sorts, leaves its heading out, and shows records that cannot be read only when asked", async (box) => {
  for (const name of ["bb", "aa", "cc"]) await box.succeed(["create", "-q", "--name", name, IMAGE, `run-${name}`]);
  const names = (...flags: string[]) => lines(box, "ps", "-a", "--format", "{{.Names}}", ...flags);
  assert.deepEqual(await names(), ["cc", "aa", "bb"]);
  assert.deepEqual(await names("--sort", "names"), ["aa", "bb", "cc"]);
  assert.deepEqual(await names("--sort", "created"), ["bb", "aa", "cc"]);
  assert.deepEqual(await names("--sort", "command"), ["aa", "bb", "cc"]);
  assert.deepEqual(await names("-n", "1"), ["cc"]);
  assert.deepEqual(await names("--filter", "status=created", "--filter", "name=a"), ["aa"]);
  assert.equal((await box.dugout(["ps", "--sort", "colour"])).code, 125);
  const pod = await box.dugout(["ps", "--pod"]);
  assert.equal(pod.code, 125);
  assert.match(pod.stderr, /there are no pods/);
  assert.equal((await lines(box, "ps", "-a", "--noheading")).length, 3);

  const [id = ""] = await lines(box, "ps", "-lq", "--no-trunc");
  writeFileSync(join(box.store, "containers", id, "config.json"), "{");
  assert.match((await box.succeed(["ps", "-a"])).stderr, /cannot be read/);
  const all = await box.succeed(["ps", "-a", "--external", "--noheading"]);
  assert.match(all.stdout, new RegExp(`^${id.slice(0, 12)} .*Storage .*$`, "m"));
  assert.equal(all.stderr, "");
  await box.succeed(["rm", "-f", id]);
}, { skip });

asBoth("templates of inspect work as people write them", async (box) => {
  const id = await detach(
    box,
    "web",
    ...["-e", "A=b", "-v", "data:/data:ro", "-v", "/anonymous", "-v", `${box.home}:/mnt`],
    ...["--stop-signal", "INT", "--ulimit", "nofile=100:200", "--expose", "80", "--label", "k=v", "--tmpfs", "/t"],
  );
  const cases: [template: string, expected: RegExp][] = [
    ["{{.State.Pid}} {{.State.Status}} {{.State.Running}}", /^[1-9][0-9]* running true$/],
    ["{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", /^none$/],
    ["{{json .State.Health}}", /^null$/],
    ["{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.NetworkMode}}", /^no none$/],
    ["{{range .NetworkSettings.Networks}}[{{.IPAddress}}]{{end}}{{.NetworkSettings.IPAddress}}", /^\[\]$/],
    ["{{range $p, $conf := .NetworkSettings.Ports}}{{$p}}{{end}}", /^$/],
    [
      "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}};{{end}}",
      /^volume data \/data false;.*bind {2}\/mnt true;$/,
    ],
    ['{{index .Config.Labels "k"}} {{json .Config.ExposedPorts}}', /^v \{"80\/tcp":\{\}\}$/],
    ["{{range .Config.Env}}{{println .}}{{end}}", /^A=b$/m],
    [
      "{{.Config.StopSignal}} {{.Config.Hostname}} {{.Config.Image}}",
      new RegExp(`^SIGINT ${id.slice(0, 12)} ${IMAGE}$`),
    ],
    ["{{(index .HostConfig.Ulimits 0).Soft}} {{.HostConfig.LogConfig.Type}}", /^100 json-file$/],
    ["{{.LogPath}}", /\/log$/],
    ["{{.HostConfig.Memory}} {{.HostConfig.AutoRemove}} {{.RestartCount}} {{.Name}}", /^0 false 0 \/web$/],
  ];
  for (const [template, expected] of cases) {
    const { stdout } = await box.succeed(["inspect", "-f", template, "web"]);
    assert.match(stdout.trimEnd(), expected, template);
  }
  const [object] = JSON.parse((await box.succeed(["inspect", "web"])).stdout);
  assert.deepEqual(object.HostConfig.Binds, ["data:/data:ro", `${box.home}:/mnt`]);
  assert.deepEqual(object.HostConfig.Tmpfs, { "/t": "" });
  assert.equal("Health" in object.State, false);
  assert.equal("SizeRw" in object, false);
  const [sized] = JSON.parse((await box.succeed(["inspect", "-s", "web"])).stdout);
  assert.equal(typeof sized.SizeRw, "number");

  const limit = await box.dugout(["update", "-m", "5m", "web"]);
  assert.equal(limit.code, 1);
  assert.match(limit.stderr, /Minimum memory limit allowed is 6MB/);
  assert.equal((await box.dugout(["update", "web"])).code, 1);
  assert.deepEqual(await lines(box, "update", "--restart", "on-failure:3", "web"), ["web"]);
  const policy = [
    "inspect",
    "-f",
    "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}",
  ];
  assert.deepEqual(await lines(box, ...policy, "web"), ["on-failure 3"]);
  assert.equal((await box.dugout(["update", "--restart", "sometimes", "web"])).code, 1);
  await box.succeed(["rename", "web", "site"]);
  assert.deepEqual(await lines(box, "inspect", "-f", "{{.Name}}", id.slice(0, 8)), ["/site"]);
  await box.succeed(["rm", "-fv", "site"]);
}, { skip });

asBoth(
  "podman's flags of run: variables that are not passed on, a time zone; what cannot be had is refused",
  async (box) => {
    const env = async (...flags: string[]) =>
      (await box.succeed(["run", "-q", "--rm", "--network", "none", ...flags, IMAGE, "env"])).stdout.trim().split("\n")
        .sort();
    assert.deepEqual(await env("--unsetenv-all", "-e", "A=b"), ["A=b"]);
    const without = await env("--unsetenv", "HOME", "--unsetenv", "HOSTNAME", "-e", "HOME=/x");
    assert.deepEqual(without.map((entry) => entry.split("=")[0]), ["HOME", "PATH"]);
    const tz = await box.dugout([
      "run",
      "-q",
      "--rm",
      "--network",
      "none",
      "--tz",
      "local",
      IMAGE,
      "test",
      "-s",
      "/etc/localtime",
    ]);
    assert.equal(tz.code, 0, tz.stderr);
    for (const flags of [["--secret", "x"], ["--pod", "x"], ["--preserve-fds", "1"], ["--tz", "../../etc/passwd"]]) {
      const { code, stderr } = await box.dugout(["run", "--rm", ...flags, IMAGE, "true"]);
      assert.equal(code, 125, flags.join(" "));
      assert.match(stderr, new RegExp(flags[0]!));
    }
  },
  { skip: skip || (existsSync("/etc/localtime") ? false : "needs /etc/localtime") },
);
