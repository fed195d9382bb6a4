/**
 * `update`: other limits for a container that runs.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { parseResources } from "#oci/runtime_config.ts";
import type { ResourcesSpec } from "#oci/runtime_spec.ts";
import { readContainer, statusOf } from "#bundle/container_state.ts";
import { bundleError } from "#bundle/error.ts";
import { changeLimits } from "#bundle/groups.ts";
import { usageError } from "../usage_error.ts";
import type { Flags } from "./flags.ts";
import type { RuntimeInvocation } from "./main.ts";

/** Limits by flags, or all of them by a file. */
export function runUpdate({ root, args, flags }: RuntimeInvocation): number {
  const container = readContainer(root.path, args[0]!);
  if (statusOf(container) === "stopped") throw bundleError("CONTAINER_STATUS", "container not running");
  changeLimits(container, readResources(flags));
  return 0;
}

function readResources(flags: Flags): ResourcesSpec {
  const file = flags.text("resources");
  if (file !== undefined) {
    const name = file === "-" ? "standard input" : file;
    return parseResources(readFileSync(file === "-" ? 0 : file), name);
  }
  const [period, quota, shares] = ["cpu-period", "cpu-quota", "cpu-share"].map((name) => number(flags, name));
  const [cpus, mems] = ["cpuset-cpus", "cpuset-mems"].map((name) => flags.text(name));
  const [limit, reservation, swap] = ["memory", "memory-reservation", "memory-swap"].map((name) => number(flags, name));
  const [weight, pids] = ["blkio-weight", "pids-limit"].map((name) => number(flags, name));
  return {
    memory: defined({ limit, reservation, swap }),
    cpu: defined({ period, quota, shares, cpus, mems }),
    ...(weight === undefined ? {} : { blockIO: { weight } }),
    ...(pids === undefined ? {} : { pids: { limit: pids } }),
  };
}

function number(flags: Flags, name: string): number | undefined {
  const text = flags.text(name);
  if (text === undefined) return undefined;
  if (/^-?[0-9]{1,15}$/.test(text)) return Number(text);
  throw usageError(`invalid value ${JSON.stringify(text)} for flag -${name}: a whole number is wanted`, 1, "");
}

/** Without what was not given. */
function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
