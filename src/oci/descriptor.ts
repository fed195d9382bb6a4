import * as v from "valibot";
import type { Digest } from "./digest.ts";
import type { Platform } from "./platform.ts";
import { compact, countSchema, digestSchema, mapSchema, optional, stringsSchema } from "./schema.ts";

/**
 * Points to content by type, digest and size in bytes (image-spec, descriptor). `data` is not read: content comes from where it is hashed.
 */
export interface Descriptor {
  mediaType: string;
  digest: Digest;
  size: number;
  urls?: string[];
  annotations?: Map<string, string>;
  artifactType?: string;
  platform?: Platform;
}

export const platformSchema: v.GenericSchema<unknown, Platform> = v.pipe(
  v.object({
    os: optional(v.string()),
    architecture: optional(v.string()),
    variant: optional(v.string()),
    "os.version": optional(v.string()),
    "os.features": optional(stringsSchema(1000)),
  }),
  v.transform((raw): Platform =>
    compact({
      os: raw.os ?? "",
      architecture: raw.architecture ?? "",
      variant: raw.variant === "" ? undefined : raw.variant,
      osVersion: raw["os.version"],
      osFeatures: raw["os.features"],
    })
  ),
);

export const annotationsSchema = mapSchema(v.string(), 10_000);

export const descriptorSchema: v.GenericSchema<unknown, Descriptor> = v.pipe(
  v.object({
    mediaType: v.pipe(v.string(), v.minLength(1), v.maxLength(255)),
    digest: digestSchema,
    size: countSchema,
    urls: optional(stringsSchema(100)),
    annotations: optional(annotationsSchema),
    artifactType: optional(v.string()),
    platform: optional(platformSchema),
  }),
  v.transform((raw): Descriptor => compact(raw)),
);

/** The descriptor as JSON-able data, in the order image-spec's examples have; a Map of annotations stays one (see `encodeJson`). */
export function describeForJson(descriptor: Descriptor): object {
  const { platform } = descriptor;
  return compact({
    mediaType: descriptor.mediaType,
    digest: descriptor.digest,
    size: descriptor.size,
    urls: descriptor.urls,
    annotations: descriptor.annotations,
    artifactType: descriptor.artifactType,
    platform: platform === undefined ? undefined : compact({
      architecture: platform.architecture,
      os: platform.os,
      variant: platform.variant,
      "os.version": platform.osVersion,
      "os.features": platform.osFeatures,
    }),
  });
}
