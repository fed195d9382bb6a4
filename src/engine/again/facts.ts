/**
 * Facts: what a plan was made from, as questions to the kernel and the answers that it gave. A tape asks them again before
 * it does anything, and stops where an answer is another one; so nobody has to look at them in JavaScript.
 *
 * @module
 */
import { addressOf, allocate, cString } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { AT_FDCWD, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW, close, O_CLOEXEC, O_RDONLY } from "#linux/file.ts";
import { STATX } from "#linux/stat.ts";
import { STATFS } from "#linux/statfs.ts";
import { ESTALE } from "#linux/errno_values.ts";
import { compute, mark, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";

/** A part of what a call fills its memory with. */
interface Range {
  readonly offset: number;
  readonly length: number;
}

/** A question: one call that reads, and which parts of its answer count. */
export interface Question {
  readonly call: string;
  /** `ANSWER` stands for the memory that the call fills, FILE for a descriptor of `file`. */
  readonly args: readonly (number | string | typeof ANSWER | typeof FILE)[];
  /** A file that is opened for it; one that is not there is an answer too. */
  readonly file?: string;
  readonly ranges: readonly Range[];
}

/** A question that was answered. */
export interface Fact {
  readonly question: Question;
  /** The call's result, or minus errno. */
  readonly result: number;
  /** The memory that it filled. */
  readonly answer: Uint8Array;
}

const ANSWER = Symbol("answer");
const FILE = Symbol("file");
/** `struct utsname` (uname(2)): six texts of 65 bytes. */
const UTSNAME_BYTES = 6 * 65;
/** As much as any answer takes. */
const ANSWER_BYTES = 4096;

const STATX_BASIC_STATS_AND_BIRTH = 0xfff;

/** What a file, or the list of names in a directory, is: any change of it changes these. The time of the last look does not count. */
const CONTENT: readonly Range[] = [
  { offset: STATX.links, length: STATX.blocks + 8 - STATX.links },
  { offset: STATX.btimeSeconds, length: STATX.mountId - STATX.btimeSeconds },
];
/** Which directory it is, whose, and who may enter it; what is in it may change. */
const PLACE: readonly Range[] = [
  { offset: STATX.uid, length: STATX.mode + 2 - STATX.uid },
  { offset: STATX.inode, length: 8 },
  { offset: STATX.fileSystemMajor, length: 8 },
];
const FILE_SYSTEM: readonly Range[] = [{ offset: STATX.fileSystemMajor, length: 8 }];

function askStat(path: string, ranges: readonly Range[], flags: number): Question {
  return {
    call: "statx",
    args: [AT_FDCWD, path, AT_NO_AUTOMOUNT | flags, STATX_BASIC_STATS_AND_BIRTH, ANSWER],
    ranges,
  };
}

/** Whether a file is the same, with the same content. */
export function askContent(path: string): Question {
  return askStat(path, CONTENT, 0);
}

/** Whether a directory, or the link in its place, is the same. */
export function askPlace(path: string): Question {
  return askStat(path, PLACE, AT_SYMLINK_NOFOLLOW);
}

/** Whether the same file system is there. */
export function askFileSystem(path: string): Question {
  return askStat(path, FILE_SYSTEM, 0);
}

/** Whether a namespace of this process's is the same; the link names it. */
export function askNamespace(kind: string): Question {
  return {
    call: "readlinkat",
    args: [AT_FDCWD, `/proc/self/ns/${kind}`, ANSWER, 64],
    ranges: [{ offset: 0, length: 64 }],
  };
}

/** Whether there is such a path. */
export function askExistence(path: string): Question {
  return { call: "faccessat", args: [AT_FDCWD, path, 0], ranges: [] };
}

/** What a small file says. */
export function askText(path: string): Question {
  return { call: "read", args: [FILE, ANSWER, 256], file: path, ranges: [{ offset: 0, length: 256 }] };
}

/** Who the caller is, and what this machine and its kernel call themselves. */
export function askIdentity(): Question[] {
  return [
    ...["getuid", "geteuid", "getgid", "getegid"].map((call) => ({ call, args: [], ranges: [] })),
    { call: "getgroups", args: [ANSWER_BYTES / 4, ANSWER], ranges: [{ offset: 0, length: ANSWER_BYTES }] },
    { call: "uname", args: [ANSWER], ranges: [{ offset: 0, length: UTSNAME_BYTES }] },
  ];
}

/** With which flags the file system of a path is mounted. */
export function askMountFlags(path: string): Question {
  return {
    call: "statfs",
    args: [path, ANSWER],
    ranges: [{ offset: STATFS.type, length: 8 }, { offset: STATFS.flags, length: 8 }],
  };
}

/** Asks. A file that cannot be opened is answered with minus errno. */
export function learn(question: Question): Fact {
  const answer = allocate(ANSWER_BYTES);
  const texts: Uint8Array[] = [];
  const file = question.file === undefined ? undefined : tryOpen(question.file);
  if (file !== undefined && file < 0) return { question, result: file, answer };
  const words = question.args.map((arg) => {
    if (arg === ANSWER) return addressOf(answer);
    if (arg === FILE) return file!;
    if (typeof arg === "number") return arg;
    const text = cString(arg);
    texts.push(text);
    return addressOf(text);
  });
  const result = tryCall(question.call, ...words);
  if (file !== undefined) close(file as Fd);
  return { question, result, answer };
}

function tryOpen(path: string): number {
  const name = cString(path);
  return tryCall("openat", AT_FDCWD, addressOf(name), O_RDONLY | O_CLOEXEC, 0);
}

/** When what a fact tells of was changed last, in milliseconds since 1970; 0 where it does not tell. */
export function changedMs({ question, result, answer }: Fact): number {
  if (question.call !== "statx" || question.ranges !== CONTENT || result < 0) return 0;
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  return Number(view.getBigInt64(STATX.ctimeSeconds, true)) * 1000 +
    view.getUint32(STATX.ctimeNanoseconds, true) / 1e6;
}

/** The buffer that {@linkcode factSteps} need. */
export const ANSWER_BUFFER: readonly [string, TapeBuffer] = ["answer", { sizeBytes: ANSWER_BYTES }];

/** Steps that ask again. A tape whose facts are none any more fails, with ESTALE or the error of a question. */
export function factSteps(facts: readonly Fact[]): Step[] {
  const steps = facts.flatMap((fact, index) => askAgain(fact, `fact ${index}`));
  return [
    ...steps,
    operate("nop", [], "all is as it was", { jump: { when: "always", to: "facts hold" } }),
    mark("not as it was", "something has changed"),
    operate("fail", [ESTALE], "go on by what was remembered"),
    mark("facts hold", "facts hold"),
  ];
}

function askAgain({ question, result, answer }: Fact, id: string): Step[] {
  const { call, args, file, ranges } = question;
  const stale = { jump: { when: "zero", to: "not as it was" } } as const;
  const isResult = (of: string): Step => compute("eq", { result: of }, result, "is it so still", stale);
  const open = `${id} file`;
  const steps: Step[] = [];
  if (file !== undefined) {
    const opened = step("openat", [AT_FDCWD, file, O_RDONLY | O_CLOEXEC, 0], "open", file, { id: open, ignore: true });
    if (result < 0) return [opened, isResult(open)];
    steps.push(opened);
  }
  const words = args.map((arg) => arg === ANSWER ? { buffer: "answer" } : arg === FILE ? { result: open } : arg);
  const object = file ?? args.find((arg) => typeof arg === "string");
  steps.push(step(call, words, "look at", object, { id, ignore: true }), isResult(id));
  if (file !== undefined) steps.push(step("close", [{ result: open }], "close", file, { ignore: true }));
  if (result < 0) return steps;
  // what a call did not write is of the question before
  const filled = call === "readlinkat" || call === "read" ? result : call === "getgroups" ? result * 4 : ANSWER_BYTES;
  for (const { offset, length } of ranges) {
    const size = Math.min(length, filled - offset);
    if (size <= 0) continue;
    const expected = answer.slice(offset, offset + size);
    steps.push(operate("same", [{ buffer: "answer", offset }, expected, size], "is it the same", stale));
  }
  return steps;
}
