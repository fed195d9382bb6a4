/**
 * Which descriptors a container gets as 0, 1 and 2: the caller's own where those give no more than they say, else a
 * pipe with a copier behind it.
 *
 * @module
 */
import { type IdMap, outsideId } from "#linux/idmap.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { AT_FDCWD, close, makePipe, O_RDWR, openAt, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from "#linux/file.ts";
import { type FileStat, statName } from "#linux/stat.ts";
import { isTerminal } from "#linux/terminal.ts";
import { FIRST_RELAY_FD, type Relay } from "#runtime/setup.ts";

/** Where the streams of a container come from: descriptors of ours; undefined is nothing, /dev/null. */
export interface StreamSources {
  readonly stdin: Fd | undefined;
  readonly stdout: Fd | undefined;
  readonly stderr: Fd | undefined;
}

/** The descriptors that are handed to the player, and its copiers. */
export interface StdioFds {
  readonly stdio: [Fd, Fd, Fd];
  readonly relays: readonly Relay[];
  readonly relayFds: readonly { child: number; ours: Fd }[];
  /** Whether a terminal of the caller's is behind one of them. */
  readonly hasTerminal: boolean;
  /** Closes what was opened here, once; the caller's own stay. */
  close(): void;
}

/**
 * Opens what a container gets.
 * @param user The program's user, by its id inside. If that is not the caller outside, they must be able to open
 * `/dev/stdout` again (C-076).
 */
export function openStdio(
  sources: StreamSources,
  { map, uid }: { readonly map: Pick<IdMap, "uid">; readonly uid: number },
): StdioFds {
  const isCaller = outsideId(map.uid, uid) === process.geteuid!();
  const opened: Fd[] = [];
  const relays: Relay[] = [];
  const relayFds: { child: number; ours: Fd }[] = [];
  let hasTerminal = false;
  let next = FIRST_RELAY_FD;

  const keep = (fd: Fd): Fd => {
    opened.push(fd);
    return fd;
  };
  const number = (ours: Fd): number => {
    relayFds.push({ child: next, ours });
    return next++;
  };
  const openAgain = (source: Fd | undefined, output: boolean): Fd => {
    const stat = source === undefined ? undefined : statOpen(source);
    if (source === undefined || stat === undefined) return keep(openAt(AT_FDCWD, "/dev/null", O_RDWR));
    const terminal = isTerminal(source);
    hasTerminal ||= terminal;
    const foreign = isType(stat, S_IFIFO) && stat.uid !== process.geteuid!();
    if (terminal || foreign || isType(stat, S_IFREG) || isType(stat, S_IFSOCK)) {
      // a file or a terminal could be opened again by the container with more rights than this descriptor has: who writes
      // to a terminal could read what is typed there, or type; a socket, or a pipe of somebody else's
      // (sudo -u), could not be opened again at all (C-076)
      const pipe = makePipe();
      openToAll(pipe.write);
      keep(pipe.read);
      keep(pipe.write);
      const [from, to] = output ? [number(pipe.read), number(source)] : [number(source), number(pipe.write)];
      relays.push({ from, to, output });
      return output ? pipe.write : pipe.read;
    }
    if (!isCaller && isType(stat, S_IFIFO)) openToAll(source);
    return source;
  };

  const stdin = openAgain(sources.stdin, false);
  const stdout = openAgain(sources.stdout, true);
  const stderr = sameFile(sources.stdout, sources.stderr) ? stdout : openAgain(sources.stderr, true);
  return {
    stdio: [stdin, stdout, stderr],
    relays,
    relayFds,
    hasTerminal,
    close: () => opened.splice(0).forEach(close),
  };
}

/** Whether two descriptors are one file, so that their order is kept by one copier. */
function sameFile(a: Fd | undefined, b: Fd | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  const [one, other] = [statOpen(a), statOpen(b)];
  return one !== undefined && other !== undefined && !isType(one, S_IFIFO) && one.key === other.key;
}

/** What is open there; undefined where the caller has closed it. Node's fstat under Deno knows only what Deno has opened. */
function statOpen(fd: Fd): FileStat | undefined {
  const stat = statName(fd, "");
  return typeof stat === "number" ? undefined : stat;
}

function isType(stat: FileStat, type: number): boolean {
  return (stat.mode & S_IFMT) === type;
}

/** fchmod of a pipe: it is ours, and lives as long as its ends. */
export function openToAll(fd: Fd): void {
  tryCall("fchmod", fd, 0o666);
}
