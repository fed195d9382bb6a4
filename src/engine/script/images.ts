/**
 * Images as a script sees them.
 *
 * @module
 */
import { familiarReference, formatReference, parseReference } from "#oci/reference.ts";
import { formatPlatform, parsePlatform } from "#oci/platform.ts";
import type { ImageContent } from "#image/closure.ts";
import { listImages } from "#image/list.ts";
import type { PullEvent } from "#image/pull.ts";
import { openEngine } from "../engine.ts";
import { pull as pullInto } from "../store/pull.ts";
import { type EnginePlaces, readPlaces } from "./options.ts";

/** An image of the store. */
export interface ImageSummary {
  /** The digest of its config: the image id, the same as Docker's. */
  readonly id: string;
  /** As Docker shows them: `debian:12`. None for a dangling image. */
  readonly names: readonly string[];
  /** `os/architecture`. */
  readonly platform: string;
  /** When it was made; undefined where it does not say. */
  readonly created: Date | undefined;
  /** All its blobs, as they came. */
  readonly sizeBytes: number;
}

/** How to pull. */
export interface PullOptions extends EnginePlaces {
  /** `os/architecture`; this machine's, unless it is said otherwise. */
  readonly platform?: string;
  /** False takes registries without TLS, or with any certificate. */
  readonly tlsVerify?: boolean;
  /** Ends it; what has come is kept, and the next pull goes on there. */
  readonly signal?: AbortSignal;
  /** What happens meanwhile, layer by layer. */
  readonly onProgress?: (event: PullEvent) => void;
}

/** The images of the store, the newest first. */
export function images(places: EnginePlaces = {}): Promise<ImageSummary[]> {
  const { store } = openEngine(readPlaces(places));
  return Promise.resolve(listImages(store).images.map((image) => summarize(image, image.names)));
}

/**
 * Pulls an image, also where it is there already: a name may have been given to another since.
 * @throws {DugoutError} By its `code`: NOT_FOUND, UNAUTHORIZED, ENOSPC …
 */
export async function pull(name: string, options: PullOptions = {}): Promise<ImageSummary> {
  const { image, reference } = await pullInto(openEngine(readPlaces(options)), name, {
    platform: options.platform === undefined ? undefined : parsePlatform(options.platform),
    tlsVerify: options.tlsVerify,
    signal: options.signal,
    ...(options.onProgress === undefined ? {} : { onEvent: options.onProgress }),
  });
  return summarize(image, [formatReference(reference)]);
}

function summarize(image: ImageContent, names: readonly string[]): ImageSummary {
  const { id, platform, createdMs, sizeBytes } = image;
  return {
    id,
    names: names.map((name) => familiarReference(parseReference(name))),
    platform: formatPlatform(platform),
    created: createdMs === undefined ? undefined : new Date(createdMs),
    sizeBytes,
  };
}
