import type { CommandDeclaration, OptionDeclaration } from "./types.ts";

const OF_CLUSTERS = "volumes of a cluster need a swarm";

/** Docker's flags for volumes of a swarm. */
function clusterOption(flag: string, value = "string"): OptionDeclaration {
  return { flags: flag, value, repeatable: value === "list", summary: "refused", hidden: true, refused: OF_CLUSTERS };
}

export const VOLUME_COMMANDS: readonly CommandDeclaration[] = [
  {
    names: ["volume create"],
    usage: "[OPTIONS] [VOLUME]",
    summary: "Make a volume",
    arguments: { least: 0, most: 1 },
    options: [
      { flags: "-d, --driver", value: "string", summary: "local, the only one", default: "local" },
      { flags: "--label", value: "list", repeatable: true, summary: "NAME[=VALUE]" },
      {
        flags: "-o, --opt",
        value: "map",
        repeatable: true,
        summary: "type=tmpfs, or o=bind with device=DIRECTORY",
      },
      { flags: "--name", value: "string", summary: "its name, as old versions had it", hidden: true },
      clusterOption("--availability"),
      clusterOption("--group"),
      clusterOption("--limit-bytes", "bytes"),
      clusterOption("--required-bytes", "bytes"),
      clusterOption("--scope"),
      clusterOption("--secret", "list"),
      clusterOption("--sharing"),
      clusterOption("--topology-preferred", "list"),
      clusterOption("--topology-required", "list"),
      clusterOption("--type"),
    ],
    examples: [
      ["volume create data", "'run -v data:/data' makes it as well"],
      ["volume create -o o=bind -o device=/srv/data data", "a name for a directory"],
    ],
    failureExitCode: 1,
  },
  {
    names: ["volume ls", "volume list"],
    usage: "[OPTIONS]",
    summary: "List volumes",
    arguments: { least: 0, most: 0 },
    options: [
      {
        flags: "-f, --filter",
        value: "filter",
        repeatable: true,
        summary: "dangling=true, driver=, name=, label=NAME[=VALUE]",
      },
      {
        flags: "--format",
        value: "string",
        summary: "table, table TEMPLATE, json, or a Go template such as {{.Name}}",
      },
      { flags: "-q, --quiet", summary: "names only" },
      { flags: "--cluster", summary: "refused", hidden: true, refused: OF_CLUSTERS },
    ],
    examples: [["volume ls --filter dangling=true", "those that no container uses"]],
    failureExitCode: 1,
  },
  {
    names: ["volume inspect"],
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    summary: "Show everything about volumes",
    arguments: { least: 1 },
    options: [{ flags: "-f, --format", value: "string", summary: "json, or a Go template such as {{.Mountpoint}}" }],
    examples: [["volume inspect -f '{{.Mountpoint}}' data", "where its files are"]],
    failureExitCode: 1,
  },
  {
    names: ["volume exists"],
    usage: "VOLUME",
    summary: "Say by the exit code whether there is a volume: 0 or 1",
    arguments: { least: 1, most: 1 },
    options: [],
    examples: [["volume exists data || dugout volume create data", "in a script"]],
    failureExitCode: 125,
  },
  {
    names: ["volume rm", "volume remove"],
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    summary: "Remove volumes",
    arguments: { least: 1 },
    options: [{ flags: "-f, --force", summary: "none of that name is no error" }],
    examples: [["volume rm data", "with all that is in it"]],
    failureExitCode: 1,
  },
  {
    names: ["volume prune"],
    usage: "[OPTIONS]",
    summary: "Remove volumes that no container uses",
    arguments: { least: 0, most: 0 },
    options: [
      { flags: "-a, --all", summary: "those with names too" },
      { flags: "--filter", value: "filter", repeatable: true, summary: "label=NAME[=VALUE]" },
      { flags: "-f, --force", summary: "do not ask" },
    ],
    examples: [["volume prune -f", "what containers without --rm left"]],
    failureExitCode: 1,
  },
];
