/**
 * Every system call of a container's start is made to fail, one a start: the error names it, with its advice and exit
 * code 125 (or 126 and 127 for the program's own), and nothing is left behind. What is borne is borne on purpose.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { asBoth, needsRegistry, REGISTRY, type Sandbox } from "./harness.ts";
import type { Report } from "./support/inject_child.ts";

const skip = needsRegistry();
const SOURCES = process.env["DUGOUT_TEST_SOURCES"] ?? join(import.meta.dirname ?? "", "..");
const IMAGE = `${REGISTRY}/busybox`;

type Kind = [name: string, flags: Record<string, boolean | string | string[]>, command: string[]];

/** Containers that differ in what is done for them; together they have every step that there is. */
function planKinds({ user, home }: Sandbox): Kind[] {
  const common = { rm: true, network: ["none"] };
  return [
    ["streams by copiers", { ...common, interactive: true }, ["true"]],
    ["output that is kept", { ...common, rm: false, interactive: true }, ["true"]],
    [
      "a terminal, --init, and every restriction",
      {
        ...common,
        tty: true,
        init: true,
        "read-only": true,
        "security-opt": ["no-new-privileges", "mask=/etc/passwd", "mask=/home"],
        "cap-drop": ["chown"],
        ulimit: ["nofile=100:200"],
        sysctl: ["kernel.shmmax=12345"],
        "oom-score-adj": "500",
        tmpfs: ["/run/a/b:size=1m"],
        volume: [`${home}:/mnt/home:ro`],
        workdir: "/made/here",
        domainname: "example",
        ...(user.kind === "one" ? {} : { user: "1000:1000", "group-add": ["7"] }),
      },
      ["/bin/true"],
    ],
    [
      "namespaces of the host, no filter",
      { rm: true, network: ["host"], pid: "host", ipc: "host", uts: "host", "security-opt": ["seccomp=unconfined"] },
      ["true"],
    ],
  ];
}

async function injectAll(box: Sandbox): Promise<Report[]> {
  await box.succeed(["pull", "-q", IMAGE]);
  const argv = [
    join(SOURCES, "node_modules/.bin/bun"),
    "run",
    join(SOURCES, "tests/support/inject_child.ts"),
    box.store,
    join(box.runtimeDirectory, "dugout"),
    IMAGE,
    join(box.home, "out"),
  ];
  const { code, stdout, stderr } = await box.run(argv, {
    input: JSON.stringify(planKinds(box)),
    timeoutMs: 240_000,
  });
  assert.equal(code, 0, stderr);
  return stdout.trim().split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as Report);
}

/** Calls whose failure would leave a container less restricted than was asked for. */
const RESTRICTS =
  /\((?:capset|prctl|seccomp|prlimit64|setgroups|setresuid|setresgid|unshare|setns|mount_setattr|landlock\w+|sethostname|setdomainname|umask|setsid|pivot_root|umount2|fcntl|getcwd|chdir|ioctl)\b/;

asBoth("a start fails at every step as that step says, and leaves nothing behind (A-045)", async (box) => {
  const reports = await injectAll(box);
  assert.equal(reports.length, planKinds(box).length);
  for (const { name, faults, played, tried, waiting } of reports) {
    assert.deepEqual(faults, [], name);
    assert.ok(played > 10 && played + waiting.length === tried, `${name}: ${played} of ${tried} steps were played`);
  }
  const all = reports.flatMap(({ ignored }) => ignored);
  assert.deepEqual(all.filter((step) => RESTRICTS.test(step)), [], "a restriction may silently not be there");
  // what may fail: the streams' copies, the record of the end, looking for things, and the search for the program
  const known =
    /\((?:close|kill|write|renameat2|execve|wait4|fchown|openat2|mkdirat|mknodat|fsconfig|fsmount|openat|close_range|keyctl|move_mount)\b/;
  assert.deepEqual(all.filter((step) => !known.test(step)), []);
  const mounting = all.filter((step) => /\((?:fsconfig|fsmount)/.test(step));
  assert.ok(
    mounting.every((step) => /(?:proc for \/proc|sysfs for \/sys|mqueue for \/dev\/mqueue|cgroup2 for)/.test(step)),
  );
}, { skip });
