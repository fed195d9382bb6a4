/** What `events` tells: Docker's words, in Docker's order, of what was and of what comes. */
import assert from "node:assert/strict";
import { asBoth, DUGOUT, needsRegistry, REGISTRY, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

async function run(box: Sandbox, flags: readonly string[], ...command: string[]): Promise<number> {
  return (await box.dugout(["run", "-q", "--network", "none", ...flags, IMAGE, ...command])).code;
}

async function past(box: Sandbox, ...flags: string[]): Promise<string[]> {
  return (await box.succeed(["events", "--since", "1h", "--until", "0s", ...flags])).stdout.split("\n").slice(0, -1);
}

const SHORT = ["--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"];

asBoth("C-122 events have Docker's names, attributes and order", async (box) => {
  assert.equal(await run(box, ["--rm", "--name", "first", "--label", "k=v"], "sh", "-c", "exit 7"), 7);
  assert.deepEqual(await past(box, ...SHORT), [
    `image pull ${IMAGE}`,
    ...["create", "attach", "start", "die", "destroy"].map((action) => `container ${action} first`),
  ]);
  const [line = ""] = await past(box, "--filter", "event=die");
  assert.match(
    line,
    /^20[0-9-]+T[0-9:]+\.[0-9]{9}\S+ container die [0-9a-f]{64} \(execDuration=0, exitCode=7, image=\S+\/busybox, k=v, name=first\)$/,
  );
  const [json = ""] = await past(box, "--filter", "event=die", "--format", "{{json .}}");
  const message = JSON.parse(json);
  assert.deepEqual(Object.keys(message), [
    "status",
    "id",
    "from",
    "Type",
    "Action",
    "Actor",
    "scope",
    "time",
    "timeNano",
  ]);
  assert.equal(message.Actor.Attributes.exitCode, "7");
  assert.deepEqual(await past(box, "--filter", "event=die", "--format", "json"), [json]);

  // a plan that is remembered tells the same
  for (let i = 0; i < 2; i++) await run(box, ["--rm", "--name", "again"], "true");
  assert.deepEqual(
    (await past(box, "--filter", "container=again", ...SHORT)).slice(-5),
    ["create", "attach", "start", "die", "destroy"].map((action) => `container ${action} again`),
  );
}, { skip });

asBoth("everything that is done to containers, images and volumes is told", async (box) => {
  await run(box, ["--name", "one", "-v", "data:/data"], "true");
  await box.succeed(["rename", "one", "two"]);
  await box.succeed(["rm", "two"]);
  await box.succeed(["volume", "create", "more"]);
  await box.succeed(["volume", "rm", "data", "more"]);
  await box.succeed(["tag", IMAGE, "other:1"]);
  await box.succeed(["save", "-o", "image.tar", "other:1"]);
  await box.succeed(["rmi", "other:1", IMAGE]);
  await box.succeed(["load", "-i", "image.tar"]);
  assert.deepEqual(await past(box, "--format", "{{.Type}} {{.Action}}"), [
    "image pull",
    "volume create",
    "volume mount",
    "container create",
    "container attach",
    "container start",
    "container die",
    "container rename",
    "container destroy",
    "volume create",
    "volume destroy",
    "volume destroy",
    "image tag",
    "image save",
    "image untag",
    "image untag",
    "image delete",
    "image load",
  ]);
  const old = await past(box, "--filter", "event=rename", "--format", "{{.Actor.Attributes.oldName}}");
  assert.deepEqual(old, ["/one"]);
  assert.deepEqual(await past(box, "--filter", "type=image", "--filter", "event=tag", ...SHORT), ["image tag other:1"]);
  const all = await box.succeed(["events", "--stream=false"]);
  assert.equal(all.stdout.split("\n").length, 19);
  for (const wrong of ["colour=red", "name"]) {
    assert.equal((await box.dugout(["events", "--filter", wrong, "--stream=false"])).code, 1, wrong);
  }
}, { skip });

asBoth("events are followed as they come, until a time", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  const script = `"$0" events --until $(($(date +%s) + 4)) --format '{{.Action}} {{.Actor.Attributes.exitCode}}' >told &
    sleep 1; "$0" run --rm -q --network none ${IMAGE} sh -c 'exit 3'; "$0" volume create v; wait; sed 's/<no value>/-/' told`;
  const { stdout } = await box.run(["sh", "-c", script, DUGOUT]);
  assert.equal(stdout, ["v", "create -", "attach -", "start -", "die 3", "destroy -", "create -", ""].join("\n"));
}, { skip });

asBoth("the end of a container whose command was killed is told by whoever sees it first, once", async (box) => {
  await box.succeed(["pull", "-q", IMAGE]);
  const script =
    `"$0" events --until $(($(date +%s) + 5)) --filter event=die --format '{{.Actor.Attributes.exitCode}}' >told &
    "$0" run --name xx --pidfile pid --network none ${IMAGE} sh -c 'sleep 2; exit 5' >out 2>&1 & run=$!
    until test -s pid; do sleep 0.05; done; kill -9 $run; sleep 3
    for i in 1 2 3 4 5 6; do "$0" ps -a >list & done; wait; cat told; "$0" rm xx`;
  const { stdout } = await box.run(["sh", "-c", script, DUGOUT]);
  assert.equal(stdout, "5\nxx\n");
  assert.deepEqual(await past(box, "--filter", "event=die", "--format", "{{.Actor.Attributes.exitCode}}"), ["5"]);
}, { skip });

asBoth("A-051 no byte of a label reaches the terminal as it is", async (box) => {
  await run(box, ["--rm", "--name", "odd", "--label", "a=\u001b]0;x\u0007\u202e\n"], "true");
  for (const flags of [[], ["--format", "{{json .}}"], ["--format", "{{.Actor.Attributes}}"]]) {
    const text = (await past(box, "--filter", "container=odd", ...flags)).join("");
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(text, /[\x00-\x1f\x7f-\x9f\u202e]/);
  }
}, { skip });

asBoth("events go on when the file cannot be written, and the command does not fail for it", async (box) => {
  // a directory of its own: others may write to the usual one
  const script = `d() { "$D" --run "$HOME/own" "$@"; }; d pull -q ${IMAGE} && rm -f own/events && mkdir own/events &&
    d run --rm -q --network none ${IMAGE} echo ran; rmdir own/events; d events --stream=false`;
  const { stdout, code } = await box.run(["sh", "-c", `D=${DUGOUT}; ${script}`]);
  assert.equal(code, 0);
  assert.match(stdout, /ran\n$/);
}, { skip });

asBoth(
  "A-084 no value of a variable and no command gets into events; A-088 nothing is written through a link",
  async (box) => {
    const marker = "m4rk3r";
    const script = `d() { "$D" --run "$HOME/own" "$@"; }; d pull -q ${IMAGE} || exit
    d run --rm -q --network none -e SECRET=${marker} ${IMAGE} echo ${marker}
    grep -c ${marker} own/events
    rm own/events; ln -s ${box.canary}/file own/events; d run --rm -q --network none ${IMAGE} true; echo $?
    rm own/events; ln -s "$HOME/made" own/events; d run --rm -q --network none ${IMAGE} true; test -e made || echo not made`;
    const { stdout } = await box.run(["sh", "-c", `D=${DUGOUT}; ${script}`]);
    assert.equal(stdout.split("\n").slice(1).join("\n"), `${marker}\n0\n0\nnot made\n`);
  },
  { skip },
);
