/** Containers that live in namespaces of another one. */
import assert from "node:assert/strict";
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
  "a container whose namespaces are another's is made at any time, and started while that one runs",
  async (box) => {
    const joining = ["--network", "container:first"];
    const refused = await box.dugout(["run", "--rm", "-q", ...joining, IMAGE, "true"]);
    assert.equal(refused.code, 125);
    assert.match(refused.stderr, /Cannot find a running container "first"/);
    await box.succeed(["create", "-q", ...joining, "--name", "second", IMAGE, "true"]);
    assert.equal((await box.dugout(["start", "second"])).code, 1);
    await box.succeed(["run", "-d", "-q", "--network", "none", "--name", "first", IMAGE, "sleep", "1000"]);
    await box.succeed(["start", "-a", "second"]);
    await box.succeed(["rm", "-f", "first", "second"]);
  },
  { skip },
);
