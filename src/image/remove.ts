/**
 * `rmi`: takes names away from images, and images away when their last name is gone. Docker's rules.
 *
 * @module
 */
import type { Digest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { familiarReference, parseReference, repositoryName } from "#oci/reference.ts";
import { quote } from "#oci/text.ts";
import { type ContentStore, deleteBlob } from "#storage/content.ts";
import { withStoreLock } from "#storage/lease.ts";
import { type ImageName, keepUnnamed, listNames, nameFile, refreshIndex, removeNameFiles } from "#storage/names.ts";
import { walkTarget } from "./closure.ts";
import { findNeeded, type LayerShelf } from "./collect.ts";
import { findTarget, unknownImage } from "./find.ts";
import { shortId } from "./list.ts";

/** A container of an image. */
export type ImageUser = { readonly id: string; readonly isRunning: boolean };

export type RemoveOptions = {
  nowMs: number;
  /** `-f`: also names that containers were made from, and images with names in several repositories. */
  force?: boolean;
  /** The containers of an image. */
  usersOf: (imageId: Digest) => readonly ImageUser[];
  shelf: LayerShelf;
};

/** What was done, in order, for `Untagged: …` and `Deleted: …` (Docker's API has the same two fields). */
export type RemoveRecord = { readonly untagged: string } | { readonly deleted: Digest };

export type RemoveResult = { readonly records: readonly RemoveRecord[]; readonly freedBytes: number };

/**
 * Removes a name, or by an id an image with all its names. Blobs and layers that another image has stay; so does what a
 * living pull holds. Works on a full disk (C-051), on images that are damaged (C-047), and beside other removals (C-050).
 * @throws {DugoutError} IMAGE_UNKNOWN; IMAGE_IN_USE when a container or several names stand against it.
 */
export async function removeImage(store: ContentStore, text: string, options: RemoveOptions): Promise<RemoveResult> {
  const { records, cleanups, freedBytes } = await withStoreLock(store, () => {
    const plan = planRemoval(store, text, options);
    removeNameFiles(store, plan.fileNames);
    if (plan.keep !== undefined) keepUnnamed(store, plan.keep);
    const records: RemoveRecord[] = plan.untagged.map((name) => ({ untagged: name }));
    if (plan.keep !== undefined || plan.dropped.length === 0) {
      refreshIndex(store);
      return { records, cleanups: [], freedBytes: 0 };
    }
    const dropped = dropContent(store, plan.dropped, options);
    // last, since on a full disk there is room only now
    refreshIndex(store);
    return { records: [...records, ...dropped.records], cleanups: dropped.cleanups, freedBytes: dropped.freedBytes };
  });
  let total = freedBytes;
  for (const cleanup of cleanups) total += await cleanup();
  return { records, freedBytes: total };
}

type RemovalPlan = {
  fileNames: string[];
  /** As Docker shows them. */
  untagged: string[];
  /** The content that loses its last name. */
  dropped: readonly DroppedContent[];
  /** The image stays, without a name, since a container has it. */
  keep?: ImageName;
};

type DroppedContent = { ids: readonly Digest[]; blobs: ReadonlySet<Digest>; diffIds: readonly Digest[] };

function planRemoval(store: ContentStore, text: string, options: RemoveOptions): RemovalPlan {
  const broken = planBroken(store, text);
  if (broken !== undefined) return broken;
  const found = findTarget(store, text);
  if (found === undefined) throw unknownImage(text);
  const { names } = listNames(store);
  const targets = new Set(found.targets.map((target) => target.digest));
  const same = names.filter((name) => targets.has(name.target.digest));
  const closures = found.targets.map((target) => walkTarget(store, target));
  const images = closures.flatMap((closure) => closure.images);
  const ids = [...new Set(images.map((image) => image.id))];
  const users = ids.flatMap((id) => options.usersOf(id));
  const layouts = same.flatMap((name) => name.layout === undefined ? [] : [name.layout.digest]);
  const dropped: DroppedContent = {
    ids,
    blobs: new Set([...closures.flatMap((closure) => [...closure.blobs]), ...layouts]),
    diffIds: images.flatMap((image) => image.config.diffIds),
  };
  return found.reference === undefined
    ? planById(text, found.id, same, users, dropped, options)
    : planByName(found.reference, same, users, dropped, options);
}

/** A name whose file cannot be read goes without a question: nothing can be known about its image. */
function planBroken(store: ContentStore, text: string): RemovalPlan | undefined {
  const { broken } = listNames(store);
  if (broken.length === 0) return undefined;
  let wanted = text;
  try {
    wanted = nameFile(referenceInFull(text));
  } catch { /* no name; perhaps a file's */ }
  const file = broken.find(({ fileName }) => fileName === wanted || fileName === text);
  return file === undefined ? undefined : { fileNames: [file.fileName], untagged: [text], dropped: [] };
}

function referenceInFull(text: string): string {
  const { domain, path, tag, digest } = parseReference(text);
  return `${domain}/${path}${digest === undefined ? `:${tag}` : `@${digest}`}`;
}

function planByName(
  reference: string,
  same: readonly ImageName[],
  users: readonly ImageUser[],
  dropped: DroppedContent,
  options: RemoveOptions,
): RemovalPlan {
  const parsed = parseReference(reference);
  const repository = repositoryName(parsed);
  const removed = same.filter((name) => name.reference === reference);
  const rest = same.filter((name) => name.reference !== undefined && name.reference !== reference);
  // the digests of a repository go with its last tag
  const isDigestOfRepository = (name: ImageName) => name.reference!.startsWith(`${repository}@`);
  if (!rest.some((name) => name.reference!.startsWith(`${repository}:`))) {
    removed.push(...rest.filter(isDigestOfRepository));
  }
  const others = rest.filter((name) => !removed.includes(name));
  const plan: RemovalPlan = {
    fileNames: removed.map((name) => name.fileName),
    untagged: removed.map((name) => showName(name.reference!)),
    dropped: others.length === 0 ? [dropped] : [],
  };
  if (others.length > 0 || users.length === 0) return plan;
  if (options.force !== true) {
    const [user] = users;
    throw new DugoutError(
      "IMAGE_IN_USE",
      `Cannot remove the name ${quote(showName(reference))}: container ${
        user!.id.slice(0, 12)
      } is made from its image ${shortIds(dropped.ids)}`,
      {
        hint:
          "Remove the container first, or use -f: the image then stays, without a name, until the container is gone",
        exitCode: 1,
      },
    );
  }
  return { ...plan, keep: same.find((name) => name.reference === reference)! };
}

function planById(
  text: string,
  id: Digest | undefined,
  same: readonly ImageName[],
  users: readonly ImageUser[],
  dropped: DroppedContent,
  options: RemoveOptions,
): RemovalPlan {
  const shown = quote(id === undefined ? text : shortId(id));
  const running = users.find((user) => user.isRunning);
  if (running !== undefined) {
    throw new DugoutError(
      "IMAGE_IN_USE",
      `Cannot remove the image ${shown}: the running container ${running.id.slice(0, 12)} uses it`,
      {
        hint: "Stop and remove the container first; -f does not help here",
        exitCode: 1,
      },
    );
  }
  if (options.force !== true) {
    const [user] = users;
    if (user !== undefined) {
      throw new DugoutError(
        "IMAGE_IN_USE",
        `Cannot remove the image ${shown}: the stopped container ${user.id.slice(0, 12)} is made from it`,
        {
          hint: "Remove the container first, or use -f",
          exitCode: 1,
        },
      );
    }
    const tagged = same.filter((name) =>
      name.reference !== undefined && parseReference(name.reference).tag !== undefined
    );
    const repositories = new Set(
      same.flatMap((name) => name.reference === undefined ? [] : [repositoryName(parseReference(name.reference))]),
    );
    if (tagged.length > 1 || repositories.size > 1) {
      const list = same.flatMap((name) => name.reference === undefined ? [] : [showName(name.reference)]).join(", ");
      throw new DugoutError("IMAGE_IN_USE", `Cannot remove the image ${shown}: it has several names: ${list}`, {
        hint: "Remove the names one by one, or use -f to remove all of them",
        exitCode: 1,
      });
    }
  }
  return {
    fileNames: same.map((name) => name.fileName),
    untagged: same.flatMap((name) => name.reference === undefined ? [] : [showName(name.reference)]),
    dropped: [dropped],
  };
}

/** Removes what no other name leads to. Called under the store's lock, when the names are gone. */
export function dropContent(
  store: ContentStore,
  dropped: readonly DroppedContent[],
  options: { nowMs: number; shelf: LayerShelf },
): { records: RemoveRecord[]; cleanups: (() => Promise<number>)[]; freedBytes: number } {
  const needed = findNeeded(store, options.nowMs);
  const inUse = options.shelf.inUse();
  const records: RemoveRecord[] = [];
  const cleanups: (() => Promise<number>)[] = [];
  let freedBytes = 0;
  for (const { ids, blobs, diffIds } of dropped) {
    for (const digest of blobs) if (!needed.blobs.has(digest)) freedBytes += deleteBlob(store, digest);
    for (const id of ids) if (!needed.blobs.has(id)) records.push({ deleted: id });
    for (const diffId of new Set(diffIds)) {
      const isNeeded = needed.layers.has(diffId) || inUse.has(diffId);
      const cleanup = isNeeded ? undefined : options.shelf.detach(diffId);
      if (cleanup === undefined) continue;
      cleanups.push(cleanup);
      records.push({ deleted: diffId });
    }
  }
  return { records, cleanups, freedBytes };
}

function showName(reference: string): string {
  return familiarReference(parseReference(reference));
}

function shortIds(ids: readonly Digest[]): string {
  return ids.map(shortId).join(", ");
}
