/**
 * The commands of `dugout runtime`: names and flags are runc's.
 *
 * @module
 */
import type { FlagDeclaration } from "./flags.ts";

/** One command. */
export interface RuntimeCommand {
  readonly name: string;
  readonly summary: string;
  /** What comes behind the flags. */
  readonly usage: string;
  readonly least: number;
  readonly most: number;
  /** The first argument ends the flags. */
  readonly stopsAtFirst?: boolean;
  readonly flags: readonly FlagDeclaration[];
  /** A paragraph of the help. */
  readonly note?: string;
}

const ID = "<container-id>";

function flag(names: string, kind: FlagDeclaration["kind"], summary: string, absent?: string): FlagDeclaration {
  return { names: names.split(","), kind, summary, ...(absent === undefined ? {} : { default: absent }) };
}

/** Flags before the command. */
export const GLOBAL_FLAGS: readonly FlagDeclaration[] = [
  flag("debug", "switch", "log what is done as well"),
  flag("log", "value", "file for messages", "/dev/stderr"),
  flag("log-format", "value", "format of messages: text or json", "text"),
  flag("root", "value", "directory for the state of containers: yours, and closed to others", "see below"),
  flag("systemd-cgroup", "switch", "cgroupsPath is of the form slice:prefix:name, for systemd"),
  flag("rootless", "value", "whether control groups that cannot be had are passed over: true, false or auto", "auto"),
  flag("help,h", "switch", "show help"),
  flag("version,v", "switch", "print the version"),
];

const BUNDLE = flag("bundle,b", "value", "directory of the bundle", "the current directory");
const PID_FILE = flag("pid-file", "value", "file to write the process id to");
const CONSOLE = flag("console-socket", "value", "unix socket that is sent the master of the terminal");
const PRESERVE = flag("preserve-fds", "value", "pass on descriptors 3 to 2+N", "0");
const MAKING: readonly FlagDeclaration[] = [
  BUNDLE,
  CONSOLE,
  PID_FILE,
  flag("no-pivot", "switch", "move the root in place of pivot_root: where the machine's root is a ramfs"),
  flag("no-new-keyring", "switch", "leave the caller's session keyring to the container"),
  PRESERVE,
];

function onOne(name: string, summary: string, flags: readonly FlagDeclaration[] = []): RuntimeCommand {
  return { name, summary, usage: ID, least: 1, most: 1, flags };
}

/** All commands, in alphabetical order. */
export const RUNTIME_COMMANDS: readonly RuntimeCommand[] = [
  onOne("create", "create a container", MAKING),
  onOne("delete", "remove what a container has left", [flag("force,f", "switch", "kill it first if it runs")]),
  {
    name: "exec",
    summary: "run another process in a container",
    usage: `${ID} <command> [command options]  || -p process.json ${ID}`,
    least: 1,
    most: Infinity,
    stopsAtFirst: true,
    flags: [
      CONSOLE,
      flag("cwd", "value", "working directory in the container"),
      flag("env,e", "list", "set a variable, NAME=value"),
      flag("tty,t", "switch", "give it a terminal"),
      flag("user,u", "value", "<uid>[:<gid>]"),
      flag("additional-gids,g", "list", "supplementary groups"),
      flag("process,p", "value", "file with the whole process: process.json"),
      flag("detach,d", "switch", "leave it alone"),
      PID_FILE,
      flag("no-new-privs", "switch", "it gains no rights by executing programs"),
      flag("cap,c", "list", "add a capability"),
      PRESERVE,
    ],
  },
  { name: "features", summary: "show what this runtime can do, as JSON", usage: "", least: 0, most: 0, flags: [] },
  {
    name: "kill",
    summary: "send a signal, TERM unless told, to the first process of a container",
    usage: `${ID} [signal]`,
    least: 1,
    most: 2,
    flags: [flag("all,a", "switch", "to all of its processes")],
  },
  {
    name: "list",
    summary: "list containers",
    usage: "",
    least: 0,
    most: 0,
    flags: [flag("format,f", "value", "table or json", "table"), flag("quiet,q", "switch", "ids alone")],
  },
  onOne("pause", "suspend all processes of a container"),
  {
    name: "ps",
    summary: "show the processes of a container",
    usage: `${ID} [ps options]`,
    least: 1,
    most: Infinity,
    stopsAtFirst: true,
    flags: [flag("format,f", "value", "table or json", "table")],
  },
  onOne("resume", "let a container that was paused go on"),
  onOne("run", "create and run a container", [
    ...MAKING,
    flag("detach,d", "switch", "leave it alone when it runs"),
    flag("keep", "switch", "keep its state when it has ended"),
    flag("no-subreaper", "switch", "leave orphans to whoever looks after the caller's, as is always so here"),
  ]),
  {
    name: "spec",
    summary: "write a config.json to begin with",
    usage: "",
    least: 0,
    most: 0,
    flags: [BUNDLE, flag("rootless", "switch", "for a container of a user without root")],
  },
  onOne("start", "start the program of a container that was created"),
  onOne("state", "print the state of a container, as JSON"),
  onOne("update", "change the limits of a container", [
    flag("resources,r", "value", "file with linux.resources, - for standard input"),
    flag("blkio-weight", "value", "weight of its I/O, 10 to 1000"),
    flag("cpu-period", "value", "period of the CPU quota, in microseconds"),
    flag("cpu-quota", "value", "CPU time in a period, in microseconds"),
    flag("cpu-share", "value", "weight of its CPU time"),
    flag("cpuset-cpus", "value", "processors"),
    flag("cpuset-mems", "value", "memory nodes"),
    flag("memory", "value", "limit of memory, in bytes"),
    flag("memory-reservation", "value", "memory to reclaim down to under pressure, in bytes"),
    flag("memory-swap", "value", "limit of memory and swap, in bytes; -1: none"),
    flag("pids-limit", "value", "limit of processes"),
  ]),
];
