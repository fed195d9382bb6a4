import { HEADINGS } from "./global.ts";
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
];
