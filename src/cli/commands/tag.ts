import { noteImage } from "#engine/events/image_events.ts";
import { findImage } from "#image/find.ts";
import { tagImage } from "#image/tag.ts";
import { familiarReference } from "#oci/reference.ts";
import { openImageContext } from "../context.ts";
import type { Invocation } from "../invocation.ts";

/** `dugout tag` */
export async function runTag({ args, global }: Invocation): Promise<number> {
  const { engine, store } = openImageContext(global);
  const reference = await tagImage(store, args[0] ?? "", args[1] ?? "", { nowMs: Date.now() });
  const name = familiarReference(reference);
  const found = findImage(store, name);
  if (found !== undefined) noteImage(engine, "tag", found.image, name);
  return 0;
}
