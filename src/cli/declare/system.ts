import { HEADINGS } from "./global.ts";
import type { CommandDeclaration } from "./types.ts";

export const SYSTEM_COMMANDS: readonly CommandDeclaration[] = [
  {
    names: ["check"],
    usage: "[OPTIONS]",
    summary: "Try what this machine offers, and say what to ask an administrator for",
    group: HEADINGS.system,
    arguments: { least: 0, most: 0 },
    options: [{ flags: "--format", value: "string", summary: "json, or a Go template" }],
    examples: [["check", "a line for each thing, and a sentence for what is missing"]],
    failureExitCode: 1,
    note: "Exit code: 0 when containers can run, 1 when they cannot.",
  },
  {
    names: ["info", "system info"],
    usage: "[OPTIONS]",
    summary: "Show what was chosen on this machine, and why",
    group: HEADINGS.system,
    arguments: { least: 0, most: 0 },
    options: [{ flags: "-f, --format", value: "string", summary: "json, or a Go template such as {{.Driver}}" }],
    examples: [["info -f '{{.Driver}}'", "the storage driver"]],
    failureExitCode: 1,
  },
  {
    names: ["events", "system events"],
    usage: "[OPTIONS]",
    summary: "Show what happens to containers, images and volumes",
    group: HEADINGS.system,
    arguments: { least: 0, most: 0 },
    options: [
      {
        flags: "-f, --filter",
        value: "filter",
        repeatable: true,
        summary: "type=, event=, container=, image=, volume=, label=NAME[=VALUE], scope=",
      },
      { flags: "--format", value: "string", summary: "json, or a Go template such as {{.Action}}" },
      { flags: "--since", value: "string", summary: "those that were, too: 10m, a date, seconds since 1970" },
      { flags: "--until", value: "string", summary: "no longer than to this time" },
      { flags: "--stream", summary: "wait for those that come", default: "true" },
    ],
    examples: [
      ["events --since 1h --until 0s", "what happened in the last hour"],
      ["events --filter event=die --format '{{.Actor.Attributes.name}}'", "names of containers as they end"],
    ],
    failureExitCode: 1,
    note: "Events are kept until the machine is started again, some ten thousand of them.",
  },
  {
    names: ["version"],
    usage: "[OPTIONS]",
    summary: "Show versions",
    group: HEADINGS.system,
    arguments: { least: 0, most: 0 },
    options: [{
      flags: "-f, --format",
      value: "string",
      summary: "json, or a Go template such as {{.Server.Version}}",
    }],
    examples: [["version -f '{{.Server.Version}}'", "for scripts"]],
    failureExitCode: 1,
  },
  {
    names: ["unshare"],
    usage: "[COMMAND [ARG...]]",
    summary: "Run a program as the root of containers",
    group: HEADINGS.system,
    arguments: { least: 0 },
    options: [],
    stopsAtFirstArgument: true,
    examples: [
      ["unshare ls -ln ~/.local/share/dugout/layers", "files by the owners that containers see"],
      ["unshare rm -rf ~/.local/share/dugout", "all of the store, whoever owns its files"],
    ],
    failureExitCode: 125,
  },
];
