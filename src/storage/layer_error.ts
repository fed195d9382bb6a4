import { DugoutError, type DugoutErrorOptions } from "#oci/error.ts";

/**
 * Why a layer was refused:
 * LAYER_CORRUPT (its compression or archive is broken), LAYER_UNSUPPORTED (a compression we have not), LAYER_DIGEST (its
 * content has another digest than the image says), LAYER_ENTRY (an entry that may not or cannot be unpacked, named in the
 * message), LAYER_LIMIT (a bomb, or larger than the limits).
 */
export type LayerErrorCode = "LAYER_CORRUPT" | "LAYER_UNSUPPORTED" | "LAYER_DIGEST" | "LAYER_ENTRY" | "LAYER_LIMIT";

/** A layer that cannot be used; nothing of it is kept. */
export class LayerError extends DugoutError {
  constructor(code: LayerErrorCode, problem: string, options: DugoutErrorOptions = {}) {
    super(code, `Cannot unpack the layer: ${problem}`, options);
  }
}
