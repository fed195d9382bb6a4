/**
 * The unit, and the line for cron, of containers that are there: what `generate systemd` prints. Pure. Names come from
 * containers: all words are literal.
 *
 * @module
 */
import { encodeCommand, encodeValue } from "./exec_line.ts";
import { type Entry, printUnitFile } from "./unit_file.ts";

/** What is to be started: one container, or all those whose restart policy says so. */
export type StartTarget =
  | { readonly kind: "container"; readonly reference: string; readonly title: string }
  /** A container of that name, made anew at each start. @see words What stands behind `run`, without its name. */
  | { readonly kind: "new"; readonly name: string; readonly words: readonly string[] }
  | { readonly kind: "policies" };

/** What a unit says beside that. */
export interface UnitOptions {
  /** How this program is started: an absolute path, then arguments. */
  readonly program: readonly string[];
  /** systemd's word for `Restart=`. */
  readonly restart: string;
  readonly restartSeconds: number | undefined;
  readonly stopSeconds: number;
  readonly startSeconds: number | undefined;
  readonly wants: readonly string[];
  readonly requires: readonly string[];
  readonly after: readonly string[];
}

/** systemd gives a unit so much more time than the container has, before it kills all that is left. */
const MORE_SECONDS = 60;

/** Starts what was running by its policy before the machine went down. */
const START_ALL = ["start", "--filter", "should-start-on-boot=true"];

/** How one that is made anew takes the place of what was left of the last, and tells systemd that it is up. */
const ANEW = ["--replace", "--rm", "--sdnotify=conmon"];

/** systemd's words for `Restart=` (systemd.service(5)). */
export const RESTART_WORDS: readonly string[] = [
  "no",
  "on-success",
  "on-failure",
  "on-abnormal",
  "on-watchdog",
  "on-abort",
  "always",
];

/** The text of a unit. */
export function generateUnit(target: StartTarget, options: UnitOptions): string {
  const { program, wants, requires, after } = options;
  const line = (key: string, value: string): Entry => ({ key, value, path: "", line: 0 });
  const command = (...words: string[]) => encodeCommand([...program, ...words], "literal");
  const seconds = (key: string, value: number | undefined) => value === undefined ? [] : [line(key, String(value))];
  const service = target.kind === "policies"
    // without ExecStop: what somebody stops would not be started the next time. systemd's own signal asks all to end
    ? [line("Type", "oneshot"), line("RemainAfterExit", "yes"), line("ExecStart", command(...START_ALL))]
    : [
      ...(target.kind === "new" ? [line("Type", "notify"), line("NotifyAccess", "all")] : [line("Type", "exec")]),
      line("KillMode", "mixed"),
      line("Delegate", "yes"),
      line("SuccessExitStatus", "143"),
      line("Environment", "DUGOUT_SYSTEMD_UNIT=%n"),
      line("Restart", options.restart),
      ...seconds("RestartSec", options.restartSeconds),
      ...seconds("TimeoutStartSec", options.startSeconds),
      line("TimeoutStopSec", String(options.stopSeconds + MORE_SECONDS)),
      ...(target.kind === "new"
        ? [
          line("ExecStart", command("run", `--name=${target.name}`, ...ANEW, ...target.words)),
          line("ExecStop", command("stop", "--ignore", "--timeout", String(options.stopSeconds), target.name)),
          line("ExecStopPost", command("rm", "--force", "--ignore", target.name)),
        ]
        : [
          line("ExecStart", command("start", "--attach", target.reference)),
          line("ExecStop", command("stop", "--timeout", String(options.stopSeconds), target.reference)),
        ]),
    ];
  return printUnitFile(
    new Map([
      ["Unit", [
        line("Description", encodeValue(titleOf(target))),
        ...wants.map((unit) => line("Wants", unit)),
        ...requires.map((unit) => line("Requires", unit)),
        ...after.map((unit) => line("After", unit)),
      ]],
      ["Service", service],
      ["Install", [line("WantedBy", "default.target")]],
    ]),
  );
}

function titleOf(target: StartTarget): string {
  switch (target.kind) {
    case "container":
      return `Container ${target.title}`;
    case "new":
      return `Container ${target.name}`;
    case "policies":
      return "Containers that start with the machine";
    default:
      throw new Error(`Unknown target ${target satisfies never}`);
  }
}

/** A line for crontab(5), which starts it with the machine. */
export function generateCronLine(target: StartTarget, program: readonly string[]): string {
  const words = [...program, ...cronWords(target)];
  // cron takes a per cent sign for the end of the command
  return `@reboot ${words.map(quoteForShell).join(" ").replaceAll("%", "\\%")}`;
}

function cronWords(target: StartTarget): readonly string[] {
  if (target.kind === "container") return ["start", target.reference];
  return target.kind === "policies"
    ? START_ALL
    : ["run", "--detach", `--name=${target.name}`, "--replace", ...target.words];
}

function quoteForShell(word: string): string {
  return /^[A-Za-z0-9_./:=@+,%-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
