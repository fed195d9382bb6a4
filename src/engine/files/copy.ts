/**
 * `cp`: an archive goes from one process to the other. Each of them has the rights of its side and no more: one is a worker
 * with the container's ids, the other one runs as the user beside us.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { close, makePipe } from "#linux/file.ts";
import { type IdMap, isSingle } from "#linux/idmap.ts";
import type { CopyResult } from "#storage/copy_trees.ts";
import { splitCopyPath } from "#storage/copy_rules.ts";
import { fromText, toText } from "#tar/bytes.ts";
import { viewMap, withContainerView } from "./container_view.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, noteEvent } from "../events/events.ts";
import { runInWorker } from "../worker.ts";

/** One end of a copy that is not in a container: a path of this machine, absolute, or a stream of tar. */
export type OutsideEnd = { readonly kind: "path"; readonly path: string } | {
  readonly kind: "stream";
  readonly fd: Fd;
};

/** How it is copied. */
export interface CopyOptions {
  /** `-a`: owners are kept. */
  readonly keepsOwners: boolean;
  /** `-L`: a link at the end of the source is followed. */
  readonly follow: boolean;
}

/** What the archive calls what is copied, where its reader gives it the name. */
const ANY_NAME = "x";

/**
 * Copies out of a container.
 * @param path Absolute in the container; a slash, or `/.`, at its end has docker's meaning.
 * @throws {DugoutError} PATH_UNKNOWN, COPY_…; {OsError} EPIPE where nobody reads the stream.
 */
export async function copyOut(
  engine: Engine,
  record: ContainerRecord,
  path: string,
  target: OutsideEnd,
  options: CopyOptions,
): Promise<CopyResult> {
  const isStream = target.kind === "stream";
  const archive = (data: Fd) =>
    withContainerView(engine, record, "read", ({ map, view }) =>
      runInWorker(map, {
        kind: "archive",
        place: "container",
        path,
        follow: options.follow,
        name: isStream ? streamName(path) : ANY_NAME,
        owners: isStream || options.keepsOwners ? "kept" : "root",
        sparse: !isStream,
        container: record.name,
      }, { data, view, inNamespace: true }));
  noteEvent(engine, containerEvent(record, "archive-path"));
  if (isStream) return await archive(target.fd);
  const ids = viewMap(record);
  // a user may give files away only within the own ids: what -a means here
  const givesAway = options.keepsOwners && !isSingle(ids);
  return await pipeBetween(archive, (data) =>
    runInWorker(givesAway ? ids : OWN_IDS, {
      kind: "extract",
      place: "host",
      path: target.path,
      source: path,
      owners: givesAway ? "kept" : "own",
      isInert: true,
    }, { data, inNamespace: givesAway }));
}

/** Copies into a container. @throws As {@linkcode copyOut}. */
export async function copyIn(
  engine: Engine,
  record: ContainerRecord,
  source: OutsideEnd,
  path: string,
  options: CopyOptions,
): Promise<CopyResult> {
  const extract = (data: Fd) =>
    withContainerView(engine, record, "write", ({ map, view }) =>
      runInWorker(map, {
        kind: "extract",
        place: "container",
        path,
        ...(source.kind === "path" ? { source: source.path } : {}),
        owners: isSingle(map) ? "own" : "kept",
        isInert: isSingle(map),
        container: record.name,
      }, { data, view, inNamespace: true }));
  noteEvent(engine, containerEvent(record, "extract-to-dir"));
  if (source.kind === "stream") return await extract(source.fd);
  const archive = (data: Fd) =>
    runInWorker(OWN_IDS, {
      kind: "archive",
      place: "host",
      path: source.path,
      follow: options.follow,
      name: ANY_NAME,
      owners: options.keepsOwners ? "kept" : "root",
      sparse: true,
    }, { data, inNamespace: false });
  return await pipeBetween(archive, extract);
}

/** A worker of the user's own id, which is none of a namespace. */
const OWN_IDS: IdMap = {
  uid: [{ inside: 0, outside: 0, count: 1 }],
  gid: [{ inside: 0, outside: 0, count: 1 }],
};

/** Runs both halves of a copy at once. Of two errors the one is thrown that was there first: the other half only ended early. */
async function pipeBetween<T>(
  produce: (data: Fd) => Promise<unknown>,
  consume: (data: Fd) => Promise<T>,
): Promise<T> {
  const pipe = makePipe();
  const [produced, consumed] = await Promise.allSettled([
    produce(pipe.write).finally(() => close(pipe.write)),
    consume(pipe.read).finally(() => close(pipe.read)),
  ]);
  const hasReader = !(produced.status === "rejected" && (produced.reason as { code?: string }).code === "EPIPE");
  if (produced.status === "rejected" && hasReader) throw produced.reason;
  if (consumed.status === "rejected") throw consumed.reason;
  return consumed.value;
}

/** The name that docker gives to what is copied to a stream. */
function streamName(path: string): string {
  const { base, isContent } = splitCopyPath(fromText(path));
  if (/^\/+$/.test(path)) return "/";
  return isContent ? "." : toText(base) ?? base;
}
