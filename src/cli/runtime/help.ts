/**
 * Help of `dugout runtime`, in the form of runc's.
 *
 * @module
 */
import type { FlagDeclaration } from "./flags.ts";
import { GLOBAL_FLAGS, RUNTIME_COMMANDS, type RuntimeCommand } from "./commands.ts";

/** What the program is called: `dugout runtime`, or `dugout-runtime`. */
export function describeRuntime(program: string): string {
  const width = Math.max(...RUNTIME_COMMANDS.map(({ name }) => name.length));
  return [
    "NAME:",
    `   ${program} - run containers of bundles, by the Open Container Initiative's runtime specification`,
    "",
    "USAGE:",
    `   ${program} [global options] command [command options] [arguments...]`,
    "",
    "COMMANDS:",
    ...RUNTIME_COMMANDS.map(({ name, summary }) => `   ${name.padEnd(width)}  ${summary}`),
    "",
    "GLOBAL OPTIONS:",
    ...describeFlags(GLOBAL_FLAGS),
    "",
    "The state of containers is below /run/dugout/runtime for root, for others in dugout/runtime below /run/user/UID or",
    "XDG_RUNTIME_DIR, else in /tmp/dugout-UID/runtime. Root that names a user's --root acts as that user.",
    "",
  ].join("\n");
}

/** Help of one command. */
export function describeCommand(program: string, { name, summary, usage, flags, note }: RuntimeCommand): string {
  return [
    "NAME:",
    `   ${program} ${name} - ${summary}`,
    "",
    "USAGE:",
    `   ${program} ${name}${flags.length > 0 ? " [command options]" : ""}${usage === "" ? "" : ` ${usage}`}`,
    ...(note === undefined ? [] : ["", note]),
    ...(flags.length === 0 ? [] : ["", "OPTIONS:", ...describeFlags(flags)]),
    "",
  ].join("\n");
}

function describeFlags(flags: readonly FlagDeclaration[]): string[] {
  const shown = flags.map(({ names, kind }) =>
    names.map((name) => `${name.length > 1 ? "--" : "-"}${name}${kind === "switch" ? "" : " value"}`).join(", ")
  );
  const width = Math.max(...shown.map((text) => text.length));
  return flags.map(({ summary, default: absent }, index) =>
    `   ${shown[index]!.padEnd(width)}  ${summary}${absent === undefined ? "" : ` (default: ${absent})`}`
  );
}
