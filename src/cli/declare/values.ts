/** What may stand somewhere on the command line, for the completion of shells. */
export type ValueKind =
  | "containers"
  | "running containers"
  | "images"
  | "volumes"
  | "files"
  | "directories"
  /** One of these words. */
  | readonly string[];

const SIGNALS = ["HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "STOP", "CONT", "WINCH"];
const STATES = ["created", "running", "paused", "restarting", "exited", "removing", "dead"];

/** What flags take, by their long names. Those that are not here take what nobody can guess. */
export const FLAG_VALUES: ReadonlyMap<string, readonly ValueKind[]> = new Map<string, readonly ValueKind[]>([
  ["attach", [["stdin", "stdout", "stderr"]]],
  ["authfile", ["files"]],
  ["cgroupns", [["private", "host"]]],
  ["cidfile", ["files"]],
  ["config", ["directories"]],
  ["device", ["files"]],
  ["env-file", ["files"]],
  ["format", [["json", "table"]]],
  ["health-on-failure", [["none", "kill", "restart", "stop"]]],
  ["input", ["files"]],
  ["ipc", [["private", "shareable", "host", "none", "container:"]]],
  ["label-file", ["files"]],
  ["limits", [["enforced", "best-effort"]]],
  ["log-driver", [["json-file", "local", "none"]]],
  ["log-level", [["debug", "info", "warn", "error", "fatal"]]],
  ["mount", [["type=bind,source=", "type=volume,source=", "type=tmpfs,target=", "type=image,source="]]],
  ["network", [["host", "none", "container:"]]],
  ["output", ["files"]],
  ["pid", [["host", "private", "container:"]]],
  ["pidfile", ["files"]],
  ["pull", [["always", "missing", "never"]]],
  ["restart", [["no", "on-failure", "always", "unless-stopped"]]],
  ["root", ["directories"]],
  ["rootfs", ["directories"]],
  ["run", ["directories"]],
  ["security-opt", [[
    "no-new-privileges",
    "seccomp=",
    "label=disable",
    "apparmor=unconfined",
    "systempaths=unconfined",
  ]]],
  ["signal", [SIGNALS]],
  ["sort", [["command", "created", "id", "image", "names", "runningfor", "size", "status"]]],
  ["stop-signal", [SIGNALS]],
  ["storage-driver", [["overlay", "fuse-overlayfs", "vfs"]]],
  ["tail", [["all"]]],
  ["type", [["container", "image", "volume"]]],
  ["userns", [["host", "keep-id", "nomap", "container:"]]],
  ["uts", [["host", "private"]]],
  ["volume", ["directories", "volumes"]],
  ["volumes-from", ["containers"]],
  ["workdir", ["directories"]],
]);

/** Filters, by the command's usual name. */
export const FILTER_WORDS: ReadonlyMap<string, readonly string[]> = new Map([
  [
    "ps",
    [
      ...STATES.map((state) => `status=${state}`),
      ...["id=", "name=", "label=", "exited=", "ancestor=", "before=", "since=", "until=", "volume=", "network="],
    ],
  ],
  ["images", ["dangling=true", "label=", "before=", "since=", "reference=", "until="]],
  ["volume ls", ["dangling=true", "dangling=false", "driver=local", "name=", "label="]],
  [
    "events",
    [
      ...["type=container", "type=image", "type=volume", "container=", "image=", "volume=", "label="],
      ...["create", "start", "die", "stop", "kill", "destroy", "pull", "tag"].map((action) => `event=${action}`),
    ],
  ],
  ["rm", [...STATES.map((state) => `status=${state}`), "id=", "name=", "label=", "ancestor=", "until="]],
  ["container prune", ["until=", "label="]],
  ["image prune", ["dangling=true", "dangling=false", "until=", "label="]],
  ["volume prune", ["label="]],
  ["system prune", ["until=", "label="]],
]);

/** Words of a usage line that stand for something that can be listed. */
const USAGE_WORDS: readonly (readonly [pattern: RegExp, kinds: readonly ValueKind[]])[] = [
  [/SRC_PATH|DEST_PATH/, ["containers", "files"]],
  [/NAME\|ID/, ["containers", "images", "volumes"]],
  [/NEW_NAME/, []],
  [/CONTAINER/, ["containers"]],
  [/IMAGE|NAME\[:TAG|REPOSITORY/, ["images"]],
  [/VOLUME/, ["volumes"]],
  [/DIR/, ["directories"]],
  [/^file/i, ["files"]],
  [/SHELL|bash/, [["bash", "zsh", "fish"]]],
];

/** Commands that are about containers that run; others know them all. */
const OF_RUNNING: ReadonlySet<string> = new Set(["attach", "exec", "kill", "pause", "stats", "stop", "top", "port"]);

/**
 * What an argument of a command may be.
 * @param name The command's usual name.
 * @param usage What stands behind it: `[OPTIONS] CONTAINER [CONTAINER...]`. Its last word counts for all further ones.
 * @param index From 0.
 */
export function argumentKinds(name: string, usage: string, index: number): readonly ValueKind[] {
  // a second line says the same in other words
  const words = usage.split("\n")[0]!.split(" ").filter((word) => word !== "[OPTIONS]");
  const word = words[Math.min(index, words.length - 1)] ?? "";
  if (index >= words.length && !word.includes("...") && !words.at(-1)?.includes("...")) return [];
  const kinds = USAGE_WORDS.find(([pattern]) => pattern.test(word))?.[1] ?? [];
  return OF_RUNNING.has(name) ? kinds.map((kind) => kind === "containers" ? "running containers" : kind) : kinds;
}
