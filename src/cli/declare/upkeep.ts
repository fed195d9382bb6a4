import { HEADINGS } from "./global.ts";
import { RUN_OPTIONS } from "./run.ts";
import type { CommandDeclaration } from "./types.ts";

/** Limits that docker's `update` changes. */
const UPDATED = [
  "blkio-weight",
  "cpu-period",
  "cpu-quota",
  "cpu-rt-period",
  "cpu-rt-runtime",
  "cpu-shares",
  "cpus",
  "cpuset-cpus",
  "cpuset-mems",
  "memory",
  "memory-reservation",
  "memory-swap",
  "pids-limit",
  "restart",
];

/** Commands that look after the store as a whole. */
export const UPKEEP_COMMANDS: readonly CommandDeclaration[] = [
  {
    names: ["update", "container update"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Change what containers were made with",
    group: HEADINGS.containers,
    arguments: { least: 1 },
    options: RUN_OPTIONS.filter(({ flags }) => UPDATED.some((name) => flags.endsWith(`--${name}`)))
      .map(({ group: _, ...option }) => option),
    examples: [["update --restart unless-stopped web", ""]],
    failureExitCode: 1,
  },
  {
    names: ["completion"],
    usage: "bash|zsh|fish",
    summary: "Print what a shell reads to complete command lines, with names of containers, images and volumes",
    group: HEADINGS.system,
    arguments: { least: 1, most: 1 },
    options: [],
    examples: [
      ["completion bash >~/.local/share/bash-completion/completions/dugout", "for all shells from now on"],
      ["completion fish | source", "for this shell"],
    ],
    failureExitCode: 1,
  },
  {
    names: ["system check"],
    usage: "[OPTIONS]",
    summary: "Look whether all in the store is as it should be, and repair it",
    arguments: { least: 0, most: 0 },
    options: [
      { flags: "-q, --quick", summary: "without reading all of the images" },
      { flags: "-r, --repair", summary: "put right what can be, without losing anything that cannot be had again" },
    ],
    examples: [["system check --repair", "after a crash, or a disk that failed"]],
    failureExitCode: 1,
    note: "Exit code: 0 when all is well or repaired, else 1. 'dugout check' is about the machine.",
  },
  {
    names: ["system df"],
    usage: "[OPTIONS]",
    summary: "Show what images, containers and volumes take on disk",
    arguments: { least: 0, most: 0 },
    options: [
      {
        flags: "--format",
        value: "string",
        summary: "table, table TEMPLATE, json, or a Go template such as {{.Size}}",
      },
      { flags: "-v, --verbose", summary: "each of them" },
    ],
    examples: [["system df", "and how much of it a prune would free"]],
    failureExitCode: 1,
    note: "The size of images is that of their blobs and of their unpacked layers, each counted once.",
  },
  {
    names: ["system prune"],
    usage: "[OPTIONS]",
    summary: "Remove what is not used: containers that have ended, images without a name",
    arguments: { least: 0, most: 0 },
    options: [
      { flags: "-a, --all", summary: "all images that no container is made from" },
      { flags: "--filter", value: "filter", repeatable: true, summary: "until=TIME, label=NAME[=VALUE]" },
      { flags: "-f, --force", summary: "do not ask" },
      { flags: "--volumes", summary: "volumes without a name too" },
    ],
    examples: [["system prune -af", "all that no container needs"]],
    failureExitCode: 1,
  },
  {
    names: ["system reset"],
    usage: "[OPTIONS]",
    summary: "Remove all that dugout has on this machine, containers that run too",
    arguments: { least: 0, most: 0 },
    options: [{ flags: "-f, --force", summary: "do not ask" }],
    examples: [["system reset", "also of a store that is damaged"]],
    failureExitCode: 125,
    note:
      "Links in the store are removed, not followed. Directories of the machine that containers had are left alone.",
  },
];
