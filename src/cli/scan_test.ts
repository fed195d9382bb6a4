import assert from "node:assert/strict";
import { test } from "node:test";
import { isRunFlag } from "#docker/read_run.ts";
import { RUN_OPTIONS } from "./declare/run.ts";
import { longName, type Options, scanOptions, shortName } from "./scan.ts";
import { seededRandom } from "../../tests/support/random.ts";

function scan(line: string, stopsAtFirstOperand = true): { options: Options; operands: string[]; wantsHelp: boolean } {
  return scanOptions(RUN_OPTIONS, line.split(" "), { stopsAtFirstOperand, program: "dugout run" });
}

function read(line: string, stopsAtFirstOperand = true): unknown {
  const { options, operands } = scan(line, stopsAtFirstOperand);
  return [Object.fromEntries(options), operands];
}

test("flags are read as docker's pflag reads them", () => {
  // each line was tried with the docker CLI 28.2.2 against a server that records
  const cases: [string, unknown][] = [
    ["-it x", [{ interactive: true, tty: true }, ["x"]]],
    ["-ti=false x", [{ tty: true, interactive: false }, ["x"]]],
    ["--rm=false x", [{ rm: false }, ["x"]]],
    ["--rm=T x", [{ rm: true }, ["x"]]],
    ["--rm false", [{ rm: true }, ["false"]]],
    ["-eA=1 -e B=2 --env=C=3 --env D x", [{ env: ["A=1", "B=2", "C=3", "D"] }, ["x"]]],
    ["-e=A x", [{ env: ["A"] }, ["x"]]],
    ["-e -x y", [{ env: ["-x"] }, ["y"]]],
    ["--name --rm y", [{ name: "--rm" }, ["y"]]],
    ["--name= y", [{ name: "" }, ["y"]]],
    ["--name a --name b y", [{ name: "b" }, ["y"]]],
    ["-iteA=1 x", [{ interactive: true, tty: true, env: ["A=1"] }, ["x"]]],
    ["-ite A=1 x", [{ interactive: true, tty: true, env: ["A=1"] }, ["x"]]],
    ["-m64m x", [{ memory: "64m" }, ["x"]]],
    ["--memory-swap -1 x", [{ "memory-swap": "-1" }, ["x"]]],
    ["-h name x", [{ hostname: "name" }, ["x"]]],
    ["x --rm -it", [{}, ["x", "--rm", "-it"]]],
    ["x --help", [{}, ["x", "--help"]]],
    ["-- x --rm", [{}, ["x", "--rm"]]],
    ["-- --rm", [{}, ["--rm"]]],
    ["- a", [{}, ["-", "a"]]],
    ["--cpus .5 x", [{ cpus: ".5" }, ["x"]]],
  ];
  for (const [line, expected] of cases) assert.deepEqual(read(line), expected, line);
});

test("flags may stand behind arguments where no command follows", () => {
  assert.deepEqual(read("a --rm b -- --tty", false), [{ rm: true }, ["a", "b", "--tty"]]);
});

test("wrong flags fail with docker's words and 125", () => {
  const cases: [string, RegExp][] = [
    ["--bogus x", /^unknown flag: --bogus$/],
    ["-Z x", /^unknown shorthand flag: 'Z' in -Z$/],
    ["-ix foo", /^unknown shorthand flag: 'x' in -ix$/],
    ["--rm=maybe x", /^invalid argument "maybe" for "--rm" flag: /],
    ["-e", /^flag needs an argument: 'e' in -e$/],
    ["-ie", /^flag needs an argument: 'e' in -ie$/],
    ["--name", /^flag needs an argument: --name$/],
    ["---name x", /^bad flag syntax: ---name$/],
    ["--=x y", /^bad flag syntax: --=x$/],
    ["--pids-limit foo x", /^invalid argument "foo" for "--pids-limit" flag: /],
    ["--memory-swappiness=a x", /^invalid argument "a" for "--memory-swappiness" flag: /],
    ["--cpus 1,5 x", /^invalid argument "1,5" for "--cpus" flag: /],
    ["-c q x", /^invalid argument "q" for "-c, --cpu-shares" flag: /],
    ["--blkio-weight -1 x", /^invalid argument "-1" for "--blkio-weight" flag: /],
  ];
  for (const [line, message] of cases) {
    assert.throws(() => scan(line), { code: "USAGE", exitCode: 125, message }, line);
  }
});

test("a mistyped flag is told what was meant", () => {
  assert.throws(() => scan("--entripoint sh x"), { hint: /did you mean --entrypoint\?/ });
  assert.throws(() => scan("--zzzzzz sh x"), { hint: "'dugout run --help' lists the flags" });
});

test("--help asks for help, -h too where that letter is free", () => {
  assert.equal(scan("--help x").wantsHelp, true);
  assert.equal(scanOptions([], ["-h"], { stopsAtFirstOperand: false, program: "dugout tag" }).wantsHelp, true);
});

test("A-087 names of JavaScript's own are unknown flags, not properties", () => {
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    assert.throws(() => scan(`--${name} x`), { message: `unknown flag: --${name}` });
  }
});

test("A-100 a flag of 50,000 letters is refused without being compared to all others", () => {
  assert.throws(() => scan(`--${"a".repeat(50_000)} x`), {
    code: "USAGE",
    hint: "'dugout run --help' lists the flags",
  });
});

test("whatever the words, they are read or refused with our own error, and no operand is lost", () => {
  const words = [
    "-",
    "--",
    "-i",
    "-it",
    "-e",
    "-e=",
    "-eA",
    "--rm",
    "--rm=",
    "--rm=x",
    "--env",
    "--env=",
    "--=",
    "---",
    "-é",
    "--é",
    "",
    "x",
    "=",
    "-1",
    "--name",
    "\ud800",
  ];
  const seed = 7;
  const random = seededRandom(seed).below;
  for (let round = 0; round < 5000; round++) {
    const argv = Array.from({ length: random(8) }, () => words[random(words.length)] ?? "");
    for (const stopsAtFirstOperand of [true, false]) {
      try {
        const { operands } = scanOptions(RUN_OPTIONS, argv, { stopsAtFirstOperand, program: "dugout run" });
        const end = argv.lastIndexOf(operands.at(-1) ?? "");
        if (stopsAtFirstOperand && operands.length > 0) assert.deepEqual(argv.slice(-operands.length), operands);
        assert.ok(operands.length === 0 || end >= 0);
      } catch (error) {
        assert.equal(
          (error as { code?: unknown }).code,
          "USAGE",
          `seed ${seed}, round ${round}: ${JSON.stringify(argv)}`,
        );
      }
    }
  }
});

test("run declares each name and letter once", () => {
  const names = RUN_OPTIONS.map(longName);
  const letters = RUN_OPTIONS.map(shortName).filter((letter) => letter !== undefined);
  assert.equal(new Set(names).size, names.length);
  assert.equal(new Set(letters).size, letters.length);
});

test("every flag that run declares is understood or refused behind the command line", () => {
  assert.deepEqual(RUN_OPTIONS.map(longName).filter((name) => !isRunFlag(name)), []);
});

test("run declares all 104 flags of docker 28.2, and takes a value where docker does", () => {
  // --help is the scanner's; a trailing = marks a flag with a value, a letter before the colon its short form
  const docker =
    `add-host= annotation= a:attach= blkio-weight= blkio-weight-device= cap-add= cap-drop= cgroup-parent= cgroupns=
    cidfile= cpu-count= cpu-percent= cpu-period= cpu-quota= cpu-rt-period= cpu-rt-runtime= c:cpu-shares= cpus= cpuset-cpus=
    cpuset-mems= d:detach detach-keys= device= device-cgroup-rule= device-read-bps= device-read-iops= device-write-bps=
    device-write-iops= disable-content-trust dns= dns-option= dns-search= domainname= entrypoint= e:env= env-file= expose= gpus=
    group-add= health-cmd= health-interval= health-retries= health-start-interval= health-start-period= health-timeout=
    h:hostname= init i:interactive io-maxbandwidth= io-maxiops= ip= ip6= ipc= isolation= kernel-memory= l:label= label-file=
    link= link-local-ip= log-driver= log-opt= mac-address= m:memory= memory-reservation= memory-swap= memory-swappiness= mount=
    name= network= network-alias= no-healthcheck oom-kill-disable oom-score-adj= pid= pids-limit= platform= privileged
    p:publish= P:publish-all pull= q:quiet read-only restart= rm runtime= security-opt= shm-size= sig-proxy stop-signal=
    stop-timeout= storage-opt= sysctl= tmpfs= t:tty ulimit= use-api-socket u:user= userns= uts= v:volume= volume-driver=
    volumes-from= w:workdir=`.split(/\s+/);
  assert.equal(docker.length + 1, 104);
  const ours = new Set(RUN_OPTIONS.map((option) => {
    const letter = shortName(option);
    return (letter === undefined ? "" : `${letter}:`) + longName(option) + (option.value === undefined ? "" : "=");
  }));
  assert.deepEqual(docker.filter((flag) => !ours.has(flag)), []);
});
