/**
 * Signals by name and number (signal(7)). Both architectures number them alike, as asm-generic/signal.h does.
 *
 * @module
 */

/** Names of signals 1 to 31, in order. */
const NAMES = [
  "HUP",
  "INT",
  "QUIT",
  "ILL",
  "TRAP",
  "ABRT",
  "BUS",
  "FPE",
  "KILL",
  "USR1",
  "SEGV",
  "USR2",
  "PIPE",
  "ALRM",
  "TERM",
  "STKFLT",
  "CHLD",
  "CONT",
  "STOP",
  "TSTP",
  "TTIN",
  "TTOU",
  "URG",
  "XCPU",
  "XFSZ",
  "VTALRM",
  "PROF",
  "WINCH",
  "IO",
  "PWR",
  "SYS",
] as const;

/** Other names that people use. */
const ALIASES: ReadonlyMap<string, number> = new Map([
  ["IOT", 6],
  ["CLD", 17],
  ["POLL", 29],
  ["UNUSED", 31],
]);

/** The first real-time signal that a C library leaves to programs: glibc and musl keep 32 and 33 (musl 34 too). */
export const SIGRTMIN = 34;
/** The last signal there is. */
export const SIGRTMAX = 64;

// rt_sigprocmask(2)
export const SIG_BLOCK = 0;
export const SIG_SETMASK = 2;

/** Signals by their usual names, for code of ours: `SIGNALS.TERM`. */
export const SIGNALS: Readonly<Record<typeof NAMES[number], number>> = Object.freeze(
  Object.fromEntries(NAMES.map((name, index) => [name, index + 1])) as Record<typeof NAMES[number], number>,
);

/**
 * The number of a signal as users write it: `SIGTERM`, `term`, `15`, `RTMIN+3`, `SIGRTMAX-1`.
 * @returns 1 to 64, or `undefined` when there is no such signal. Zero is none: it only asks whether a process is there.
 */
export function parseSignal(text: string): number | undefined {
  if (text.length > 32) return undefined;
  if (/^[0-9]+$/.test(text)) {
    const number = Number(text);
    return number >= 1 && number <= SIGRTMAX ? number : undefined;
  }
  const upper = text.toUpperCase();
  const bare = upper.startsWith("SIG") ? upper.slice(3) : upper;
  const index = (NAMES as readonly string[]).indexOf(bare);
  if (index !== -1) return index + 1;
  return ALIASES.get(bare) ?? parseRealTime(bare);
}

function parseRealTime(bare: string): number | undefined {
  const match = /^RT(MIN|MAX)(?:([+-])([0-9]{1,2}))?$/.exec(bare);
  if (match === null) return undefined;
  const [, end, sign, digits] = match;
  if (sign !== undefined && sign !== (end === "MIN" ? "+" : "-")) return undefined;
  const distance = digits === undefined ? 0 : Number(digits);
  const number = end === "MIN" ? SIGRTMIN + distance : SIGRTMAX - distance;
  return number >= SIGRTMIN && number <= SIGRTMAX ? number : undefined;
}

/**
 * A signal's name with its prefix: 15 is `SIGTERM`, 36 is `SIGRTMIN+2`; 32 and 33, which have none, are `SIG32`, `SIG33`.
 * @throws {RangeError} When there is no such signal.
 */
export function signalName(number: number): string {
  if (!Number.isInteger(number) || number < 1 || number > SIGRTMAX) {
    throw new RangeError(`No signal has the number ${number}`);
  }
  const name = NAMES[number - 1];
  if (name !== undefined) return `SIG${name}`;
  if (number < SIGRTMIN) return `SIG${number}`;
  if (number === SIGRTMAX) return "SIGRTMAX";
  return number === SIGRTMIN ? "SIGRTMIN" : `SIGRTMIN+${number - SIGRTMIN}`;
}
