/**
 * The only file that knows commander. It gets the tree of commands from the declarations, dispatches to one of them and
 * prints help; reading flags is left to `scan.ts`, by way of `parseOptions`, because Docker's flags are not commander's
 * (`--rm=false`, values that begin with a dash).
 */
import { Command, Help, Option } from "commander";
import { COMMANDS } from "./declare/commands.ts";
import { GLOBAL_OPTIONS, GROUPS, HEADINGS } from "./declare/global.ts";
import { LATER_COMMANDS, REFUSED_COMMANDS } from "./declare/later.ts";
import type { CommandDeclaration, OptionDeclaration } from "./declare/types.ts";
import { wrapWords } from "./format/wrap.ts";
import type { GlobalOptions, Invocation } from "./invocation.ts";
import { printOut } from "./output.ts";
import { readInvocation } from "./read_invocation.ts";
import { longName, type Scanned, scanOptions, shortName } from "./scan.ts";
import { suggestWord } from "./suggest.ts";
import { notYetError, usageError } from "./usage_error.ts";

/** A command whose flags are read by our scanner. Options are added to it only when its help is printed. */
class ScannedCommand extends Command {
  readonly declaration: CommandDeclaration | undefined;
  readonly path: string;
  /** What was read, for a leaf. */
  invocation: Invocation | "help" | undefined;
  global: GlobalOptions;

  constructor(path: string, global: GlobalOptions, declaration?: CommandDeclaration) {
    super(path.slice(path.lastIndexOf(" ") + 1));
    this.path = path;
    this.global = global;
    this.declaration = declaration;
    this.helpOption(false).helpCommand(false).allowExcessArguments(true);
    this.createHelp = () => new DeclaredHelp();
    if (declaration !== undefined) {
      this.usage(declaration.usage).summary(declaration.summary).description(declaration.summary);
    }
  }

  /** Commander's hook for reading flags: what it returns as operands is dispatched on, the rest is passed down. */
  override parseOptions(argv: string[]): { operands: string[]; unknown: string[] } {
    if (this.declaration !== undefined) {
      this.invocation = readInvocation(this.declaration, this.path, argv, this.global);
      return { operands: [], unknown: [] };
    }
    const program = `dugout ${this.path}`.trim();
    const { operands, wantsHelp } = scanOptions([], argv, { stopsAtFirstOperand: true, program });
    const [word, ...rest] = operands;
    if (wantsHelp || word === undefined) {
      this.invocation = "help";
      return { operands: [], unknown: [] };
    }
    if (!this.commands.some((command) => command.name() === word)) throw this.describeUnknown(word);
    return { operands: [word], unknown: rest };
  }

  describeUnknown(word: string): Error {
    const full = `${this.path} ${word}`.trim();
    if (LATER_COMMANDS.includes(full)) return notYetError(`'dugout ${full}'`);
    const reason = REFUSED_COMMANDS.get(full);
    if (reason !== undefined) return usageError(`'dugout ${full}' is not possible: ${reason}`, 125, "");
    const program = `dugout ${this.path}`.trim();
    const near = suggestWord(word, this.commands.map((command) => command.name()));
    return usageError(
      `unknown command: dugout ${full}`,
      1,
      near === undefined ? `'${program} --help' lists the commands` : `did you mean '${program} ${near}'?`,
    );
  }
}

/** Commander's help, with each flag's letter in a column of its own and values in Docker's form, without brackets. */
class DeclaredHelp extends Help {
  override optionTerm(option: Option): string {
    return option.description === "" ? option.flags : (option.short === undefined ? "    " : "") + option.flags;
  }

  override commandUsage(command: Command): string {
    const path = command instanceof ScannedCommand ? command.path : "";
    return `dugout ${path} ${command.usage()}`.replaceAll("  ", " ");
  }

  override subcommandTerm(command: Command): string {
    return command.name();
  }

  override optionDescription(option: Option): string {
    return option.description;
  }
}

/**
 * Finds the command that was asked for and reads its flags; prints help where that was asked for.
 * @returns What to run; undefined after help.
 */
export async function dispatch(scanned: Scanned, global: GlobalOptions): Promise<Invocation | undefined> {
  const root = buildTree(global);
  let operands = scanned.operands;
  // `dugout help image ls` is `dugout image ls --help`
  let asksHelp = scanned.wantsHelp;
  if (operands[0] === "help") {
    operands = operands.slice(1);
    asksHelp = true;
  }
  if (asksHelp) {
    printOut(describeHelp(findForHelp(root, operands), terminalColumns()));
    return undefined;
  }
  let chosen: ScannedCommand | undefined;
  root.hook("preAction", (_, action) => {
    if (action instanceof ScannedCommand) chosen = action;
  });
  await root.parseAsync(["--", ...operands], { from: "user" });
  const read = chosen?.invocation ?? "help";
  if (read !== "help") return read;
  printOut(describeHelp(chosen ?? root, terminalColumns()));
  return undefined;
}

/** Prints the help of one command, for the way to it that did not come by here. */
export function printHelp(command: CommandDeclaration, calledAs: string): void {
  printOut(describeHelp(new ScannedCommand(calledAs, NO_OPTIONS, command), terminalColumns()));
}

/**
 * The help of a command as text.
 * @param words The way to it: `["image", "ls"]`; empty for dugout itself.
 */
export function renderHelp(words: readonly string[], columns: number): string {
  return describeHelp(findForHelp(buildTree(NO_OPTIONS), words), columns);
}

const NO_OPTIONS: GlobalOptions = { logLevel: "info", debug: false };

/** As wide as the terminal, within reason. */
function terminalColumns(): number {
  return process.stdout.isTTY ? Math.max(60, Math.min(process.stdout.columns, 120)) : 80;
}

function buildTree(global: GlobalOptions): ScannedCommand {
  const root = new ScannedCommand("", global).usage("[OPTIONS] COMMAND [ARG...]") as ScannedCommand;
  root.description("A container engine in one file, without root and without a daemon");
  const addLeaf = (parent: ScannedCommand, path: string, declaration: CommandDeclaration): void => {
    const leaf = new ScannedCommand(path, global, declaration);
    leaf.action(() => {});
    if (parent === root) leaf.helpGroup(declaration.group ?? "Other:");
    parent.addCommand(leaf, { hidden: parent !== root && isAliasIn(declaration, path) });
  };
  for (const declaration of COMMANDS) {
    for (const path of declaration.names) if (!path.includes(" ")) addLeaf(root, path, declaration);
  }
  for (const group of GROUPS) {
    const command = new ScannedCommand(group.name, global).usage("COMMAND") as ScannedCommand;
    command.description(group.summary).summary(group.summary).helpGroup(HEADINGS.groups).action(() => {});
    for (const declaration of COMMANDS) {
      for (const path of declaration.names) if (path.startsWith(group.name + " ")) addLeaf(command, path, declaration);
    }
    root.addCommand(command);
  }
  // commands of a command: 'port add' beside 'port'
  for (const declaration of COMMANDS) {
    for (const path of declaration.names) {
      const [first = "", second] = path.split(" ");
      if (second === undefined || GROUPS.some(({ name }) => name === first)) continue;
      const parent = root.commands.find((command) => command.name() === first);
      if (parent instanceof ScannedCommand) addLeaf(parent, path, declaration);
    }
  }
  root.action(() => {});
  return root;
}

/** Whether another name of the same command comes earlier in the same group: `image list` after `image ls`. */
function isAliasIn(declaration: CommandDeclaration, path: string): boolean {
  const group = path.slice(0, path.lastIndexOf(" ") + 1);
  return declaration.names.find((name) => name.startsWith(group)) !== path;
}

function findForHelp(root: ScannedCommand, words: readonly string[]): ScannedCommand {
  let at = root;
  for (const word of words) {
    const next = at.commands.find((command) => command.name() === word);
    if (next instanceof ScannedCommand) at = next;
    else if (at.declaration === undefined) throw at.describeUnknown(word);
    else break; // words behind a command are its arguments
  }
  return at;
}

function describeHelp(command: ScannedCommand, columns: number): string {
  const { declaration } = command;
  const options = declaration?.options ?? (command.path === "" ? GLOBAL_OPTIONS : []);
  for (const option of options) if (option.hidden !== true) command.addOption(toCommanderOption(option));
  command.configureHelp({ helpWidth: columns });
  return command.helpInformation() + describeMore(command, columns);
}

function toCommanderOption(declared: OptionDeclaration): Option {
  const letter = shortName(declared);
  const name = `--${longName(declared)}`;
  const value = declared.value === undefined ? "" : ` ${declared.value}`;
  const summary = declared.default === undefined
    ? declared.summary
    : `${declared.summary} (default ${declared.default})`;
  const option = new Option(letter === undefined ? name : `-${letter}, ${name}`, summary);
  option.flags += value; // added afterwards: commander wants values in brackets
  if (declared.group !== undefined) option.helpGroup(declared.group);
  return option;
}

/** Other names, a note, examples: what stands below the options. */
function describeMore(command: ScannedCommand, columns: number): string {
  const { declaration } = command;
  const lines: string[] = [];
  if (declaration === undefined) {
    if (command.path === "") {
      lines.push("Examples:");
      lines.push(...alignPairs(columns, [
        ["dugout run hello", "greets, with no network"],
        ["dugout run --rm debian cat /etc/os-release", "one command in an image"],
        ["dugout check", "what this machine offers"],
      ]));
      lines.push("");
    }
    lines.push(`'${`dugout ${command.path}`.trim()} COMMAND --help' tells more about a command.`);
    return "\n" + lines.join("\n") + "\n";
  }
  if (declaration.note !== undefined) lines.push(...wrapWords(declaration.note, columns), "");
  lines.push("Examples:");
  lines.push(...alignPairs(columns, declaration.examples.map(([line, meaning]) => [`dugout ${line}`, meaning])));
  if (declaration.names.length > 1) {
    lines.push(
      "",
      `Also: ${declaration.names.filter((name) => name !== command.path).map((name) => `dugout ${name}`).join(", ")}`,
    );
  }
  return "\n" + lines.join("\n") + "\n";
}

/** Two columns where the left one is short enough, else the meaning as a comment above its command. */
function alignPairs(columns: number, pairs: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...pairs.map(([left]) => left.length));
  if (pairs.some(([, right]) => width + right.length + 4 > columns)) {
    return pairs.flatMap(([left, right]) => right === "" ? [`  ${left}`] : [`  # ${right}`, `  ${left}`]);
  }
  return pairs.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd());
}
