import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import { HOST_ARCH } from "#linux/arch.ts";
import { findCompiler } from "../../../tests/support/c_compiler.ts";
import { seededRandom } from "../../../tests/support/random.ts";
import { HELLO_BYTES } from "./bytes.ts";

const FOLDER = fileURLToPath(new URL(".", import.meta.url).href);

/** Why the program cannot be built as its bytes were; false where it can. */
function otherCompilers(): string | false {
  const x86 = findCompiler(process.env["CC_X86_64"] ?? "gcc");
  const arm = findCompiler(process.env["CC_AARCH64"] ?? "aarch64-linux-gnu-gcc");
  if (x86 === undefined || arm === undefined) return "needs gcc for x86_64 and aarch64";
  const told = spawnSync("sh", [join(FOLDER, "build.sh"), "--compilers"], { encoding: "utf8" }).stdout.trim();
  const made = readFileSync(join(FOLDER, "bytes.ts"), "utf8");
  return made.includes(told) ? false : `bytes.ts was made by other compilers than ${told.replaceAll("\n// ", "; ")}`;
}

function withFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "dugout-hello-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("the program's bytes are those of its source", { skip: otherCompilers() }, () => {
  withFolder((folder) => {
    const output = join(folder, "bytes.ts");
    const { status, stderr } = spawnSync("sh", [join(FOLDER, "build.sh"), output], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    assert.equal(
      readFileSync(output, "utf8"),
      readFileSync(join(FOLDER, "bytes.ts"), "utf8"),
      "run src/image/hello/build.sh",
    );
  });
});

/** Runs the program of an architecture, perhaps by way of another. */
function runHello(arch: "x86_64" | "aarch64", ...way: string[]): string {
  return withFolder((folder) => {
    const file = join(folder, "hello");
    writeFileSync(file, Uint8Array.from(atob(HELLO_BYTES[arch]), (char) => char.charCodeAt(0)));
    chmodSync(file, 0o755);
    const [command = "", ...rest] = [...way, file];
    const { status, stdout, stderr } = spawnSync(command, rest, { encoding: "latin1" });
    assert.equal(status, 0, `${command}: ${stderr}`);
    return stdout;
  });
}

function checkGreeting(text: string): void {
  assert.match(text, /^Hello[ !]/);
  assert.match(text, /^[\n -~]*\n$/, "is not plain ASCII");
  const lines = text.split("\n");
  assert.ok(lines.length <= 22, `${lines.length} lines`);
  assert.ok(lines.every((line) => line.length <= 110), text);
  for (const label of ["user", "namespaces", "processes", "host name", "network", "root", "rights"]) {
    assert.equal(lines.filter((line) => line.startsWith(`  ${label} `)).length, 1, `${label} in\n${text}`);
  }
  assert.match(text, /^ {2}rights {6}\d+ capabilities.*(no|a) seccomp filter/m);
}

test("the program greets on this machine as it is", () => checkGreeting(runHello(HOST_ARCH)));

const FOREIGN = HOST_ARCH === "x86_64" ? "aarch64" : "x86_64";
const qemu = ["/usr/bin", "/usr/local/bin"].map((path) => `${path}/qemu-${FOREIGN}-static`).find((path) =>
  findCompiler(path) !== undefined
);

test(
  "the other architecture's program greets under emulation",
  { skip: qemu === undefined && "needs qemu-user" },
  () => checkGreeting(runHello(FOREIGN, qemu!)),
);

const UNSHARE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--uts"];
const canUnshare = spawnSync(UNSHARE[0]!, [...UNSHARE.slice(1), "true"]).status === 0;

test(
  "the program tells its own namespaces from shared ones, and who root is outside",
  { skip: !canUnshare && "needs user namespaces" },
  () => {
    const text = runHello(HOST_ARCH, ...UNSHARE);
    checkGreeting(text);
    assert.match(text, /^Hello from a container!/);
    assert.ok(text.includes(`root in here is user ${process.geteuid!()} outside\n`), text);
    assert.match(text, /more ids {4}none/);
    assert.match(text, /namespaces {2}its own: user mnt pid uts; shared: net ipc cgroup/);
    assert.match(text, /this one is number 1,/);
  },
);

/** A program with hello.c in it that reads what comes on stdin as the file that it would read, and prints. */
const HARNESS = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "PLAYER/system_call.h"
#undef START_WITH
#define START_WITH(function)
static char content[200000];
static long length, position;
static s64 fake(u64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
  (void)a; (void)d; (void)e; (void)f;
  if (nr == 257 || nr == 56) { position = 0; return 7; }
  if (nr == 0 && c != 0) {
    long n = length - position < (long)c ? length - position : (long)c;
    memcpy((void *)b, content + position, n);
    position += n;
    return n;
  }
  return 0;
}
#define call fake
#include "hello.c"
int main(int argc, char **argv) {
  struct state *state = malloc(sizeof *state);
  length = fread(content, 1, sizeof content, stdin);
  state->length = 0;
  if (argc > 1 && strcmp(argv[1], "root") == 0) put_root(state);
  if (argc > 1 && strcmp(argv[1], "network") == 0) put_network(state);
  if (argc > 1 && strcmp(argv[1], "rights") == 0) put_rights(state, 0);
  if (argc > 1 && strcmp(argv[1], "ids") == 0) {
    struct ids users = read_ids(state, "", argc > 2 ? atoi(argv[2]) : 0);
    struct ids groups = users;
    put_ids(state, &users, &groups, argc > 2 ? atoi(argv[2]) : 0);
  }
  fwrite(state->out, 1, state->length, stdout);
  free(state);
  (void)greet;
  return 0;
}
`;

/** Builds the harness with checks of memory and of arithmetic, and hands on what runs it. */
function withHarness(work: (run: (part: string[], content: string) => string) => void): void {
  withFolder((folder) => {
    const [source, program] = [join(folder, "harness.c"), join(folder, "harness")];
    writeFileSync(
      source,
      HARNESS.replace("PLAYER", join(FOLDER, "../../tape/player")).replace('"hello.c"', `"${join(FOLDER, "hello.c")}"`),
    );
    const checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"];
    const { status, stderr } = spawnSync("gcc", ["-std=gnu11", ...checks, "-o", program, source], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    work((part, content) => {
      const ran = spawnSync(program, part, { input: content, encoding: "latin1" });
      assert.equal(ran.status, 0, `${part.join(" ")} of ${JSON.stringify(content.slice(0, 300))}: ${ran.stderr}`);
      return ran.stdout;
    });
  });
}

/** Whether gcc makes programs with its checks of memory. */
function findSanitizer(): string | false {
  if (HOST_ARCH !== "x86_64" || findCompiler("gcc") === undefined) return "needs gcc on x86_64";
  const { status } = spawnSync("gcc", ["-fsanitize=address,undefined", "-x", "c", "-o", "/dev/null", "-"], {
    input: "int main(void) { return 0; }",
  });
  return status === 0 ? false : "needs gcc's libasan and libubsan";
}

const needsSanitizer = findSanitizer();

test("the program counts layers, in the kernel's old and new form", { skip: needsSanitizer }, () => {
  withHarness((run) => {
    const root = (type: string, options: string, flags = "rw") =>
      run(
        ["root"],
        `20 1 0:20 / /proc rw - proc proc rw\n21 1 0:21 / / ${flags},relatime shared:1 - ${type} x ${options}\n`,
      );
    assert.match(root("overlay", "rw,lowerdir=a:b:c,upperdir=u,workdir=w"), /overlay of 3 layers, and one on top/);
    assert.match(root("overlay", "rw,lowerdir+=a,lowerdir+=b,upperdir=u"), /overlay of 2 layers, and one on top/);
    assert.match(root("overlay", "rw,lowerdir=a\\134:b,upperdir=u"), /overlay of 1 layer, /);
    assert.match(root("overlay", "ro,lowerdir=a:b", "ro"), /overlay of 2 layers; read-only$/m);
    assert.match(root("ext4", "rw"), /one tree, on ext4$/m);
    assert.match(run(["root"], ""), /not to be seen/);
  });
});

test("the program reads id maps of one range, of several, and without its own id", { skip: needsSanitizer }, () => {
  withHarness((run) => {
    const ids = (map: string, own = "0") => run(["ids", own], map);
    assert.match(ids("         0       1001          1\n"), /root in here is user 1001 outside\n.*none/);
    const range = "         0       1001          1\n         1     100000      65536\n";
    assert.match(ids(range), /root in here is user 1001 outside\n.*65536 more users and 65536 .* from 100000 on/);
    assert.match(ids(range, "5"), /user 5 in here is user 100004 outside\n.*from 100000 on/);
    assert.match(ids("0 100000 65536\n"), /root in here is user 100000 outside\n.*65535 more .* from 100001 on/);
    assert.match(ids("1000 1001 1\n", "65534"), /user 65534 in here is nobody outside/);
    assert.match(ids("0 0 4294967295\n"), /0, one of the machine's/);
  });
});

test("the program shows names from outside without what a terminal obeys", { skip: needsSanitizer }, () => {
  withHarness((run) => {
    const heading = "Inter-|   Receive\n face |bytes\n";
    assert.match(run(["network"], `${heading}    lo: 1 2\n e\x1b[2Jth: 3\n`), /network {5}lo, e\?\[2Jth$/m);
    const many = Array.from({ length: 500 }, (_, at) => `  veth${at}: 0\n`).join("");
    assert.match(run(["network"], heading + many), /veth5 and 494 more$/m);
    assert.match(run(["network"], ""), /network {5}none$/m);
  });
});

test("whatever the kernel's files hold, the program stays within its memory", { skip: needsSanitizer }, () => {
  withHarness((run) => {
    const seed = 11;
    const random = seededRandom(seed);
    const words = [
      " ",
      "\n",
      "/",
      "- ",
      "overlay ",
      "lowerdir=",
      "lowerdir+=",
      ":",
      ",",
      "\\134:",
      "0",
      "65536",
      "a",
      "\t",
      "CapEff:",
      "Seccomp:",
      "2",
      "ffff",
      "\x00",
      "\xff",
      "99999999999999999999999",
    ];
    for (let round = 0; round < 40; round++) {
      const length = random.pick([0, 1, 10, 100, 1000, 30000]);
      let content = "";
      for (let at = 0; at < length; at++) content += random.pick(words);
      for (const part of ["root", "network", "rights", "ids"]) run([part], content);
    }
    // one that fills its buffer to the last byte, without an end
    for (const length of [65534, 65535, 65536, 70000]) {
      for (const part of ["root", "network", "rights", "ids"]) {
        run([part], "1 ".repeat(length / 2 + 1).slice(0, length));
      }
      run(["root"], "21 1 0:21 / / rw - overlay x lowerdir=" + "a:".repeat(length));
    }
  });
});
