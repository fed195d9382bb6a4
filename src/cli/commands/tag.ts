import { tagImage } from "#image/tag.ts";
import { openImageContext } from "../context.ts";
import type { Invocation } from "../invocation.ts";

/** `dugout tag` */
export async function runTag({ args, global }: Invocation): Promise<number> {
  await tagImage(openImageContext(global).store, args[0] ?? "", args[1] ?? "", { nowMs: Date.now() });
  return 0;
}
