import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { LATER_COMMANDS, REFUSED_COMMANDS } from "./declare/later.ts";
import { COMMANDS } from "./declare/commands.ts";
import { MAIN, runDugout } from "./testing.ts";
import { VERSION } from "./version.ts";

test("--version prints one line and needs nothing", () => {
  for (const flag of ["--version", "-v"]) {
    assert.deepEqual(runDugout([flag]), { exitCode: 0, stdout: `dugout version ${VERSION}\n`, stderr: "" });
  }
});

test("wrong command lines fail with docker's words and exit codes, and a line of advice", () => {
  // message and code as docker 28.2.2 has them
  const cases: [string, number, string][] = [
    ["imags", 1, "unknown command: dugout imags\n  did you mean 'dugout images'?"],
    ["image bogus", 1, "unknown command: dugout image bogus\n  'dugout image --help' lists the commands"],
    ["images --bogus", 125, "unknown flag: --bogus\n  'dugout images --help' lists the flags"],
    ["image ls --bogus", 125, "unknown flag: --bogus\n  'dugout image ls --help' lists the flags"],
    ["image --bogus ls", 125, "unknown flag: --bogus\n  'dugout image --help' lists the flags"],
    ["--bogus images", 125, "unknown flag: --bogus\n  'dugout --help' lists the flags"],
    ["run --rm=maybe x", 125, 'invalid argument "maybe" for "--rm" flag: '],
    ["run", 1, "'dugout run' requires at least 1 argument\n"],
    ["container run", 1, "'dugout container run' requires at least 1 argument\n"],
    ["pull", 1, "'dugout pull' requires 1 argument\n"],
    ["tag a", 1, "'dugout tag' requires 2 arguments\n"],
    ["images a b", 1, "'dugout images' requires at most 1 argument\n"],
    ["info x", 1, "'dugout info' accepts no arguments\n"],
    ["--log-level loud images", 1, "unable to parse logging level: loud\n"],
    ["--storage-driver aufs images", 125, 'Cannot use the storage driver "aufs": '],
    ["-H tcp://x images", 125, "--host cannot be used: there is no daemon to talk to\n"],
    ["help imags", 1, "unknown command: dugout imags\n"],
  ];
  for (const [line, exitCode, message] of cases) {
    const outcome = runDugout(line.split(" "));
    assert.equal(outcome.exitCode, exitCode, line);
    assert.equal(outcome.stdout, "", line);
    assert.ok(outcome.stderr.startsWith(`dugout: ${message}`), `${line}: ${outcome.stderr}`);
  }
});

test("what docker has and this version has not is told from what is mistyped", () => {
  const named = new Set(COMMANDS.flatMap((command) => command.names));
  for (const command of LATER_COMMANDS) assert.ok(!named.has(command), `${command} is here`);
  for (const command of ["build", "image build", "buildx", "compose"]) {
    const { exitCode, stderr } = runDugout([...command.split(" "), "--some", "thing"]);
    assert.equal(exitCode, 125);
    assert.equal(stderr.split("\n")[0], `dugout: 'dugout ${command}' is not in this version yet`);
  }
  const { exitCode, stderr } = runDugout(["swarm", "init"]);
  assert.equal(exitCode, 125);
  assert.equal(stderr, `dugout: 'dugout swarm' is not possible: ${REFUSED_COMMANDS.get("swarm")}\n`);
});

test("help is given by --help, help and -h, and for nothing at all", () => {
  const { stdout } = runDugout([]);
  assert.match(stdout, /^Usage: dugout \[OPTIONS\] COMMAND/);
  assert.equal(runDugout(["--help"]).stdout, stdout);
  assert.equal(runDugout(["help"]).stdout, stdout);
  const pull = runDugout(["pull", "--help"]).stdout;
  assert.match(pull, /^Usage: dugout pull /);
  assert.equal(runDugout(["help", "pull"]).stdout, pull);
  assert.equal(runDugout(["pull", "-h"]).stdout, pull);
  assert.match(runDugout(["image", "pull", "--help"]).stdout, /^Usage: dugout image pull /);
  assert.match(runDugout(["run", "--help"]).stdout, /^Usage: dugout run /);
  assert.match(runDugout(["image"]).stdout, /^Usage: dugout image COMMAND/);
});

test("A-051 a hostile word in an error is escaped", () => {
  const { stderr } = runDugout(["\x1b[2J\x9b\u202e"]);
  assert.match(stderr, /^[ -~\n]*$/);
  assert.ok(stderr.includes("unknown command: dugout \\x1b[2J\\x9b\\u202e"), stderr);
});

test("a stack is shown with --debug only", () => {
  assert.doesNotMatch(runDugout(["images", "--bogus"]).stderr, /^\s+at /m);
  assert.match(runDugout(["--debug", "images", "--bogus"]).stderr, /^\s+at /m);
});

test("a reader that goes away ends a command without a word", () => {
  const runtime = process.versions["deno"] === undefined ? "" : "run -A --no-lock --no-check";
  // the reader is gone when the marker file appears; only then does dugout start
  const script =
    `m=$(mktemp -u); { while [ ! -e "$m" ]; do sleep 0.01; done; "$RUNTIME" ${runtime} "$MAIN" run --help; echo "code $?" >&2; } | { exec <&-; : >"$m"; }; rm -f "$m"`;
  const { stdout, stderr } = spawnSync("sh", ["-c", script], {
    encoding: "utf8",
    env: { ...process.env, RUNTIME: process.execPath, MAIN },
  });
  assert.equal(stdout, "");
  assert.equal(stderr, "code 141\n");
});
