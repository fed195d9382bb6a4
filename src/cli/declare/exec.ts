import { HEADINGS } from "./global.ts";
import type { CommandDeclaration } from "./types.ts";

/** `exec`, by itself: the way to it is short (../cli.ts). */
export const EXEC: CommandDeclaration = {
  names: ["exec", "container exec"],
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  summary: "Run a command in a container that runs",
  group: HEADINGS.containers,
  arguments: { least: 2 },
  stopsAtFirstArgument: true,
  latestIsFirst: true,
  options: [
    { flags: "-d, --detach", summary: "leave it alone: it runs in the background" },
    { flags: "--detach-keys", value: "string", summary: "keys that leave it running", default: "ctrl-p,ctrl-q" },
    {
      flags: "-e, --env",
      value: "list",
      repeatable: true,
      summary: "set NAME=value; NAME alone takes the caller's value",
    },
    { flags: "--env-file", value: "list", repeatable: true, summary: "read such lines from a file" },
    { flags: "-i, --interactive", summary: "keep standard input open" },
    { flags: "-l, --latest", summary: "in the last container that was made" },
    { flags: "--privileged", summary: "all capabilities of the container's user namespace" },
    { flags: "-t, --tty", summary: "give it a terminal" },
    {
      flags: "-u, --user",
      value: "string",
      summary: "USER[:GROUP], names of the container's or numbers, instead of the container's user",
    },
    { flags: "-w, --workdir", value: "string", summary: "working directory, instead of the container's" },
  ],
  examples: [
    ["exec -it web sh", "a shell in it"],
    ["exec -u postgres db psql -c 'select 1'", "as another user of the container's"],
  ],
  failureExitCode: 1,
};
