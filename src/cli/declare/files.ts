import { HEADINGS } from "./global.ts";
import { LATEST } from "./containers.ts";
import type { CommandDeclaration } from "./types.ts";

/** The files of containers, running or not. */
export const FILE_COMMANDS: readonly CommandDeclaration[] = [
  {
    names: ["cp", "container cp"],
    usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n       dugout cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    summary: "Copy files between a container and this machine",
    group: HEADINGS.containers,
    arguments: { least: 2, most: 2 },
    options: [
      { flags: "-a, --archive", summary: "keep owners, by their numbers in the container" },
      { flags: "-L, --follow-link", summary: "follow a link at the end of SRC_PATH" },
      { flags: "-q, --quiet", summary: "no message at the end; without a terminal there is none anyway" },
    ],
    examples: [
      ["cp web:/etc/nginx ./conf", "out of it; SRC/. is what is in a directory"],
      ["cp ./site/. web:/srv/www", "into it, also when it does not run"],
      ["cp web:/var/log - | tar t", "as an archive"],
    ],
    failureExitCode: 1,
    note:
      "What comes into a container belongs to its root, what comes out to you; an archive on standard input keeps its owners. The container is seen as it sees itself, volumes and binds included.",
  },
  {
    names: ["diff", "container diff"],
    usage: "CONTAINER",
    summary: "List what a container has changed of its image's files",
    group: HEADINGS.containers,
    arguments: { least: 1, most: 1 },
    latestIsFirst: true,
    options: [LATEST],
    examples: [["diff web", "A: new, C: changed, D: gone"]],
    failureExitCode: 1,
  },
  {
    names: ["commit", "container commit"],
    usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    summary: "Make an image of a container's changes",
    group: HEADINGS.containers,
    arguments: { least: 1, most: 2 },
    options: [
      { flags: "-a, --author", value: "string", summary: "who made it, for its history" },
      {
        flags: "-c, --change",
        value: "list",
        repeatable: true,
        summary: "a Dockerfile instruction for its config: 'CMD [\"sh\"]'",
      },
      { flags: "-m, --message", value: "string", summary: "comment in its history" },
      {
        flags: "-p, --pause",
        summary: "pause it meanwhile, where it has a control group of its own; false lets it run",
        default: "true",
      },
      { flags: "-q, --quiet", summary: "no warnings" },
    ],
    examples: [
      ["commit web my/web:2", "its files and settings; what is in volumes is not part of it"],
      ["commit -c 'ENV DEBUG=1' -c 'CMD [\"nginx\"]' web", "with other settings, by its id alone"],
    ],
    failureExitCode: 1,
  },
  {
    names: ["export", "container export"],
    usage: "[OPTIONS] CONTAINER",
    summary: "Write all of a container's files to an archive",
    group: HEADINGS.containers,
    arguments: { least: 1, most: 1 },
    options: [{ flags: "-o, --output", value: "string", summary: "to a file instead of standard output" }],
    examples: [["export web | tar x -C rootfs", "without volumes; 'dugout import' makes an image of it"]],
    failureExitCode: 1,
  },
  {
    names: ["mount", "container mount"],
    usage: "[OPTIONS] [CONTAINER...]",
    summary: "Mount the files of containers, inside of 'dugout unshare'",
    arguments: { least: 0 },
    options: [{ flags: "-a, --all", summary: "all that do not run" }],
    examples: [["mount web", "prints where, and is gone with the shell; without names: what is mounted"]],
    failureExitCode: 125,
  },
  {
    names: ["umount", "unmount", "container umount", "container unmount"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Unmount the files of containers, inside of 'dugout unshare'",
    arguments: { least: 0 },
    options: [{ flags: "-a, --all", summary: "all that are mounted" }],
    examples: [["umount web", ""]],
    failureExitCode: 125,
  },
];
