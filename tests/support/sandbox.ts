import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
} from "node:fs";
import { join } from "node:path";
import { layCanary, listTree } from "./canary.ts";
import { closeTestGroup, makeTestGroup, type TestGroup } from "./cgroup.ts";
import { type CommandOptions, type Result, runCommand } from "./command.ts";
import { removeTestTree, type TestUser } from "./users.ts";

/** The binary under test: where tests/run.sh put a copy that every user can read, or the one that was built last. */
export const DUGOUT = process.env["DUGOUT_TEST_BINARY"] ?? join(import.meta.dirname ?? "", "../../dist/dugout");

/** The registry that tests/setup started and filled: `busybox`, `debian`, `multi`, `bench` (tests/setup/README.md). */
export const REGISTRY = process.env["DUGOUT_TEST_REGISTRY"] ?? "127.0.0.1:5000";

/** What tests/setup made and keeps. */
export const CACHE = process.env["DUGOUT_TEST_CACHE"] ?? "/var/cache/dugout-tests";

/**
 * A home, a runtime directory and a canary of one test, for one user. The environment of commands is made anew, as after
 * a login: nothing of the caller's gets in.
 */
export type Sandbox = {
  readonly user: TestUser;
  readonly path: string;
  readonly home: string;
  readonly runtimeDirectory: string;
  readonly canary: string;
  /** Where the store is: $HOME/.local/share/dugout. */
  readonly store: string;
  readonly environment: Record<string, string>;
  /** Runs the binary under test as the sandbox's user, in its home. */
  dugout(args: readonly string[], options?: CommandOptions): Promise<Result>;
  /** Runs any program likewise. */
  run(argv: readonly string[], options?: CommandOptions): Promise<Result>;
  /** Like `dugout`, but an exit code other than 0 fails the test with what was written. */
  succeed(args: readonly string[], options?: CommandOptions): Promise<Result>;
  /** The words to put before a program to run it as this user within the group that is watched. */
  prefix(): string[];
};

type Opened = { sandbox: Sandbox; group: TestGroup | undefined; before: Outside };

/** What a test must leave as it was, outside of its sandbox. */
type Outside = { canary: string[]; mounts: string[]; shared: string[] };

/** Other tests run at the same time, in sandboxes of their own; podman keeps a directory, and copiers of images keep files while they run. */
const OTHERS = /^(?:dt-|storage[0-9]+|oci[0-9]+|dugout-[a-z]+[.-]|containers-user-|podman-run-|[0-9]+$)/;
const SHARED_PLACES = ["/", "/tmp", "/var/tmp", "/dev/shm"];

/** Makes a sandbox, gives it to `work`, and checks afterwards that nothing was left behind or touched. */
export async function withSandbox(user: TestUser, work: (sandbox: Sandbox) => Promise<void>): Promise<void> {
  const opened = openSandbox(user);
  let left: string[] = [];
  let after: Outside;
  try {
    await work(opened.sandbox);
  } finally {
    if (opened.group) left = await closeTestGroup(opened.group);
    after = lookOutside(opened.sandbox);
    removeTestTree(opened.sandbox.path, user);
  }
  assert.deepEqual(left, [], "processes were left running");
  assert.deepEqual(after.canary, opened.before.canary, "the canary was touched");
  assert.deepEqual(subtract(after.mounts, opened.before.mounts), [], "mounts were left");
  assert.deepEqual(subtract(after.shared, opened.before.shared), [], "files were left in shared places");
}

function openSandbox(user: TestUser): Opened {
  // short, because paths of sockets are limited to 107 bytes
  const path = mkdtempSync("/tmp/dt-");
  chmodSync(path, 0o755);
  const home = join(path, "home");
  const runtimeDirectory = join(path, "run");
  const canary = join(path, "canary");
  for (const directory of [home, runtimeDirectory]) mkdirSync(directory, { mode: 0o700 });
  layCanary(canary);
  if (process.getuid?.() === 0) chownTree(path, user);
  const group = makeTestGroup(path.slice("/tmp/".length));
  const environment = {
    HOME: home,
    USER: user.name,
    LOGNAME: user.name,
    SHELL: "/bin/sh",
    PATH: "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
    LANG: "C.UTF-8",
    XDG_RUNTIME_DIR: runtimeDirectory,
  };
  const prefix = () => enterAs(user, group);
  const run = (argv: readonly string[], options: CommandOptions = {}) =>
    runCommand([...prefix(), ...argv], { cwd: home, ...options, env: { ...environment, ...options.env } });
  const dugout = (args: readonly string[], options?: CommandOptions) => run([DUGOUT, ...args], options);
  const succeed = async (args: readonly string[], options?: CommandOptions) => {
    const result = await dugout(args, options);
    assert.equal(result.code, 0, `dugout ${args.join(" ")}\nstdout: ${result.stdout}\nstderr: ${result.stderr}`);
    return result;
  };
  const store = join(home, ".local/share/dugout");
  const sandbox: Sandbox = {
    user,
    path,
    home,
    runtimeDirectory,
    canary,
    store,
    environment,
    dugout,
    run,
    succeed,
    prefix,
  };
  return { sandbox, group, before: lookOutside(sandbox) };
}

/** Becomes the user, with the user's own groups, after joining the control group as root. */
function enterAs(user: TestUser, group: TestGroup | undefined): string[] {
  if (process.getuid?.() !== 0) return [];
  const join = group === undefined ? [] : ["/bin/sh", "-c", 'echo $$ >"$0" && exec "$@"', `${group.path}/cgroup.procs`];
  const become = ["/usr/bin/setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--init-groups", "--"];
  return user.uid === 0 ? join : [...join, ...become];
}

function chownTree(path: string, user: TestUser): void {
  for (const name of readdirSync(path)) {
    const child = join(path, name);
    const stat = lstatSync(child);
    if (stat.isDirectory()) chownTree(child, user);
    if (!stat.isSymbolicLink()) chownSync(child, user.uid, user.gid);
    // chown takes the set-id bits away
    if (stat.isFile()) chmodSync(child, stat.mode & 0o7777);
  }
}

function lookOutside({ path, canary, user }: Sandbox): Outside {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n")
    .map((line) => line.split(" ").slice(4).join(" "))
    // those of tests that run at the same time are told by them
    .filter((mount) =>
      !/^\/(?:tmp\/(?:dt-|bench\.|dugout-tests)|var\/tmp\/dugout-slurm-)/.test(mount) || mount.startsWith(`${path}/`)
    );
  const shared: string[] = [];
  for (const place of SHARED_PLACES) {
    for (const name of existsSync(place) ? readdirSync(place) : []) {
      const found = join(place, name);
      if (!OTHERS.test(name) && lstatSync(found, { throwIfNoEntry: false })?.uid === user.uid) shared.push(found);
    }
  }
  return { canary: listTree(canary), mounts, shared };
}

function subtract(all: readonly string[], known: readonly string[]): string[] {
  const set = new Set(known);
  return all.filter((entry) => !set.has(entry));
}
