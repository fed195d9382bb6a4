/**
 * Events of images, with Docker's ids and attributes.
 *
 * @module
 */
import type { ImageContent } from "#image/closure.ts";
import { listImages } from "#image/list.ts";
import type { PullResult } from "#image/pull.ts";
import type { PushResult } from "#image/push.ts";
import type { RemoveRecord } from "#image/remove.ts";
import { familiarReference, familiarRepository, parseReference, type Reference } from "#oci/reference.ts";
import { type EngineEvent, type EventPlace, noteEvent, noteEvents } from "./events.ts";
import type { Engine } from "../engine.ts";

/** An image that got a name, was loaded, imported or saved. @param name As Docker shows it; absent: its id. */
export function noteImage(
  place: EventPlace,
  action: "tag" | "load" | "import" | "save",
  { id, config }: Pick<ImageContent, "id" | "config">,
  name: string = id,
): void {
  const attributes = new Map([...config.config.Labels ?? [], ["name", name] as const]);
  noteEvent(place, { type: "image", action, id, attributes });
}

/** An image that was pulled: Docker names it by what was asked for. */
export function notePull(place: EventPlace, { reference, image }: PullResult): void {
  const labels = image.config.config.Labels ?? [];
  noteEvent(place, transferEvent("pull", reference, labels));
}

/** An image that was pushed. */
export function notePush(place: EventPlace, { reference }: PushResult): void {
  noteEvent(place, transferEvent("push", reference, []));
}

function transferEvent(
  action: string,
  reference: Reference,
  labels: Iterable<readonly [string, string]>,
): EngineEvent {
  const name = familiarRepository(reference);
  return { type: "image", action, id: familiarReference(reference), attributes: new Map([...labels, ["name", name]]) };
}

/**
 * Looks at the images before some of them are removed.
 * @returns What tells then of what was removed: of names that went, and of images, but not of their layers.
 */
export function watchRemoval(engine: Engine): (records: readonly RemoveRecord[]) => void {
  const { images } = listImages(engine.store);
  const byId = new Map(images.map((image) => [image.id, image]));
  const byName = new Map(
    images.flatMap((image) => [...image.names, ...image.digests].map((name) => [showName(name), image] as const)),
  );
  return (records) => {
    const events = records.flatMap((record): EngineEvent[] => {
      const image = "untagged" in record ? byName.get(record.untagged) : byId.get(record.deleted);
      if (image === undefined) return [];
      const attributes = new Map([...image.config.config.Labels ?? [], ["name", image.id] as const]);
      return [{ type: "image", action: "untagged" in record ? "untag" : "delete", id: image.id, attributes }];
    });
    if (events.length > 0) noteEvents(engine, events);
  };
}

function showName(reference: string): string {
  return familiarReference(parseReference(reference));
}
