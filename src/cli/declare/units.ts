import { HEADINGS } from "./global.ts";
import type { CommandDeclaration } from "./types.ts";

/** Containers as units of systemd. */
export const UNIT_COMMANDS: readonly CommandDeclaration[] = [
  {
    names: ["quadlet"],
    usage: "[OPTIONS] [NORMAL-DIR [EARLY-DIR LATE-DIR]]",
    summary: "Make systemd services of .container, .volume and .image files",
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
