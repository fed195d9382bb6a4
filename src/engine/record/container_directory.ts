/**
 * A container's place on disk: its record, the directories of its root file system, its name.
 *
 *     containers/<id>/config.json           the record, written whole
 *     containers/<id>/spec.json             what another process of it is started with (spec_file.ts)
 *     containers/<id>/upper, work, merged   of its root file system
 *     containers/.gone.<id>.…               what is just being removed of one
 *     containers/names/<name>               a link that says the id, and who took it: made at once and exclusively, so that
 *                                           names are unique among processes, and whole whenever one is killed
 *     RUN/containers/<id>/                  state and exit record; gone with the machine's next boot
 *     RUN/containers/<id>/store             a link to containers/<id>: stores may share a runtime directory
 *
 * @module
 */
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Fd } from "#linux/call.ts";
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  close,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from "#linux/file.ts";
import { machineName } from "#linux/machine.ts";
import { randomHex } from "#linux/random.ts";
import { openName, openResolved, removeName, setModeOfName } from "#linux/tree.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { errorCode } from "#storage/private_dir.ts";
import { removePath } from "#storage/remove_tree.ts";
import { fromText } from "#tar/bytes.ts";
import { type ContainerId, makeContainerName } from "./container_id.ts";
import { readBootId, readStartTime } from "#linux/proc.ts";

/** Where a container's things are: absolute paths. */
export interface ContainerDirectory {
  readonly id: ContainerId;
  readonly path: string;
  readonly upper: string;
  readonly work: string;
  readonly merged: string;
  /** In the runtime directory. */
  readonly state: string;
}

/** Names the places of a container; nothing is made. */
export function containerDirectory(dataRoot: string, runRoot: string, id: ContainerId): ContainerDirectory {
  const path = join(dataRoot, "containers", id);
  return {
    id,
    path,
    upper: join(path, "upper"),
    work: join(path, "work"),
    merged: join(path, "merged"),
    state: join(runRoot, "containers", id),
  };
}

/**
 * Makes a container's directories.
 * @param rootMode The mode of the image's root directory, which the upper one shows as the container's `/`.
 */
export function makeContainerDirectory(directory: ContainerDirectory, rootMode: number): void {
  fs.mkdirSync(directory.path, { recursive: true, mode: 0o700 });
  makeStateDirectory(directory);
  for (const path of [directory.upper, directory.work, directory.merged]) fs.mkdirSync(path, { mode: 0o700 });
  // not by mkdir: the caller's umask has no say in it (C-061)
  fs.chmodSync(directory.upper, rootMode);
}

/** Makes a container's directory in the runtime directory, where it is not there (any more). */
export function makeStateDirectory({ path, state }: ContainerDirectory): void {
  fs.mkdirSync(state, { recursive: true, mode: 0o700 });
  try {
    fs.symlinkSync(path, join(state, "store"));
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  }
}

/** Whether the things of a container in the runtime directory are of one whose place is, or was, `path`. */
export function isStateOf(state: string, path: string): boolean {
  try {
    return fs.readlinkSync(join(state, "store")) === path;
  } catch {
    return false;
  }
}

/** Writes a file that the container gets to see. */
export function writeContainerFile(path: string, text: string): void {
  fs.writeFileSync(path, text);
  // not by open: the caller's umask has no say in it (C-061)
  fs.chmodSync(path, 0o644);
}

/** Writes the container's record: beside, then renamed. */
export function writeRecord(directory: ContainerDirectory, record: unknown): void {
  const file = join(directory.path, "config.json");
  fs.writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
}

/**
 * Changes some fields of a container's record; the others stay as they are, also those that this program does not know.
 * @throws ENOENT when the container is gone.
 */
export function updateRecord(directory: ContainerDirectory, changes: Readonly<Record<string, unknown>>): void {
  const text = fs.readFileSync(join(directory.path, "config.json"), "utf8");
  writeRecord(directory, { ...JSON.parse(text) as Record<string, unknown>, ...changes });
}

/**
 * Takes a name for a container, the given one or a made-up one.
 * @throws {DugoutError} NAME_IN_USE, with Docker's exit code 125.
 */
export function takeName(dataRoot: string, id: ContainerId, wanted: string | undefined): string {
  const names = join(dataRoot, "containers", "names");
  fs.mkdirSync(names, { recursive: true, mode: 0o700 });
  for (let attempt = 0;; attempt++) {
    const name = wanted ?? (attempt < 20 ? makeContainerName() : `${makeContainerName()}_${id.slice(0, 6)}`);
    try {
      fs.symlinkSync(nameText(id, process.pid), join(names, name));
      return name;
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
      if (reclaimName(dataRoot, names, name)) continue;
      if (wanted === undefined) continue;
      const { id: owner } = readName(join(names, name));
      throw new DugoutError(
        "NAME_IN_USE",
        `Cannot name the container ${quote(name)}: container ${owner.slice(0, 12)} has that name`,
        {
          hint: "choose another name, or remove that container first",
        },
      );
    }
  }
}

/** What the link of a name says. */
export function nameText(id: ContainerId, pid: number): string {
  return `${id} ${pid} ${machineName()}`;
}

/** The file of a name is empty, and a container without a record, for no longer than this. */
const WRITING_MS = 1000;
const MAKING_MS = 60_000;

/** Frees a name whose container is not there: its process was killed between the two. */
function reclaimName(dataRoot: string, names: string, name: string): boolean {
  const file = join(names, name);
  try {
    const { id, pid, machine } = readName(file);
    if (fs.existsSync(join(dataRoot, "containers", id, "config.json"))) return false;
    // a container that is just being made has its name first; of another machine's, only age tells
    const isOurs = pid !== undefined && machine === machineName();
    const isBeingMade = isOurs
      ? readStartTime(pid) !== undefined
      : Date.now() - fs.lstatSync(file).mtimeMs < (id === "" ? WRITING_MS : MAKING_MS);
    if (isBeingMade) return false;
    // out of the way first: another process may do the same, and have taken the name already
    const aside = join(names, `.${name}.${randomHex(6)}`);
    fs.renameSync(file, aside);
    if (readName(aside).id !== id) fs.linkSync(aside, file);
    fs.unlinkSync(aside);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return true;
    throw error;
  }
}

/** Gives a name back, if it is still the container's. */
export function releaseName(dataRoot: string, name: string, id: string): void {
  const file = join(dataRoot, "containers", "names", name);
  try {
    if (readName(file).id === id) fs.unlinkSync(file);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}

export function readNameText(file: string): string {
  try {
    return fs.readlinkSync(file);
  } catch (error) {
    if (errorCode(error) !== "EINVAL") throw error;
    // older versions wrote a file
    return fs.readFileSync(file, "utf8");
  }
}

/** Whose a name is, and which process of which machine took it. */
export function readName(file: string): { id: string; pid: number | undefined; machine: string | undefined } {
  const [id = "", pid, machine] = readNameText(file).split(/ +/);
  return { id, pid: pid === undefined ? undefined : Number(pid), machine };
}

/** Where a container's directory is while this process removes it: out of sight at once, whatever happens then. */
export function gonePath(directory: ContainerDirectory): string {
  const owner = `${readBootId().slice(0, 8)}.${process.pid}-${readStartTime(process.pid) ?? ""}`;
  return join(directory.path, "..", `.gone.${directory.id}.${owner}`);
}

/** Who removes what has such a name: the beginning of the boot id, the process and its start time. */
export function readGoneName(
  path: string,
): { bootId: string; ownerPid: number; ownerStartTime: string } | undefined {
  const match = /\.gone\.[0-9a-f]{64}\.([0-9a-f]{8})\.([0-9]+)-([0-9]+)$/.exec(path);
  return match === null ? undefined : { bootId: match[1]!, ownerPid: Number(match[2]), ownerStartTime: match[3]! };
}

/**
 * Removes a container's directories, as far as a plain user can.
 * @param gone {@linkcode gonePath}.
 * @returns `removed`; `left`, where files of subordinate ids are left at `gone`, which a worker in the user namespace has to
 * remove; `was gone`, where somebody else has begun to remove it.
 */
export function removeContainerDirectory(
  directory: ContainerDirectory,
  gone: string,
): "removed" | "left" | "was gone" {
  try {
    fs.renameSync(directory.path, gone);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    return "was gone";
  }
  try {
    removeUsual(directory.state, USUAL_STATE);
    removePath(directory.state);
    removeUsual(gone, USUAL);
    removePath(gone);
    return "removed";
  } catch (error) {
    const code = errorCode(error);
    if (code === "EACCES" || code === "EPERM") return "left";
    throw error;
  }
}

/** Removes what is usual in a container's directory below the runtime directory. */
export function removeStateDirectory(runRoot: string, id: string): void {
  const state = join(runRoot, "containers", id);
  removeUsual(state, USUAL_STATE);
  removePath(state);
}

/** What is in a directory that was made by us or by overlayfs, in the order in which it can be removed. */
interface UsualThings {
  /** Beneath the container's own directory. */
  readonly directory: string;
  readonly files: readonly string[];
  /** Directories that overlayfs makes with mode 0, outermost first. */
  readonly closed: readonly string[];
  readonly directories: readonly string[];
}

/** What is made in /etc of an image that has no such files, so that they can be mounted over. */
export const FILES_MADE_FOR_MOUNTS: readonly string[] = ["hosts", "hostname", "resolv.conf"];

const USUAL_STATE: readonly UsualThings[] = [
  { directory: "", files: ["state.json", "exit", "store"], closed: [], directories: [] },
];
const USUAL: readonly UsualThings[] = [
  {
    directory: "/work",
    files: ["work/incompat/volatile/dirty"],
    closed: ["work", "work/incompat", "work/incompat/volatile"],
    directories: ["work/incompat/volatile", "work/incompat", "work"],
  },
  // where images have no such files, they were made for the mounts
  { directory: "/upper/etc", files: FILES_MADE_FOR_MOUNTS, closed: [], directories: [] },
  { directory: "/upper", files: [], closed: [], directories: ["etc"] },
  {
    directory: "",
    files: ["config.json", "spec.json", "hosts", "hostname", "resolv.conf"],
    closed: [],
    directories: ["work", "merged", "upper"],
  },
];

const STRICT = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;

/**
 * Removes the usual things with one call each and no look at what there is: that takes a third of the time, and mostly
 * nothing is left for {@linkcode removePath}. As there, no link is followed and no mount crossed, and a directory goes only
 * when it is empty.
 */
function removeUsual(path: string, usual: readonly UsualThings[]): void {
  const folder = openName(AT_FDCWD, fromText(dirname(path)), O_PATH | O_DIRECTORY);
  if (folder < 0) return;
  for (const { directory, files, closed, directories } of usual) {
    const dir = openResolved(folder as Fd, basename(path) + directory, O_PATH | O_DIRECTORY | O_NOFOLLOW, STRICT);
    if (dir < 0) continue;
    for (const name of closed) setModeOfName(dir as Fd, name, 0o700);
    for (const name of files) removeName(dir as Fd, name);
    for (const name of directories) removeName(dir as Fd, name, AT_REMOVEDIR);
    close(dir as Fd);
  }
  close(folder as Fd);
}
