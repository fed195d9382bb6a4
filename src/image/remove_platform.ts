/**
 * `rmi --platform`: takes some platforms of an image away and leaves its names.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { formatPlatform, type Platform, scorePlatform } from "#oci/platform.ts";
import { quote } from "#oci/text.ts";
import { type ContentStore, deleteBlob } from "#storage/content.ts";
import { withStoreLock } from "#storage/lease.ts";
import { listNames, refreshIndex } from "#storage/names.ts";
import { walkTarget } from "./closure.ts";
import { findTarget, unknownImage } from "./find.ts";
import { shortId } from "./list.ts";
import { dropContent, type RemoveOptions, type RemoveResult } from "./remove.ts";

/**
 * Removes the images of a name that are for one of the platforms. Its manifest goes first: without it an index no longer
 * leads to the rest, and what a crash would leave is swept by a prune.
 * @throws {DugoutError} IMAGE_UNKNOWN (also for a platform that is not there); IMAGE_IN_USE; LAST_PLATFORM when nothing of
 * the image would be left.
 */
export async function removePlatforms(
  store: ContentStore,
  text: string,
  platforms: readonly Platform[],
  options: RemoveOptions,
): Promise<RemoveResult> {
  const { records, cleanups, freedBytes } = await withStoreLock(store, () => {
    const found = findTarget(store, text);
    if (found === undefined) throw unknownImage(text);
    const { images } = walkTarget(store, found.target);
    for (const platform of platforms) {
      if (!images.some((image) => scorePlatform(platform, image.platform) === 100)) throw unknownImage(text, platform);
    }
    const removed = images.filter((image) =>
      platforms.some((platform) => scorePlatform(platform, image.platform) === 100)
    );
    if (removed.length === images.length) {
      throw new DugoutError(
        "LAST_PLATFORM",
        `Cannot remove the platform ${platforms.map(formatPlatform).join(", ")} of ${quote(text)}: there is no other`,
        {
          hint: 'Leave out "--platform" to remove the image',
          exitCode: 1,
        },
      );
    }
    for (const { id } of removed) {
      const user = options.usersOf(id).find(({ isRunning }) => isRunning || options.force !== true);
      if (user === undefined) continue;
      throw new DugoutError(
        "IMAGE_IN_USE",
        `Cannot remove the image ${quote(shortId(id))}: container ${user.id.slice(0, 12)} is made from it`,
        {
          hint: "Remove the container first",
          exitCode: 1,
        },
      );
    }
    // another name may lead to the manifest itself
    const others = listNames(store).names.filter((name) => name.target.digest !== found.target.digest);
    const kept = new Set(others.flatMap((name) => [...walkTarget(store, name.target).blobs]));
    let freedBytes = 0;
    for (const { manifestDigest } of removed) {
      if (!kept.has(manifestDigest)) freedBytes += deleteBlob(store, manifestDigest);
    }
    const parts = removed.map((image) => ({
      ids: [image.id],
      blobs: new Set([image.id, ...image.layers.map((layer) => layer.digest)]),
      diffIds: image.config.diffIds,
    }));
    const dropped = dropContent(store, parts, options);
    refreshIndex(store);
    return { ...dropped, freedBytes: freedBytes + dropped.freedBytes };
  });
  let total = freedBytes;
  for (const cleanup of cleanups) total += await cleanup();
  return { records, freedBytes: total };
}
