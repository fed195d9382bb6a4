import { LayerError } from "./layer_error.ts";

/** What one layer may cost. All are far above what real images need; the user's `layers.toml` can change them. */
export type LayerLimits = {
  /** Entries of the archive. A million costs us some hundred MB of memory. */
  readonly maxEntries: number;
  /** Size of one file, holes included. */
  readonly maxFileBytes: number;
  /** Uncompressed bytes, and the sizes of all files together, holes included. */
  readonly maxTotalBytes: number;
  /** Uncompressed bytes for a compressed one, beyond the first 100 MB. gzip reaches 1,032, software 2 to 10. */
  readonly maxRatio: number;
};

export const DEFAULT_LAYER_LIMITS: LayerLimits = {
  maxEntries: 1_000_000,
  maxFileBytes: 2 ** 40,
  maxTotalBytes: 2 ** 40,
  maxRatio: 500,
};

/** The names of the limits in the user's `layers.toml`. */
export const LIMIT_NAMES: Readonly<Record<keyof LayerLimits, string>> = {
  maxEntries: "max-entries",
  maxFileBytes: "max-file-size",
  maxTotalBytes: "max-total-size",
  maxRatio: "max-ratio",
};

/** The refusal of a layer that is beyond a limit. */
export function limitError(limit: keyof LayerLimits, problem: string): LayerError {
  return new LayerError("LAYER_LIMIT", problem, {
    hint: `If it is meant to be so, raise "${LIMIT_NAMES[limit]}" in dugout's layers.toml`,
  });
}

/** So much may come out of any compressed byte. */
export const RATIO_FREE_BYTES = 100_000_000;

/** Largest zstd window that is taken: what a decompressor has to keep in memory. */
export const ZSTD_MAX_WINDOW_LOG = 27;
