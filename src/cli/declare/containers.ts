import { HEADINGS } from "./global.ts";
import type { CommandDeclaration, OptionDeclaration } from "./types.ts";

const FORMAT_SHORT: OptionDeclaration = {
  flags: "-f, --format",
  value: "string",
  summary: "json, or a Go template such as {{.Id}}",
};

/** Podman's ways to say which containers. */
export const CHOICE_FLAGS: readonly string[] = ["all", "cidfile", "latest"];

/**
 * What stands for names of containers.
 * @param whose As in "all that run".
 * @param short Letters for `--all` and `--latest`, where they are free.
 */
export function choiceOptions(whose: string, short: { all?: string; latest?: string } = {}): OptionDeclaration[] {
  const { all = "", latest = "" } = short;
  return [
    { flags: `${all}--all`, summary: whose },
    { flags: "--cidfile", value: "string", repeatable: true, summary: "those whose id is in a file" },
    { flags: `${latest}--latest`, summary: "the last one that was made" },
  ];
}

/** For commands that choose by it. */
export const CHOICE_FILTER: OptionDeclaration = {
  flags: "-f, --filter",
  value: "filter",
  repeatable: true,
  summary: "all that fit: filters of ps, restart-policy=, should-start-on-boot=true",
};

/** For commands on one container. */
export const LATEST: OptionDeclaration = { flags: "-l, --latest", summary: "the last one that was made" };

/** The same where the letter is taken. */
const CHOICE_FILTER_LONG: OptionDeclaration = { ...CHOICE_FILTER, flags: "--filter" };

const IGNORE: OptionDeclaration = { flags: "-i, --ignore", summary: "none of that name is no error" };

/** How `stop` and `restart` end a container. */
export const STOP_OPTIONS: readonly OptionDeclaration[] = [
  { flags: "-s, --signal", value: "string", summary: "instead of the container's own" },
  {
    flags: "-t, --timeout",
    value: "int",
    check: "int",
    summary: "seconds until SIGKILL; -1: never",
    default: "10",
  },
  { flags: "--time", value: "int", check: "int", summary: "the same by its old name", hidden: true },
];

export const CONTAINER_COMMANDS: readonly CommandDeclaration[] = [
  {
    names: ["ps", "container ls", "container list", "container ps"],
    usage: "[OPTIONS]",
    summary: "List containers",
    group: HEADINGS.containers,
    arguments: { least: 0, most: 0 },
    options: [
      { flags: "-a, --all", summary: "those that have ended too" },
      {
        flags: "-f, --filter",
        value: "filter",
        repeatable: true,
        summary:
          "id=, name=, label=NAME[=VALUE], status=, exited=CODE, ancestor=IMAGE, before=, since=, until=, volume=, network=",
      },
      {
        flags: "--format",
        value: "string",
        summary: "table, table TEMPLATE, json, or a Go template such as {{.Names}}",
      },
      { flags: "-n, --last", value: "int", check: "int", summary: "the last that were made, whatever their state" },
      { flags: "-l, --latest", summary: "the last one that was made" },
      { flags: "--no-trunc", summary: "ids and commands in full" },
      { flags: "-q, --quiet", summary: "ids only" },
      { flags: "-s, --size", summary: "what their files take" },
      { flags: "--external", summary: "those whose record cannot be read too" },
      { flags: "--noheading", summary: "without the first line of the table" },
      { flags: "-p, --pod", summary: "refused", hidden: true, refused: "there are no pods" },
      {
        flags: "--sort",
        value: "string",
        summary: "command, created, id, image, names, runningfor, size or status",
      },
    ],
    examples: [
      ["ps -a", "all of them"],
      ["ps -aq --filter status=exited", "ids of those that have ended, for scripts"],
    ],
    failureExitCode: 1,
  },
  {
    names: ["stop", "container stop"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Ask containers to end, and kill those that do not",
    group: HEADINGS.containers,
    arguments: { least: 1, orFlags: [...CHOICE_FLAGS, "filter"] },
    options: [
      ...choiceOptions("all that run", { all: "-a, ", latest: "-l, " }),
      CHOICE_FILTER,
      IGNORE,
      ...STOP_OPTIONS,
    ],
    examples: [["stop -t 30 web", "with half a minute to end in"]],
    failureExitCode: 1,
  },
  {
    names: ["kill", "container kill"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Send a signal to containers",
    group: HEADINGS.containers,
    arguments: { least: 1, orFlags: CHOICE_FLAGS },
    options: [...choiceOptions("all that run", { all: "-a, ", latest: "-l, " }), {
      flags: "-s, --signal",
      value: "string",
      summary: "by name or number",
      default: "SIGKILL",
    }],
    examples: [["kill -s HUP web", "many servers read their configuration again then"]],
    failureExitCode: 1,
  },
  {
    names: ["wait", "container wait"],
    usage: "CONTAINER [CONTAINER...]",
    summary: "Wait for the end of containers and print their exit codes",
    group: HEADINGS.containers,
    arguments: { least: 1 },
    latestIsFirst: true,
    options: [LATEST],
    examples: [["wait job", ""]],
    failureExitCode: 1,
  },
  {
    names: ["rm", "container rm", "container remove"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Remove containers",
    group: HEADINGS.containers,
    arguments: { least: 1, orFlags: [...CHOICE_FLAGS, "filter"] },
    options: [
      ...choiceOptions("all of them; with --force those that run too", { all: "-a, " }),
      IGNORE,
      {
        flags: "-t, --time",
        value: "int",
        check: "int",
        summary: "with --force: seconds to end in before SIGKILL; -1: without end",
      },
      { flags: "--depend", summary: "with those that live in its namespaces" },
      CHOICE_FILTER_LONG,
      { flags: "-f, --force", summary: "kill those that run; none of that name is no error" },
      { flags: "-v, --volumes", summary: "with the volumes without a name that were made for them" },
      { flags: "-l, --link", summary: "refused", hidden: true, refused: "there are no links" },
    ],
    examples: [["rm -f web", "even when it runs"], ["rm -v $(dugout ps -aq)", "all that have ended"]],
    failureExitCode: 1,
    note:
      "Files that a container gave to other ids in a directory of the host stay, and are not yours to remove: 'dugout unshare rm -r DIRECTORY' removes them.",
  },
  {
    names: ["rename", "container rename"],
    usage: "CONTAINER NEW_NAME",
    summary: "Give a container another name",
    group: HEADINGS.containers,
    arguments: { least: 2, most: 2 },
    options: [],
    examples: [["rename nervous_tree web", ""]],
    failureExitCode: 1,
  },
  {
    names: ["container prune"],
    usage: "[OPTIONS]",
    summary: "Remove all containers that have ended",
    arguments: { least: 0, most: 0 },
    options: [
      { flags: "--filter", value: "filter", repeatable: true, summary: "until=TIME, label=NAME[=VALUE]" },
      { flags: "-f, --force", summary: "do not ask" },
    ],
    examples: [["container prune -f --filter until=24h", "those of yesterday and before"]],
    failureExitCode: 1,
  },
  {
    names: ["container inspect"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Show everything about containers",
    arguments: { least: 1 },
    latestIsFirst: true,
    options: [FORMAT_SHORT, LATEST, { flags: "-s, --size", summary: "what their files take" }],
    examples: [["container inspect -f '{{.State.ExitCode}}' job", "how it ended"]],
    failureExitCode: 1,
  },
  {
    names: ["container exists"],
    usage: "[OPTIONS] CONTAINER",
    summary: "Say by the exit code whether there is a container: 0 or 1",
    arguments: { least: 1, most: 1 },
    options: [{ flags: "--external", summary: "also one whose record cannot be read" }],
    examples: [["container exists web || dugout run -d --name web nginx", "in a script"]],
    failureExitCode: 125,
  },
];
