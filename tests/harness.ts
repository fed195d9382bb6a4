/**
 * What integration tests stand on. A test gets a sandbox for a user and runs the built binary in it; when it ends, the
 * harness checks that no process, mount or file was left behind, and that the canary beside the home was not touched.
 *
 *     asBoth("the exit code of a container is dugout's own", async (box) => {
 *       const { code } = await box.dugout(["run", "--rm", `${REGISTRY}/busybox`, "sh", "-c", "exit 7"]);
 *       assert.equal(code, 7);
 *     });
 */
import test from "node:test";
import { existsSync, readFileSync } from "node:fs";
import { REGISTRY, type Sandbox, withSandbox } from "./support/sandbox.ts";
import { listTestUsers } from "./support/users.ts";

export { layCanary, listTree } from "./support/canary.ts";
export { type CommandOptions, type Result, runCommand } from "./support/command.ts";
export { CACHE, DUGOUT, REGISTRY, type Sandbox, withSandbox } from "./support/sandbox.ts";
export { type Terminal, withTerminal } from "./support/terminal.ts";
export { listTestUsers, ROOT, type TestUser } from "./support/users.ts";

export type TestOptions = {
  /** Why this cannot run here, as `needs` says it; false where it can. */
  skip?: string | false;
  /** Only this kind of user, where the other has nothing to test. */
  only?: "sub" | "one";
};

const KINDS = { sub: "with subordinate ids", one: "without subordinate ids" };

/** Makes one test for each kind of user. */
export function asBoth(name: string, work: (sandbox: Sandbox) => Promise<void>, options: TestOptions = {}): void {
  const users = listTestUsers();
  const skip = options.skip || (users.length === 0 && "needs the users of tests/setup/setup.sh");
  if (skip) {
    // the reason in the name, because reports of skipped tests keep nothing else
    test(`${name}: ${skip}`, { skip }, () => {});
    return;
  }
  for (const user of users) {
    if (options.only !== undefined && user.kind !== options.only) continue;
    test(`${name} (${KINDS[user.kind]})`, () => withSandbox(user, work));
  }
}

/** @returns Why a test that calls these programs cannot run here, for its `skip` option; false where all are there. */
export function needs(...programs: string[]): string | false {
  const folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
  const missing = programs.filter((name) => !folders.some((folder) => existsSync(`${folder}/${name}`)));
  return missing.length === 0 ? false : `needs ${missing.join(", ")}`;
}

/** @returns Why a test that pulls cannot run here; false where something listens at the registry's address. */
export function needsRegistry(): string | false {
  // root's set-up has started it: where it is gone, tests have to fail and not to be passed over
  if (process.getuid?.() === 0) return false;
  const [address = "", port = ""] = REGISTRY.split(":");
  const bytes = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  const local = `${bytes.reverse().join("")}:${Number(port).toString(16).padStart(4, "0")}`.toUpperCase();
  const listening = readFileSync("/proc/net/tcp", "utf8").split("\n").some((line) => {
    const [, ours, , state] = line.trim().split(/\s+/);
    return ours === local && state === "0A";
  });
  return listening ? false : `needs the registry at ${REGISTRY} (tests/setup/setup.sh, as root)`;
}
