/** Images and users that broke other engines (cases.md, section 2), against the built binary as both kinds of user. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, CACHE, type Result, type Sandbox } from "./harness.ts";
import { busyboxLayer, type Config, craftImage, type Entry } from "./support/craft_image.ts";

const skip = existsSync(join(CACHE, "tars")) ? false : "needs tests/setup";
const PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

async function load(box: Sandbox, name: string, entries: readonly Entry[], config: Config = {}): Promise<void> {
  const layers = entries.length > 0 ? [busyboxLayer(CACHE), entries] : [busyboxLayer(CACHE)];
  await box.succeed(["load", "-q"], {
    input: craftImage(`localhost/${name}:latest`, layers, { Env: [PATH], ...config }),
  });
}

function run(box: Sandbox, flags: readonly string[], ...command: string[]): Promise<Result> {
  return box.dugout(["run", "--rm", "--network", "none", ...flags, ...command], { timeoutMs: 20_000 });
}

async function output(box: Sandbox, flags: readonly string[], name: string, line: string): Promise<string> {
  const { code, stdout, stderr } = await run(box, flags, `localhost/${name}`, "sh", "-c", line);
  assert.equal(code, 0, `${line}\nstdout: ${stdout}\nstderr: ${stderr}`);
  return stdout;
}

/** A container's directories that are still there. */
function listContainers(box: Sandbox): string[] {
  const places = [join(box.store, "containers"), join(box.store, "containers/names")];
  return places.flatMap((place) => existsSync(place) ? readdirSync(place) : []).filter((name) => name !== "names");
}

asBoth("C-019 a user by a number that no passwd has runs, with group 0 and no others", async (box) => {
  await load(box, "plain", []);
  const ids = "echo $(id -u) $(id -g) $(id -G)";
  for (const user of ["12345", "4242", "12345:77"]) {
    const [uid, gid = "0"] = user.split(":");
    assert.equal(await output(box, ["-u", user], "plain", ids), `${uid} ${gid} ${gid}\n`);
  }
  const far = await run(box, ["-u", "123456"], "localhost/plain", "id", "-u");
  if (box.user.kind === "one") assert.equal(far.stdout, "123456\n", far.stderr);
  else {
    assert.equal(far.code, 125);
    assert.match(far.stderr, /123456.*outside of the range/);
  }
  assert.deepEqual(listContainers(box), []);
}, { skip });

asBoth("C-020 an image without passwd and group runs as any number, and nothing is added to it", async (box) => {
  await load(box, "bare", [{ name: "etc/.wh.passwd" }, { name: "etc/.wh.group" }]);
  const line = "echo $HOME; ls /etc/passwd /etc/group 2>/dev/null; id -u";
  assert.equal(await output(box, ["--user", "1000"], "bare", line), "/\n1000\n");
  assert.equal(await output(box, ["--user", "0:0"], "bare", line), "/root\n0\n");
  const named = await run(box, ["--user", "root"], "localhost/bare", "id");
  assert.equal(named.code, 125, named.stderr);
  assert.match(named.stderr, /root.*\/etc\/passwd/);
}, { skip });

asBoth("C-021 C-028 nothing to run, and a command that is empty, are errors and leave no container", async (box) => {
  await load(box, "nothing", []);
  const nothing = await run(box, [], "localhost/nothing");
  assert.equal(nothing.code, 125);
  assert.match(nothing.stderr, /no command specified/);
  for (const argv of [[""], ["", "x"]]) {
    const empty = await run(box, [], "localhost/nothing", ...argv);
    assert.equal(empty.code, 127, empty.stderr);
    assert.match(empty.stderr, /""/);
  }
  await load(box, "emptylists", [], { Entrypoint: [], Cmd: [""] });
  assert.equal((await run(box, [], "localhost/emptylists")).code, 127);
  await load(box, "nulls", [], { Entrypoint: null, Cmd: [] });
  assert.equal((await run(box, [], "localhost/nulls")).code, 125);
  assert.deepEqual(listContainers(box), []);
}, { skip });

asBoth("C-022 C-024 C-025 a working directory is made in the container's root and nowhere else", async (box) => {
  await load(box, "cwd", [
    { name: "dangling", type: "symlink", link: "/var/lib/made" },
    { name: "relative", type: "symlink", link: "var/../var/other" },
    { name: "out", type: "symlink", link: "../../../../../../../../tmp/dugout-out" },
    { name: "loop", type: "symlink", link: "loop" },
    { name: "afile", content: "x" },
  ], { WorkingDir: "/from/the/image" });
  assert.equal(await output(box, [], "cwd", "pwd; stat -c '%a %u' ."), "/from/the/image\n755 0\n");
  assert.equal(await output(box, ["--read-only"], "cwd", "pwd"), "/from/the/image\n");
  const cases: [string, string][] = [
    ["/no/such/dir", "/no/such/dir"],
    ["/../../../../../../made-here", "/made-here"],
    ["/a/../../b/./c", "/b/c"],
    ["/dangling", "/var/lib/made"],
    ["/relative/deeper", "/var/other/deeper"],
    ["/out/x", "/tmp/dugout-out/x"],
  ];
  for (const [directory, real] of cases) {
    const text = await output(box, ["-w", directory], "cwd", "pwd -P; touch x && echo written");
    assert.equal(text, `${real}\nwritten\n`, directory);
  }
  for (const made of ["/made-here", "/tmp/dugout-out"]) assert.equal(existsSync(made), false, made);
  for (const directory of ["/loop", "/afile", "/afile/x"]) {
    const { code, stderr } = await run(box, ["-w", directory], "localhost/cwd", "true");
    assert.ok(code >= 125 && code <= 127, `${directory}: ${code}`);
    assert.match(stderr, new RegExp(directory));
  }
}, { skip });

asBoth("C-022 a working directory belongs to root, whoever runs, and lies on a read-only root as well", async (box) => {
  await load(box, "owner", []);
  const flags = box.user.kind === "sub" ? ["-u", "1000"] : [];
  assert.equal(
    await output(box, [...flags, "-w", "/x/y"], "owner", "stat -c '%u:%g %a' /x /x/y ."),
    "0:0 755\n".repeat(3),
  );
}, { skip, only: "sub" });

asBoth("C-026 an /etc/resolv.conf that is a link, also a dangling one, is served and stays a link", async (box) => {
  const links = ["/run/systemd/resolve/stub-resolv.conf", "../run/systemd/resolve/stub-resolv.conf", "resolv.real"];
  for (const link of links) {
    await load(box, "resolv", [{ name: "etc/resolv.conf", type: "symlink", link }]);
    const line = "cat /etc/resolv.conf; readlink /etc/resolv.conf";
    assert.equal(
      await output(box, ["--dns", "192.0.2.7"], "resolv", line).then((text) =>
        text.split("\n").slice(-3, -1).join(" ")
      ),
      `nameserver 192.0.2.7 ${link}`,
    );
  }
  await load(box, "loop", [{ name: "etc/resolv.conf", type: "symlink", link: "resolv.conf" }]);
  const loop = await run(box, [], "localhost/loop", "true");
  assert.equal(loop.code, 125);
  assert.match(loop.stderr, /resolv\.conf[^\n]*ELOOP/);
  assert.equal(existsSync("/run/systemd/resolve/stub-resolv.conf.new"), false);
}, { skip });

asBoth(
  "C-027 an /etc that is a link is followed within the root; a link in place of /proc, /dev or /sys is refused",
  async (box) => {
    for (const link of ["/data/etc", "data/etc", "../../../data/etc"]) {
      await load(box, "etc", [
        { name: "etc", type: "symlink", link },
        { name: "data/etc", type: "directory" },
        { name: "data/etc/mine", content: "mine\n", mode: 0o644 },
      ]);
      const line = "readlink /etc; cat /data/etc/hosts /etc/mine; cat /data/etc/hostname";
      const text = await output(box, ["--hostname", "boat", "--add-host", "pier:10.0.0.9"], "etc", line);
      assert.match(text, new RegExp(`^${link}\n[^]*10\\.0\\.0\\.9\tpier\nmine\nboat\n$`));
    }
    for (const name of ["proc", "dev", "sys"]) {
      for (const link of ["/", "/data", "data"]) {
        await load(box, "kernel", [{ name, type: "symlink", link }, { name: "data", type: "directory" }]);
        const { code, stderr } = await run(box, [], "localhost/kernel", "true");
        assert.equal(code, 125, `${name} → ${link}`);
        assert.match(stderr, new RegExp(`/${name}\\b`));
      }
    }
  },
  { skip },
);

asBoth("C-070 126 is what cannot be executed, 127 what is not there, 125 our own, on every way", async (box) => {
  await load(box, "codes", [
    { name: "bin/text", content: "no program\n", mode: 0o755 },
    { name: "bin/closed", content: "#!/bin/sh\n", mode: 0o644 },
    { name: "bin/lost", content: "#!/no/such/interpreter\n", mode: 0o755 },
  ]);
  const cases: [string, number][] = [
    ["/etc", 126],
    ["nonesuch", 127],
    ["/none/such", 127],
    ["/bin/sh/x", 127],
    ["closed", 126],
    ["/bin/closed", 126],
    ["lost", 127],
    ["/bin/text", 126],
  ];
  for (const flags of [[], ["--init"], ["-t"], ["-t", "--init"]]) {
    for (const [program, wanted] of flags.length === 0 ? cases : cases.slice(0, 2)) {
      const { code, stdout, stderr } = await run(box, flags, "localhost/codes", program);
      assert.equal(code, wanted, `${flags.join(" ")} ${program}: ${stderr}`);
      assert.equal(stdout, "");
      assert.match(stderr, new RegExp(program.replaceAll("/", "\\/")));
    }
    assert.equal((await run(box, flags, "localhost/codes", "sh", "-c", "exit 42")).code, 42, flags.join(" "));
  }
  // process 1 is not ended by what it has no handler for; with --init the program is another process
  assert.equal((await run(box, ["--init"], "localhost/codes", "sh", "-c", "kill -TERM $$")).code, 143);
  assert.equal((await run(box, ["--init", "-t"], "localhost/codes", "sh", "-c", "kill -KILL $$")).code, 137);
  assert.deepEqual(listContainers(box), []);
}, { skip });

asBoth("C-137 a variable that is too long is told by its name; 2,000 of 500 bytes pass", async (box) => {
  await load(box, "env", []);
  // by a file: the test's own command could not carry it either
  const flags = (text: string) => {
    writeFileSync(join(box.path, "env"), text);
    chmodSync(join(box.path, "env"), 0o644);
    return ["--env-file", join(box.path, "env")];
  };
  const long = await run(box, flags(`BIG=${"x".repeat(131_070)}`), "localhost/env", "true");
  assert.equal(long.code, 126);
  assert.match(long.stderr, /"BIG"[^]*131071/);
  assert.equal(await output(box, flags(`BIG=${"x".repeat(131_067)}`), "env", "echo ${#BIG}"), "131067\n");
  const many = Array.from({ length: 2_000 }, (_, index) => `V${index}=${"y".repeat(500)}`).join("\n");
  assert.equal(await output(box, flags(many), "env", "env | grep -c ^V"), "2000\n");
}, { skip });
