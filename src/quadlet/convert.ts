/**
 * All files at once, since they refer to each other: each becomes a service, or an error of its own; one that is wrong
 * does not keep the others from working.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { containerName, convertContainer } from "./convert_container.ts";
import { convertImage, imageName } from "./convert_image.ts";
import { convertNetwork, networkName } from "./convert_network.ts";
import { convertVolume, volumeName } from "./convert_volume.ts";
import { quadletError } from "./error.ts";
import { readValue } from "./keys.ts";
import { ownSection, serviceName } from "./service.ts";
import { type Converted, isUnitName, type QuadletContext, type Resource, type Service, type Source } from "./source.ts";

/**
 * Converts files.
 * @param program How this program is started: an absolute path, then arguments.
 */
export function convertAll(sources: readonly Source[], program: readonly string[]): Converted[] {
  const context: QuadletContext = {
    program,
    resources: new Map(sources.flatMap((source) => {
      const resource = describeResource(source);
      return resource === undefined ? [] : [[source.file, resource] as const];
    })),
  };
  const taken = new Map<string, string>();
  return sources.map((source) => {
    try {
      const service = convertOne(source, context);
      const other = taken.get(service.name);
      if (other !== undefined) {
        throw quadletError(source.path, undefined, `its service ${service.name} is already made from ${other}`);
      }
      taken.set(service.name, source.path);
      return { source, service };
    } catch (error) {
      if (error instanceof DugoutError) return { source, error };
      throw error;
    }
  });
}

function describeResource(source: Source): Resource | undefined {
  const service = serviceName(source, readValue(source.unit.get(ownSection(source)) ?? [], "ServiceName"));
  switch (source.kind) {
    case "container":
      return { kind: source.kind, service, name: containerName(source) };
    case "volume":
      return { kind: source.kind, service, name: volumeName(source) };
    case "image":
      return { kind: source.kind, service, name: imageName(source) };
    case "network":
      return { kind: source.kind, service, name: networkName(source) };
    case "pod":
    case "kube":
    case "build":
    case "artifact":
      return undefined;
    default:
      throw new Error(`Unknown kind ${source.kind satisfies never}`);
  }
}

function convertOne(source: Source, context: QuadletContext): Service {
  if (!isUnitName(source.file)) throw quadletError(source.path, undefined, "its name cannot be that of a unit");
  const named = readValue(source.unit.get(ownSection(source)) ?? [], "ServiceName");
  if (named !== undefined && !isUnitName(`${named}.service`)) {
    throw quadletError(source.path, undefined, `ServiceName=${named} cannot be the name of a unit`);
  }
  const refuse = (why: string, hint?: string) =>
    quadletError(source.path, undefined, `.${source.kind} files cannot be had: ${why}`, hint);
  switch (source.kind) {
    case "container":
      return convertContainer(source, context);
    case "volume":
      return convertVolume(source, context);
    case "image":
      return convertImage(source, context);
    case "network":
      return convertNetwork(source, context);
    case "pod":
      throw refuse("there are no pods", "Network=other.container in [Container] shares another container's network");
    case "kube":
      throw refuse("Kubernetes files are not read", "a .container file for each container does the same");
    case "build":
      throw refuse("images are not built by units", "build the image, and name it with Image=");
    case "artifact":
      throw refuse("artifacts are not mounted", "Mount=type=image mounts the files of an image");
    default:
      throw new Error(`Unknown kind ${source.kind satisfies never}`);
  }
}
