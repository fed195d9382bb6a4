/**
 * The ground that a plan stands on: all that planning reads of the machine and the store.
 *
 * @module
 */
import { NEWUIDMAP_PATHS } from "#runtime/idmap_programs.ts";
import type { Engine } from "../engine.ts";
import { MASKED_PATHS, READONLY_PATHS } from "../prepare/system_paths.ts";
import {
  askContent,
  askExistence,
  askFileSystem,
  askIdentity,
  askMountFlags,
  askNamespace,
  askPlace,
  askText,
  changedMs,
  type Fact,
  learn,
  type Question,
} from "./facts.ts";

/** Facts, and whether they can be relied on. */
export interface Ground {
  readonly facts: readonly Fact[];
  /**
   * Whether all files have been as they are for longer than their clocks are coarse: a change at the same moment would
   * leave no trace.
   */
  readonly isSettled: boolean;
}

/** File systems with coarse clocks count seconds, some two at a time. */
const SETTLED_AFTER_MS = 2500;

/** Looks at the ground. @param program The file of this program. */
export function surveyGround(engine: Pick<Engine, "dataRoot" | "runRoot">, program: string): Ground {
  const facts = listQuestions(engine, program).map(learn);
  const newestMs = Math.max(...facts.map(changedMs));
  return { facts, isSettled: Math.abs(Date.now() - newestMs) > SETTLED_AFTER_MS };
}

function listQuestions({ dataRoot, runRoot }: Pick<Engine, "dataRoot" | "runRoot">, program: string): Question[] {
  const uid = process.geteuid!();
  const named = process.env["XDG_RUNTIME_DIR"];
  return [
    // another build plans otherwise
    askContent(program),
    // the user, its groups and subordinate ids, this boot and with it the kernel
    ...askIdentity(),
    ...["/etc/subuid", "/etc/subgid", "/etc/nsswitch.conf", ...NEWUIDMAP_PATHS].map(askContent),
    askText("/proc/sys/kernel/random/boot_id"),
    // which directories are used, whose they are, and of which layout
    ...[`/run/user/${uid}`, ...named?.startsWith("/") ? [named] : [], runRoot, dataRoot].map(askPlace),
    askContent(`${dataRoot}/version`),
    askMountFlags(dataRoot),
    // each name that is given or taken changes the directory
    askContent(`${dataRoot}/images/names`),
    // files of the machine's whose text goes into a container
    ...["/etc/hosts", "/etc/resolv.conf"].map(askContent),
    // which /proc, /sys and mounts there are, and what is in them
    ...["mnt", "user", "pid", "net"].map(askNamespace),
    ...[...MASKED_PATHS, ...READONLY_PATHS].map(askExistence),
    askFileSystem("/sys/fs/cgroup"),
  ];
}
