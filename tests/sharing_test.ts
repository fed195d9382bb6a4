/** Containers that live in namespaces of another one. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { asBoth, needsRegistry, REGISTRY } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

asBoth(
  "containers share network, processes, ipc and names with one that runs, also through each other",
  async (box) => {
    const run = (...words: string[]) => box.succeed(["run", "-q", ...words]);
    await run("-d", "--network", "none", "--name", "one", "--hostname", "shared", IMAGE, "sleep", "1234");
    const all = ["network", "pid", "ipc", "uts"].flatMap((kind) => [`--${kind}`, "container:one"]);
    await run("-d", ...all, "--name", "two", IMAGE, "sleep", "1235");
    const namespaces = async (name: string) =>
      (await box.succeed([
        "exec",
        name,
        "sh",
        "-c",
        "cd /proc/self/ns; for n in net ipc uts pid user mnt; do readlink $n; done",
      ])).stdout
        .split("\n");
    const [one, two] = [await namespaces("one"), await namespaces("two")];
    assert.deepEqual(two.slice(0, 5), one.slice(0, 5));
    assert.notEqual(two[5], one[5]);
    assert.match(
      (await run("--rm", "--network", "none", "--pid", "container:two", IMAGE, "ps")).stdout,
      /sleep 1234[^]*sleep 1235/,
    );
    assert.equal(
      (await run("--rm", "--network", "none", "--uts", "container:two", IMAGE, "hostname")).stdout,
      "shared\n",
    );
    await run("-d", "--network", "container:two", "--name", "three", IMAGE, "sleep", "1236");
    assert.equal((await namespaces("three"))[0], one[0]);
    await box.succeed(["rm", "-f", "one", "two", "three"]);
  },
  { skip },
);

asBoth(
  "containers are shared with by their names in this store, whatever another one has at the same runtime directory",
  async (box) => {
    const run = (store: string, ...words: string[]) =>
      box.succeed(["--root", join(box.home, store), "run", "-q", "--network", "none", "--name", "same", ...words]);
    for (const store of ["a", "b"]) await run(store, "-d", "--hostname", `host-${store}`, IMAGE, "sleep", "1000");
    for (const store of ["a", "b"]) {
      const global = ["--root", join(box.home, store)];
      const words = [...global, "run", "--rm", "-q", "--network", "none", "--uts", "container:same", IMAGE, "hostname"];
      assert.equal((await box.succeed(words)).stdout, `host-${store}\n`);
      await box.succeed([...global, "system", "reset", "-f"]);
    }
  },
  { skip },
);

asBoth("C-133 containers that share ipc share /dev/shm, and keep it when the first one goes", async (box) => {
  const run = (...words: string[]) => box.succeed(["run", "-q", "--network", "none", ...words]);
  await run("-d", "--shm-size", "1m", "--name", "owner", IMAGE, "sh", "-c", "echo one >/dev/shm/a; exec sleep 1000");
  await box.succeed(["exec", "owner", "sh", "-c", "until [ -s /dev/shm/a ]; do sleep 0.01; done"]);
  const script = "cat /dev/shm/a; echo two >/dev/shm/b; df -k /dev/shm | awk 'END { print $2 }'; exec sleep 1000";
  const id = (await run("-d", "--name", "guest", "--ipc", "container:owner", IMAGE, "sh", "-c", script)).stdout.trim();
  assert.equal(
    (await box.succeed(["exec", "owner", "sh", "-c", "until cat /dev/shm/b 2>&-; do :; done"])).stdout,
    "two\n",
  );
  assert.equal((await box.succeed(["logs", id])).stdout, "one\n1024\n");
  await box.succeed(["rm", "-f", "owner"]);
  assert.equal((await run("--rm", "--ipc", "container:guest", IMAGE, "cat", "/dev/shm/a")).stdout, "one\n");
  await box.succeed(["rm", "-f", "guest"]);
}, { skip });

asBoth("rm --depend removes those that live in a container's namespaces with it, the last one first", async (box) => {
  const make = async (name: string, ...flags: string[]) =>
    (await box.succeed(["run", "-d", "-q", "--name", name, ...flags, IMAGE, "sleep", "1000"])).stdout.trim();
  await make("base", "--network", "none");
  const second = await make("second", "--network", "container:base");
  const third = await make("third", "--network", "none", "--pid", `container:${second.slice(0, 8)}`);
  await make("other", "--network", "none");
  const running = await box.dugout(["rm", "--depend", "base"]);
  assert.equal(running.code, 1);
  assert.equal((await box.succeed(["rm", "-f", "--depend", "base"])).stdout, `${third}\n${second}\nbase\n`);
  assert.equal((await box.succeed(["ps", "-a", "--format", "{{.Names}}"])).stdout, "other\n");
  await box.succeed(["rm", "-f", "--filter", "name=oth"]);
  assert.equal((await box.succeed(["ps", "-aq"])).stdout, "");
}, { skip });

asBoth("what was made with --ipc private or none is not shared", async (box) => {
  for (const mode of ["private", "none"]) {
    await box.succeed(["run", "-d", "-q", "--network", "none", "--ipc", mode, "--name", mode, IMAGE, "sleep", "1000"]);
    const { code, stderr } = await box.dugout(["run", "--rm", "-q", "--ipc", `container:${mode}`, IMAGE, "true"]);
    assert.equal(code, 125);
    assert.match(stderr, new RegExp(`it was made with --ipc ${mode}`));
    await box.succeed(["rm", "-f", mode]);
  }
}, { skip });

asBoth("what another container has of the host's is the host's for those who share it", async (box) => {
  const own = ["network", "pid", "ipc", "uts"].flatMap((kind) => [`--${kind}`, "host"]);
  await box.succeed(["run", "-d", "-q", ...own, "--name", "open", IMAGE, "sleep", "1000"]);
  const all = ["network", "pid", "ipc", "uts"].flatMap((kind) => [`--${kind}`, "container:open"]);
  const script = "cd /proc/self/ns; for n in net pid ipc uts; do readlink $n; done";
  const both = [own, all].map(async (flags) =>
    (await box.succeed(["run", "--rm", "-q", ...flags, IMAGE, "sh", "-c", script])).stdout
  );
  const [host, shared] = await Promise.all(both);
  assert.equal(shared, host);
  await box.succeed(["rm", "-f", "open"]);
}, { skip });

asBoth("whoever shares a network has its names and servers", async (box) => {
  const flags = ["--network", "none", "--hostname", "apple", "--add-host", "pear:10.0.0.9", "--dns", "10.0.0.53"];
  await box.succeed(["run", "-d", "-q", ...flags, "--name", "named", IMAGE, "sleep", "1000"]);
  const files = ["cat", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
  const { stdout } = await box.succeed(["exec", "named", ...files]);
  assert.match(stdout, /pear[^]*apple[^]*10\.0\.0\.53/);
  const run = (...words: string[]) => box.succeed(["run", "--rm", "-q", "--network", "container:named", ...words]);
  assert.equal((await run(IMAGE, ...files)).stdout, stdout);
  assert.equal((await run(IMAGE, "hostname")).stdout, "apple\n");
  await box.succeed(["rm", "-f", "named"]);
}, { skip });

asBoth(
  "--userns container: gives the ids and rights of another one, and lets its namespaces be shared",
  async (box) => {
    await box.succeed([
      "run",
      "-d",
      "-q",
      "--network",
      "none",
      "--userns",
      "keep-id",
      "--name",
      "kept",
      IMAGE,
      "sleep",
      "1000",
    ]);
    const show = ["sh", "-c", "cat /proc/self/uid_map /proc/self/gid_map; readlink /proc/self/ns/user"];
    const { stdout } = await box.succeed(["exec", "kept", ...show]);
    const run = (...words: string[]) => box.dugout(["run", "--rm", "-q", ...words]);
    const joined = ["--userns", "container:kept", "--network", "container:kept", "--pid", "container:kept"];
    assert.equal((await run(...joined, IMAGE, ...show)).stdout, stdout);
    const other = await run("--network", "container:kept", IMAGE, "true");
    assert.equal(other.code, 125);
    assert.match(other.stderr, /it maps other ids\n.*--userns container:kept/);
    await box.succeed(["create", "-q", ...joined, "--name", "later", IMAGE, ...show]);
    assert.equal((await box.succeed(["start", "-a", "later"])).stdout, stdout);
    assert.match(
      (await box.succeed(["inspect", "-f", "{{.HostConfig.UsernsMode}}", "later"])).stdout,
      /^container:kept$/m,
    );
    await box.succeed(["rm", "-f", "kept", "later"]);
    assert.match(
      (await run("--userns", "container:kept", IMAGE, "true")).stderr,
      /No such container: kept/,
    );
  },
  { skip },
);

asBoth("a user that a single id of another container does not have is refused", async (box) => {
  await box.succeed(["run", "-d", "-q", "--network", "none", "--name", "single", IMAGE, "sleep", "1000"]);
  const words = [
    "run",
    "--rm",
    "-q",
    "--network",
    "none",
    "--userns",
    "container:single",
    "--user",
    "33",
    IMAGE,
    "true",
  ];
  const { code, stderr } = await box.dugout(words);
  assert.equal(code, 125);
  assert.match(stderr, /Cannot run as user 33/);
  await box.succeed(["rm", "-f", "single"]);
}, { skip, only: "one" });

asBoth(
  "a container whose namespaces are another's is made at any time, and started while that one runs",
  async (box) => {
    const joining = ["--network", "container:first"];
    const refused = await box.dugout(["run", "--rm", "-q", ...joining, IMAGE, "true"]);
    assert.equal(refused.code, 125);
    assert.match(refused.stderr, /No such container: first/);
    await box.succeed(["create", "-q", ...joining, "--name", "second", IMAGE, "true"]);
    assert.equal((await box.dugout(["start", "second"])).code, 1);
    await box.succeed(["create", "-q", "--network", "none", "--name", "first", IMAGE, "true"]);
    const early = await box.dugout(["start", "second"]);
    assert.equal(early.code, 1);
    assert.match(early.stderr, /Cannot join the network namespace of "first": it does not run/);
    await box.succeed(["rm", "first"]);
    await box.succeed(["run", "-d", "-q", "--network", "none", "--name", "first", IMAGE, "sleep", "1000"]);
    await box.succeed(["start", "-a", "second"]);
    await box.succeed(["rm", "-f", "first", "second"]);
  },
  { skip },
);
