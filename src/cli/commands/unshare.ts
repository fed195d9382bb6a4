import { openRunRoot } from "#engine/paths.ts";
import { chooseIdMap, loadIdentity } from "#runtime/identity.ts";
import { runMapped } from "#runtime/run_mapped.ts";
import { warn } from "../context.ts";
import type { Invocation } from "../invocation.ts";

/** What steers our own runtime, and no program that we start. */
const OURS: ReadonlySet<string> = new Set(["BUN_OPTIONS", "BUN_BE_BUN"]);

/** `dugout unshare`: the store is not opened, so that what is damaged can be removed by it. */
export function runUnshare({ args, global }: Invocation): number {
  const { env } = process;
  const runRoot = openRunRoot(
    { root: global.root, run: global.run, env, uid: process.geteuid!() },
    (line) => warn(global, line),
  );
  const map = chooseIdMap(loadIdentity(runRoot), { kind: "default" }, { uid: 0, gid: 0 });
  const variables = Object.entries(env).flatMap(([name, value]) =>
    value === undefined || OURS.has(name) ? [] : [`${name}=${value}`]
  );
  // keys of the terminal are for the program, whose end is ours
  for (const signal of ["SIGINT", "SIGQUIT"] as const) process.on(signal, () => {});
  return runMapped(map, { args: args.length > 0 ? args : [env["SHELL"] ?? "/bin/sh"], env: variables });
}
