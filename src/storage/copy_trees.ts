/**
 * The two halves of a copy, each in a process of its own: one makes an archive of what is at a path, the other one puts an
 * archive where a path leads. Either path is in a container's root or on the host.
 *
 * @module
 */
import { type Fd, tryCall } from "#linux/call.ts";
import { ENOENT, ENOTDIR } from "#linux/errno_values.ts";
import { close, O_NOFOLLOW, O_PATH } from "#linux/file.ts";
import { DugoutError } from "#oci/error.ts";
import { type ByteString, fromText, quote, toText } from "#tar/bytes.ts";
import type { TarEntry } from "#tar/entry.ts";
import { TarError } from "#tar/error.ts";
import { TarOutput } from "#tar/output.ts";
import { TarReader } from "#tar/reader.ts";
import { TreeArchiver } from "./archive_tree.ts";
import { planCopy, showPath, splitCopyPath } from "./copy_rules.ts";
import { endWithParent, readData, ROOT_FD, writeData } from "./data_stream.ts";
import { beneath, ExtractTree } from "./extract_tree.ts";
import { treeError } from "./tree_error.ts";
import { containerRoot, findDestination, HOST_ROOT, openDirectoryAt, openPath, type PathRoot } from "./tree_path.ts";

/** Where a path is: `container` is the root that the worker was given. */
export type CopyPlace = "host" | "container";

/** What is to be archived. */
export interface ArchivePlan {
  readonly place: CopyPlace;
  /** Absolute. A slash at the end follows a link, `/.` too. */
  readonly path: string;
  /** Whether a link at its end is followed. */
  readonly follow: boolean;
  /** What it is called in the archive. */
  readonly name: string;
  readonly owners: "kept" | "root";
  readonly sparse: boolean;
  /** The container's name, for messages. */
  readonly container?: string | undefined;
}

/** Where an archive is to go. */
export interface ExtractPlan {
  readonly place: CopyPlace;
  /** Absolute. */
  readonly path: string;
  /**
   * The source's path, whose last part decides names: the archive's first entry is what is copied, whatever it is called
   * there. Undefined for an archive whose entries are put into the directory at `path` as they are.
   */
  readonly source: string | undefined;
  readonly owners: "kept" | "own";
  readonly isInert: boolean;
  /** The container's name, for messages. */
  readonly container?: string | undefined;
}

/** What was copied. */
export interface CopyResult {
  /** Of the archive, or of the files that came of it. */
  readonly sizeBytes: number;
  readonly warnings: readonly string[];
}

function rootOf(place: CopyPlace): PathRoot {
  return place === "host" ? HOST_ROOT : containerRoot(ROOT_FD);
}

/**
 * Writes an archive of what is at a path to the stream.
 * @throws {DugoutError} PATH_UNKNOWN; {OsError} EPIPE when nobody reads it.
 */
export function archivePath(plan: ArchivePlan): CopyResult {
  endWithParent();
  const path = fromText(plan.path);
  const top = openPath(rootOf(plan.place), path, plan.follow ? O_PATH : O_PATH | O_NOFOLLOW);
  if (top === -ENOENT || top === -ENOTDIR) throw unknownPath(plan, path);
  if (top < 0) throw treeError("open", path, -top);
  try {
    const output = new TarOutput(writeData);
    const archiver = new TreeArchiver(output, {
      owners: plan.owners,
      sparse: plan.sparse,
      crossesMounts: true,
    });
    archiver.add(top as Fd, fromText(plan.name));
    output.finish();
    return { sizeBytes: output.totalBytes, warnings: [...archiver.warnings] };
  } finally {
    close(top as Fd);
  }
}

/**
 * Puts the archive of the stream where a path leads.
 * @throws {DugoutError} PATH_UNKNOWN, COPY_…, READ_ONLY; {TarError} when it is no archive.
 */
export function extractToPath(plan: ExtractPlan): CopyResult {
  endWithParent();
  // in a container the caller's umask has no say (C-061)
  if (plan.place === "container") tryCall("umask", 0);
  const { source } = plan;
  return source === undefined ? extractArchive(plan) : extractCopy(plan, fromText(source));
}

/** Entries are put into a directory as tar would, in a chroot: links of the container's are followed within its root. */
function extractArchive(plan: ExtractPlan): CopyResult {
  const root = rootOf(plan.place);
  const path = fromText(plan.path);
  const found = findDestination(root, path);
  if (found.kind === "missing") throw unknownPath(plan, path);
  if (found.kind !== "directory") {
    throw new DugoutError(
      "COPY_IMPOSSIBLE",
      `Cannot extract to ${showPath(plan.container, path)}: it must be a directory`,
      {
        exitCode: 1,
      },
    );
  }
  using tree = new ExtractTree({ ...plan, root, prefix: `${found.path}/`, rename: (name) => name, place: plan.path });
  const reader = new TarReader(tree);
  readArchive(reader);
  tree.finish();
  return { sizeBytes: tree.sizeBytes, warnings: [...tree.warnings] };
}

/** What was copied gets the name that docker's rules give it, when the first entry has told whether it is a directory. */
function extractCopy(plan: ExtractPlan, source: ByteString): CopyResult {
  let tree: ExtractTree | undefined;
  let dir: Fd | undefined;
  const begin = (first: TarEntry): ExtractTree => {
    const opened = openCopy(plan, source, first.kind === "directory");
    dir = opened.dir;
    const rename = (path: ByteString) => renameTop(path, opened.name);
    return new ExtractTree({ ...plan, root: beneath(opened.dir), prefix: "", rename, place: plan.path });
  };
  try {
    const reader = new TarReader({
      entry: (entry) => (tree ??= begin(entry)).entry(entry),
      data: (bytes, offsetBytes) => tree!.data(bytes, offsetBytes),
      end: () => tree!.end(),
    });
    readArchive(reader);
    tree?.finish();
    return { sizeBytes: tree?.sizeBytes ?? 0, warnings: [...tree?.warnings ?? []] };
  } finally {
    tree?.[Symbol.dispose]();
    if (dir !== undefined) close(dir);
  }
}

function openCopy(plan: ExtractPlan, source: ByteString, isDirectory: boolean): { dir: Fd; name: ByteString } {
  const root = rootOf(plan.place);
  const path = fromText(plan.path);
  const found = findDestination(root, path);
  const { base, isContent } = splitCopyPath(source);
  const chosen = planCopy({ isDirectory, base, isContent }, found, showPath(plan.container, path));
  const destination = splitCopyPath(found.path);
  const [directory, name] = chosen.where === "inside"
    ? [found.path, chosen.name]
    : [destination.parent, destination.base];
  const dir = openDirectoryAt(root, directory);
  if (dir === -ENOENT) throw unknownPath(plan, directory);
  if (dir < 0) throw treeError("open", directory, -dir);
  return { dir: dir as Fd, name };
}

/** Replaces the first part of a path; `.` takes it away. */
function renameTop(path: ByteString, name: ByteString): ByteString {
  const slash = path.indexOf("/");
  const rest = slash < 0 ? "" : path.slice(slash + 1);
  if (name === ".") return rest as ByteString;
  return (rest === "" ? name : `${name}/${rest}`) as ByteString;
}

function readArchive(reader: TarReader): void {
  try {
    readData((bytes) => reader.write(bytes));
    reader.finish();
  } catch (error) {
    if (!(error instanceof TarError)) throw error;
    throw new DugoutError("ARCHIVE_INVALID", `Cannot read the archive: ${error.message}`, {
      exitCode: 1,
      cause: error,
    });
  }
}

function unknownPath({ container }: { container?: string | undefined }, path: ByteString): DugoutError {
  // docker's words
  const message = container !== undefined
    ? `Could not find the file ${toText(path) ?? quote(path)} in container ${container}`
    : `Cannot find ${quote(path)}: no such file or directory`;
  return new DugoutError("PATH_UNKNOWN", message, { exitCode: 1 });
}
