import type { GroupDeclaration, OptionDeclaration } from "./types.ts";

/** Options that stand before the command. */
export const GLOBAL_OPTIONS: readonly OptionDeclaration[] = [
  {
    flags: "--root",
    value: "directory",
    summary: "where images and containers live",
    default: "$XDG_DATA_HOME/dugout",
  },
  {
    flags: "--run",
    value: "directory",
    summary: "where sockets, locks and state live",
    default: "$XDG_RUNTIME_DIR/dugout",
  },
  {
    flags: "--storage-driver",
    value: "driver",
    summary: "overlay, fuse-overlayfs or vfs, instead of the best one that works",
  },
  { flags: "--config", value: "directory", summary: "where config.json with registry logins is", default: "~/.docker" },
  { flags: "-l, --log-level", value: "level", summary: "debug, info, warn, error or fatal", default: "info" },
  { flags: "-D, --debug", summary: "more messages, and where an error came from" },
  { flags: "-v, --version", summary: "print the version" },
  // There is no daemon to be told about; accepting these would hide that.
  { flags: "-H, --host", value: "list", repeatable: true, summary: "address of a daemon", hidden: true },
  { flags: "-c, --context", value: "string", summary: "name of a context", hidden: true },
  { flags: "--tls", summary: "TLS to a daemon", hidden: true },
  { flags: "--tlscacert", value: "string", summary: "TLS to a daemon", hidden: true },
  { flags: "--tlscert", value: "string", summary: "TLS to a daemon", hidden: true },
  { flags: "--tlskey", value: "string", summary: "TLS to a daemon", hidden: true },
  { flags: "--tlsverify", summary: "TLS to a daemon", hidden: true },
];

/** Those of the above that only make sense for a client of a daemon. */
export const DAEMON_OPTIONS: readonly string[] = [
  "host",
  "context",
  "tls",
  "tlscacert",
  "tlscert",
  "tlskey",
  "tlsverify",
];

export const LOG_LEVELS: readonly string[] = ["debug", "info", "warn", "error", "fatal"];

export const GROUPS: readonly GroupDeclaration[] = [
  { name: "batch", summary: "Commands for containers that are jobs of Slurm" },
  { name: "container", summary: "Commands for containers" },
  { name: "generate", summary: "Units and lines for cron" },
  { name: "healthcheck", summary: "Commands for health checks" },
  { name: "image", summary: "Commands for images" },
  { name: "volume", summary: "Commands for volumes" },
  { name: "network", summary: "Commands for networks" },
  { name: "system", summary: "Commands for the engine and this machine" },
];

/** Headings of `dugout --help`, in the order in which they appear. */
export const HEADINGS = {
  run: "Run:",
  containers: "Containers:",
  images: "Images:",
  registries: "Registries:",
  system: "This machine:",
  groups: "Groups:",
} as const;
