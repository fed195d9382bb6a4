import { HEADINGS } from "./global.ts";
import { LATEST } from "./containers.ts";
import type { CommandDeclaration } from "./types.ts";

/** What runs in containers, and what it uses. */
export const WATCH_COMMANDS: readonly CommandDeclaration[] = [
  {
    names: ["top", "container top"],
    usage: "CONTAINER [ps OPTIONS]",
    summary: "List the processes of a container",
    group: HEADINGS.containers,
    arguments: { least: 1 },
    stopsAtFirstArgument: true,
    latestIsFirst: true,
    options: [LATEST],
    examples: [["top web", ""], ["top web -o pid,rss,args", "with options of this machine's ps"]],
    failureExitCode: 1,
  },
  {
    names: ["stats", "container stats"],
    usage: "[OPTIONS] [CONTAINER...]",
    summary: "Show what containers use, each second anew",
    group: HEADINGS.containers,
    arguments: { least: 0 },
    options: [
      { flags: "-a, --all", summary: "those that do not run too" },
      {
        flags: "--format",
        value: "string",
        summary: "table, table TEMPLATE, json, or a Go template such as {{.CPUPerc}}",
      },
      LATEST,
      { flags: "--no-stream", summary: "once" },
      { flags: "--no-trunc", summary: "ids in full" },
    ],
    examples: [["stats --no-stream", "all that run, once"]],
    failureExitCode: 1,
    note:
      "Without a control group the processes that are there are added up: memory is their share of what they share, and processes that have ended do not count.",
  },
  {
    names: ["port", "container port"],
    usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
    summary: "List the published ports of a container",
    group: HEADINGS.containers,
    arguments: { least: 1, most: 2 },
    latestIsFirst: true,
    options: [LATEST],
    examples: [["port web 80", ""]],
    failureExitCode: 1,
  },
  {
    names: ["pause", "container pause"],
    usage: "CONTAINER [CONTAINER...]",
    summary: "Freeze containers; takes control groups of their own",
    group: HEADINGS.containers,
    arguments: { least: 1 },
    options: [],
    examples: [["pause web", ""]],
    failureExitCode: 1,
  },
  {
    names: ["unpause", "container unpause"],
    usage: "CONTAINER [CONTAINER...]",
    summary: "Let frozen containers go on",
    group: HEADINGS.containers,
    arguments: { least: 1 },
    options: [],
    examples: [["unpause web", ""]],
    failureExitCode: 1,
  },
];
