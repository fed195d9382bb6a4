/** A real distribution: os-release, apt-get, a terminal. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { asBoth, CACHE, DUGOUT, needs, needsRegistry, REGISTRY, type Sandbox, withTerminal } from "./harness.ts";

const skip = needsRegistry();
const DEBIAN = `${REGISTRY}/debian`;
const PACKAGE = join(CACHE, "dugout-hello_1.0_all.deb");

asBoth("debian says what it is", async (box) => {
  const { stdout } = await box.succeed(["run", "--rm", "--network", "none", DEBIAN, "cat", "/etc/os-release"]);
  assert.match(stdout, /^PRETTY_NAME="Debian GNU\/Linux 12/);
}, { skip });

asBoth("C-082 apt-get installs a package whose scripts make a user and change owners", async (box) => {
  const line =
    "set -e; apt-get install -y /package.deb; dugout-hello; stat -c '%U:%G %a' /var/lib/dugout-hello; dpkg --audit";
  const argv = ["run", "--rm", "--network", "none", "-v", `${PACKAGE}:/package.deb:ro`, DEBIAN, "sh", "-c", line];
  const { stdout } = await box.succeed(argv, { timeoutMs: 120_000 });
  assert.match(stdout, /^hello from a package$/m);
  // with one id there are no other owners, but the calls that set them succeed
  const owner = box.user.kind === "one" ? /^root:root / : /^dugouthello:games 2750$/m;
  assert.match(stdout.slice(stdout.indexOf("hello from a package\n") + "hello from a package\n".length), owner);
}, { skip });

asBoth("C-082 useradd, su and setpriv work, as far as there are ids", async (box) => {
  const line = "useradd -m boat && getent passwd boat && su boat -c 'id -un; touch ~/f' && stat -c %U /home/boat/f";
  const { stdout } = await box.succeed(["run", "--rm", "--network", "none", DEBIAN, "sh", "-c", line], {
    timeoutMs: 120_000,
  });
  assert.match(stdout, /^boat:x:1000:/);
  if (box.user.kind === "sub") assert.match(stdout, /\nboat\nboat\n$/);
}, { skip });

/** Prints which of a terminal's modes are on; a raw one has none of these. */
const MODES = "stty -a | tr ' ;' '\\n\\n' | grep -x -E -e '-?(icanon|isig|echo|opost)' | sort | xargs";

/** The image is pulled first: what the screen shows is then the container's alone. */
async function inTerminal(box: Sandbox, work: Parameters<typeof withTerminal>[1]): Promise<void> {
  await box.succeed(["pull", "-q", DEBIAN]);
  await withTerminal(box, work);
}

asBoth("a shell in a terminal: typing, interrupting, resizing, leaving", async (box) => {
  await inTerminal(box, async (terminal) => {
    await terminal.type(`${DUGOUT} run --rm -it --network none -e PS1='inner> ' ${DEBIAN} sh; echo "left with $?"`);
    await terminal.waitFor(/^inner>/m);
    await terminal.type("tty; stty size; echo $((6 * 7)) sum");
    assert.match(await terminal.waitFor(/42 sum/), /\/dev\/(?:pts\/0|console)\n30 100/);
    await terminal.type("sleep 100");
    await terminal.press("C-c");
    await terminal.type("echo interrupted: $?");
    await terminal.waitFor(/interrupted: 130/);
    await terminal.resize(120, 40);
    await terminal.type("sleep 0.3; stty size");
    await terminal.waitFor(/40 120/);
    await terminal.type("exit 5");
    await terminal.waitFor(/left with 5/);
    // the outer terminal is as it was: it echoes, and interrupts
    await terminal.type(MODES);
    await terminal.waitFor(/^echo icanon isig opost$/m);
  });
}, { skip: skip || needs("tmux") });

asBoth("a terminal is as it was when the command is terminated", async (box) => {
  await inTerminal(box, async (terminal) => {
    await terminal.type(
      `${DUGOUT} run --rm -it --network none ${DEBIAN} sh -c 'trap "exit 3" TERM; echo up; while :; do sleep 0.1; done'; echo "ended $?"`,
    );
    await terminal.waitFor(/^up/m);
    const { code, stderr } = await box.run([
      "pkill",
      "-TERM",
      "-u",
      String(box.user.uid),
      "-f",
      `^${DUGOUT} run --rm -it .* ${DEBIAN} sh -c trap`,
    ]);
    assert.equal(code, 0, stderr);
    await terminal.waitFor(/^ended 3/m);
    await terminal.type(MODES);
    await terminal.waitFor(/^echo icanon isig opost$/m);
  });
}, { skip: skip || needs("tmux") });
