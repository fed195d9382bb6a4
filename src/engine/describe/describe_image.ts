/**
 * What `inspect` tells of an image: Docker's fields, for the CLI and the API.
 *
 * @module
 */
import { familiarReference, familiarRepository, parseReference } from "#oci/reference.ts";
import type { RunConfig } from "#oci/image_config.ts";
import type { Image } from "#image/list.ts";

export interface ImageFacts {
  /** Layers unpacked, each counted once, and the config. */
  sizeBytes: number;
  /** The storage driver's name, and what it has to say of the image. */
  driver: { name: string; data: ReadonlyMap<string, string> | null };
  /** When a name was last given to it, in milliseconds since 1970; undefined when it has none. */
  lastTagMs: number | undefined;
}

/** An image in the shape of Docker's `GET /images/NAME/json`; keys from outside are in Maps. */
export function describeImage(image: Image, facts: ImageFacts): Record<string, unknown> {
  const { config } = image;
  return {
    Id: image.id,
    RepoTags: image.names.map(showName),
    RepoDigests: image.digests.map(showName),
    Parent: "",
    Comment: config.history.at(-1)?.comment ?? "",
    Created: config.created ?? "",
    DockerVersion: "",
    Author: config.author ?? "",
    Config: describeRunConfig(config.config),
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    ...(config.osVersion === undefined ? {} : { OsVersion: config.osVersion }),
    Size: facts.sizeBytes,
    GraphDriver: { Data: facts.driver.data, Name: facts.driver.name },
    RootFS: { Type: "layers", Layers: config.diffIds },
    Metadata: { LastTagTime: new Date(facts.lastTagMs ?? NO_TIME_MS).toISOString().replace(".000Z", "Z") },
    Descriptor: { mediaType: image.target.mediaType, digest: image.target.digest, size: image.target.size },
  };
}

/** Go's zero time, 0001-01-01T00:00:00Z, which Docker gives for "never". */
const NO_TIME_MS = -62135596800000;

/** A name as Docker shows it: `debian:12` of `docker.io/library/debian:12`. */
export function showName(name: string): string {
  return familiarReference(parseReference(name));
}

/** Repository, tag and digest of a name, as lists show them. */
export function splitName(name: string): { repository: string; tag: string | undefined; digest: string | undefined } {
  const reference = parseReference(name);
  return { repository: familiarRepository(reference), tag: reference.tag, digest: reference.digest };
}

/** The config of a container in Docker's order; lists of keys become objects again. */
function describeRunConfig(config: RunConfig): Record<string, unknown> {
  const keys = (list: readonly string[] | undefined): Map<string, object> | undefined =>
    list === undefined ? undefined : new Map(list.map((key) => [key, {}]));
  return {
    User: config.User ?? "",
    ExposedPorts: keys(config.ExposedPorts),
    Env: config.Env ?? null,
    Cmd: config.Cmd ?? null,
    Healthcheck: config.Healthcheck,
    ArgsEscaped: config.ArgsEscaped,
    Volumes: keys(config.Volumes) ?? null,
    WorkingDir: config.WorkingDir ?? "",
    Entrypoint: config.Entrypoint ?? null,
    OnBuild: config.OnBuild ?? null,
    Labels: config.Labels ?? null,
    StopSignal: config.StopSignal,
    StopTimeout: config.StopTimeout,
    Shell: config.Shell,
  };
}
