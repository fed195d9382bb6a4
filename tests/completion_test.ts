/** Tab in real shells. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { asBoth, DUGOUT, needs, needsRegistry, REGISTRY, type Sandbox, withTerminal } from "./harness.ts";

const noRegistry = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

const SHELLS = [
  { name: "bash", start: "exec bash --norc --noprofile", load: "source <(dugout completion bash)" },
  {
    name: "zsh",
    start: "exec zsh -f",
    load: "autoload -Uz compinit && compinit -D && source <(dugout completion zsh)",
  },
  { name: "fish", start: "exec fish --no-config", load: "dugout completion fish | source" },
] as const;

async function complete(box: Sandbox, words: readonly string[]): Promise<string[]> {
  return (await box.succeed(["__complete", ...words])).stdout.split("\n").slice(0, -1)
    .map((line) => line.split("\t")[0] ?? "");
}

for (const { name, start, load } of SHELLS) {
  asBoth(`${name} completes commands, flags and names of what is there`, async (box) => {
    await box.succeed(["pull", "-q", IMAGE]);
    await box.succeed(["create", "-q", "--name", "wonderful", IMAGE]);
    await box.succeed(["volume", "create", "warehouse"]);
    await box.run(["mkdir", "-p", join(box.home, "bin")]);
    await box.run(["ln", "-s", DUGOUT, join(box.home, "bin/dugout")]);
    await withTerminal(box, async (terminal) => {
      await terminal.type(`export PATH=$HOME/bin:$PATH; ${start}`);
      await terminal.type(`${load}; echo loa''ded`);
      await terminal.waitFor(/^loaded/m);
      const cases: [typed: string, expected: RegExp][] = [
        ["dugout renam", /dugout rename$/m],
        ["dugout rm wond", /dugout rm wonderful$/m],
        ["dugout volume rm war", /dugout volume rm warehouse$/m],
        [`dugout rmi ${IMAGE.slice(0, -2)}`, new RegExp(`dugout rmi ${IMAGE}:latest`)],
        ["dugout run --pull=alw", /dugout run --pull=always/],
        ["dugout run --env-file /etc/hostn", /--env-file \/etc\/hostname/],
      ];
      for (const [i, [typed, expected]] of cases.entries()) {
        await terminal.type(typed, false);
        await terminal.press("Tab");
        await terminal.waitFor(expected);
        // the line is taken away, and the shell is ready for another
        await terminal.press("C-u");
        await terminal.type(`echo line''-${i}`);
        await terminal.waitFor(new RegExp(`^line-${i}$`, "m"));
      }
    });
    await box.succeed(["rm", "wonderful"]);
  }, { skip: noRegistry || needs(name, "tmux") });
}

asBoth("names are listed without a store, and of one that is elsewhere", async (box) => {
  for (const words of [["rm", ""], ["rmi", ""], ["stop", ""], ["volume", "rm", ""]]) {
    assert.deepEqual(await complete(box, words), []);
  }
  const other = join(box.home, "other");
  await box.succeed(["--root", other, "volume", "create", "far"]);
  assert.deepEqual(await complete(box, ["--root", other, "volume", "rm", ""]), ["far"]);
  assert.deepEqual(await complete(box, [`--root=${other}`, "volume", "rm", "f"]), ["far"]);
  assert.deepEqual(await complete(box, ["volume", "rm", ""]), []);
  assert.equal((await box.dugout(["completion", "csh"])).code, 1);
});

asBoth("containers that run are told from those that do not", async (box) => {
  await box.succeed(["run", "-q", "-d", "--network", "none", "--name", "live", IMAGE, "sleep", "1000"]);
  await box.succeed(["create", "-q", "--name", "made", IMAGE]);
  assert.deepEqual(await complete(box, ["stop", ""]), ["live"]);
  assert.deepEqual((await complete(box, ["start", ""])).sort(), ["live", "made"]);
  await box.succeed(["rm", "-f", "live"]);
  assert.deepEqual(await complete(box, ["stop", ""]), []);
}, { skip: noRegistry });
