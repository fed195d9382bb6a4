import { HEADINGS } from "./global.ts";
import type { CommandDeclaration } from "./types.ts";

/** Containers as units of systemd. */
export const UNIT_COMMANDS: readonly CommandDeclaration[] = [
  {
    names: ["generate systemd"],
    usage: "[OPTIONS] [CONTAINER]",
    summary: "Print a unit, or a line for cron, that starts a container with the machine",
    arguments: { least: 0, most: 1 },
    options: [
      { flags: "--after", value: "list", repeatable: true, summary: "units that start before it" },
      { flags: "--all", summary: "instead of one: all containers whose restart policy says so" },
      { flags: "--container-prefix", value: "string", summary: "begin of the unit's name", default: "container" },
      { flags: "--cron", summary: "a line for 'crontab -e' instead, where there is no systemd" },
      { flags: "-f, --files", summary: "write a file in this directory, and print its path" },
      { flags: "-n, --name", summary: "by the container's name, not its id" },
      { flags: "--new", summary: "make a new container of that name at each start, by the words that made this one" },
      { flags: "--no-header", summary: "without comments" },
      { flags: "--requires", value: "list", repeatable: true, summary: "units that it needs" },
      { flags: "--restart-policy", value: "string", summary: "systemd's Restart=", default: "on-failure" },
      { flags: "--restart-sec", value: "uint", check: "uint", summary: "seconds before it is started again" },
      { flags: "--separator", value: "string", summary: "between prefix and name", default: "-" },
      { flags: "--start-timeout", value: "uint", check: "uint", summary: "seconds that its start may take" },
      { flags: "-t, --time", value: "uint", check: "uint", summary: "seconds to end in, before it is killed" },
      { flags: "--stop-timeout", value: "uint", check: "uint", summary: "the same", hidden: true },
      { flags: "--wants", value: "list", repeatable: true, summary: "units that are started with it" },
    ],
    examples: [
      ["generate systemd --files --name web", "then move it to ~/.config/systemd/user"],
      ["generate systemd --all --cron", "containers come back as they were, by cron"],
    ],
    failureExitCode: 125,
    note:
      "The container is started, not made, unless --new says so; a .container file ('dugout quadlet') is easier to change. " +
      "Units of a user run without a login where 'loginctl enable-linger' was said.",
  },
  {
    names: ["quadlet"],
    usage: "[OPTIONS] [NORMAL-DIR [EARLY-DIR LATE-DIR]]",
    summary: "Make systemd services of .container, .volume, .network and .image files",
    group: HEADINGS.system,
    arguments: { least: 0, most: 3 },
    options: [
      { flags: "--dryrun", summary: "print them instead of writing" },
      { flags: "--install", summary: "write them where the user's systemd finds them, and remove what is no more" },
      { flags: "--user", summary: "for the user's systemd: always so" },
      { flags: "--no-kmsg-log", summary: "accepted: nothing is logged there", hidden: true },
    ],
    takesSingleDash: true,
    examples: [
      ["quadlet --dryrun", "what the files in ~/.config/containers/systemd become"],
      ["quadlet --install", "then 'systemctl --user daemon-reload' and 'start'"],
    ],
    failureExitCode: 1,
    note:
      "With an executable script in /etc/systemd/user-generators, 'exec dugout quadlet \"$@\"', systemd calls it at " +
      "each reload, and nothing needs --install. Files and keys are podman's: podman-systemd.unit(5).",
  },
];
