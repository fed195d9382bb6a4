/**
 * `history`: the steps of which an image is made.
 *
 * @module
 */
import type { Digest } from "#oci/digest.ts";
import { pairHistory } from "#oci/image_config.ts";
import type { ImageContent, ImageLayer } from "./closure.ts";

/** A step, as Docker's CLI and API have it. */
export type HistoryStep = {
  /** The image id for the newest step; undefined for the others, whose images nobody has: shown as `<missing>`. */
  readonly id: Digest | undefined;
  readonly createdMs: number | undefined;
  readonly createdBy: string;
  readonly comment: string;
  readonly sizeBytes: number;
  /** Undefined for a step that made no layer. */
  readonly layer: ImageLayer | undefined;
};

/**
 * The steps, newest first. Layers that no step of the history tells of come last, without words.
 * @param layerBytes The unpacked size of a layer, where it is known; else the size of its blob counts.
 */
export function historyOf(image: ImageContent, layerBytes: (diffId: Digest) => number | undefined): HistoryStep[] {
  const paired = pairHistory(image.config, image.layers);
  const told = paired.filter(({ layer }) => layer !== undefined).length;
  const untold = image.layers.slice(told).map((layer) => ({ entry: {}, layer }));
  return [...untold, ...paired].reverse().map(({ entry, layer }, at): HistoryStep => {
    const { created, created_by = "", comment = "" } = entry as {
      created?: string;
      created_by?: string;
      comment?: string;
    };
    const createdMs = created === undefined ? NaN : Date.parse(created);
    return {
      id: at === 0 ? image.id : undefined,
      createdMs: Number.isNaN(createdMs) ? undefined : createdMs,
      createdBy: created_by,
      comment,
      sizeBytes: layer === undefined ? 0 : layerBytes(layer.diffId) ?? layer.sizeBytes,
      layer,
    };
  });
}
