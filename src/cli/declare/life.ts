import { CHOICE_FILTER, CHOICE_FLAGS, choiceOptions, LATEST, STOP_OPTIONS } from "./containers.ts";
import { HEADINGS } from "./global.ts";
import { BATCH_OPTIONS } from "./batch_options.ts";
import { RUN_OPTIONS } from "./run.ts";
import type { CommandDeclaration } from "./types.ts";

/** What a container that is only made has no use for. */
const OF_RUN_ALONE = [
  ...BATCH_OPTIONS.map(({ flags }) => flags),
  "--detach",
  "--detach-keys",
  "--sig-proxy",
  "--explain",
  "--format",
  "--sdnotify",
];

const CREATE_OPTIONS = RUN_OPTIONS.filter(({ flags }) => !OF_RUN_ALONE.some((flag) => flags.endsWith(flag)));

const NO_CHECKPOINTS = "CRIU cannot restore a container without root";

/** The life of a container that is on record, and what it has written. */
export const LIFE_COMMANDS: readonly CommandDeclaration[] = [
  {
    names: ["healthcheck run"],
    usage: "CONTAINER",
    summary: "Run the health check of a container now",
    arguments: { least: 1, most: 1 },
    options: [],
    examples: [["healthcheck run web", "exit code 0: it is well, 1: it is not"]],
    failureExitCode: 125,
  },
  {
    names: ["create", "container create"],
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    summary: "Make a container without starting it",
    group: HEADINGS.containers,
    arguments: { least: 1 },
    stopsAtFirstArgument: true,
    options: CREATE_OPTIONS,
    examples: [["create --name web nginx", "'dugout start web' starts it, each time anew"]],
    failureExitCode: 125,
  },
  {
    names: ["start", "container start"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Start containers that were made, or have ended",
    group: HEADINGS.containers,
    arguments: { least: 1, orFlags: [...CHOICE_FLAGS, "filter"] },
    options: [
      ...choiceOptions("all that do not run", { latest: "-l, " }),
      CHOICE_FILTER,
      { flags: "-a, --attach", summary: "show what it writes, and pass signals on" },
      { flags: "--checkpoint", value: "string", summary: "refused", hidden: true, refused: NO_CHECKPOINTS },
      { flags: "--checkpoint-dir", value: "string", summary: "refused", hidden: true, refused: NO_CHECKPOINTS },
      { flags: "--detach-keys", value: "string", summary: "keys that leave it running", default: "ctrl-p,ctrl-q" },
      { flags: "-i, --interactive", summary: "let it read standard input" },
      { flags: "--sig-proxy", summary: "pass signals on; with --attach", default: "true" },
    ],
    examples: [["start web", ""], ["start -ai shell", "and go in, with its terminal"]],
    failureExitCode: 1,
  },
  {
    names: ["attach", "container attach"],
    usage: "[OPTIONS] CONTAINER",
    summary: "Attach to a container that runs: its output, and its input",
    group: HEADINGS.containers,
    arguments: { least: 1, most: 1 },
    latestIsFirst: true,
    options: [
      { flags: "--detach-keys", value: "string", summary: "keys that leave it running", default: "ctrl-p,ctrl-q" },
      LATEST,
      { flags: "--no-stdin", summary: "do not pass on what is typed" },
      { flags: "--sig-proxy", summary: "pass signals on", default: "true" },
    ],
    examples: [["attach shell", "ctrl-p ctrl-q leaves it again"]],
    failureExitCode: 1,
  },
  {
    names: ["restart", "container restart"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Stop containers and start them again",
    group: HEADINGS.containers,
    arguments: { least: 1, orFlags: CHOICE_FLAGS },
    options: [
      ...choiceOptions("all of them", { all: "-a, ", latest: "-l, " }),
      ...STOP_OPTIONS,
    ],
    examples: [["restart -t 30 web", ""]],
    failureExitCode: 1,
  },
  {
    names: ["logs", "container logs"],
    usage: "[OPTIONS] CONTAINER",
    summary: "Show what a container has written",
    group: HEADINGS.containers,
    arguments: { least: 1, most: 1 },
    latestIsFirst: true,
    options: [
      { flags: "--details", summary: "with the labels and variables that --log-opt names" },
      { flags: "-f, --follow", summary: "go on as it comes, until the container ends" },
      LATEST,
      { flags: "--since", value: "string", summary: "what came since: 42m, or 2013-01-02T13:23:37Z" },
      { flags: "-n, --tail", value: "string", summary: "the last lines only", default: "all" },
      { flags: "-t, --timestamps", summary: "with the time of each line" },
      { flags: "--until", value: "string", summary: "what came before: 42m, or 2013-01-02T13:23:37Z" },
    ],
    examples: [
      ["logs -f web", ""],
      ["logs -t --since 10m web 2>errors", "of the last ten minutes; both streams apart"],
    ],
    failureExitCode: 1,
  },
];
