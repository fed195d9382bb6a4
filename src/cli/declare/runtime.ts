import { HEADINGS } from "./global.ts";
import type { CommandDeclaration } from "./types.ts";

/** `runtime`: its commands and flags are runc's, and read by ../runtime/. */
export const RUNTIME: CommandDeclaration = {
  names: ["runtime"],
  usage: "[GLOBAL OPTIONS] COMMAND [OPTIONS] [ARG...]",
  summary: "Run bundles as an OCI runtime, by the commands of runc",
  group: HEADINGS.system,
  arguments: { least: 0 },
  options: [],
  stopsAtFirstArgument: true,
  examples: [
    ["runtime --help", "its commands: create, start, state, kill, delete, list, ps, exec, run …"],
    ["runtime run --bundle b box", "the container of the bundle b"],
    ["runtime state box", "its state, as JSON"],
  ],
  failureExitCode: 1,
  note:
    "A copy or hard link of this program that is named dugout-runtime is the same command, for what names a runtime by its path: podman --runtime /usr/local/bin/dugout-runtime run …",
};
