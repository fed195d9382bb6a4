/**
 * podman's `exists`: whether there is one, by the exit code alone. 0: there is; 1: there is none; 125: nobody can tell.
 *
 * @module
 */
import { lookForContainer } from "#engine/record/containers.ts";
import { findImage } from "#image/find.ts";
import { isVolumeName, openVolumes, readVolume } from "#storage/volumes.ts";
import { openContainerContext, openImageContext } from "../context.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch } from "../options.ts";

/** `dugout container exists`; `--external` counts those whose record cannot be read. */
export async function runContainerExists({ options, args, global }: Invocation): Promise<number> {
  const found = lookForContainer(await openContainerContext(global), args[0] ?? "");
  return found !== undefined && (found.record !== undefined || hasSwitch(options, "external")) ? 0 : 1;
}

/** `dugout image exists` */
export function runImageExists({ args, global }: Invocation): number {
  return findImage(openImageContext(global).store, args[0] ?? "") === undefined ? 1 : 0;
}

/** `dugout volume exists` */
export async function runVolumeExists({ args, global }: Invocation): Promise<number> {
  const { dataRoot } = await openContainerContext(global);
  const name = args[0] ?? "";
  return isVolumeName(name) && readVolume(openVolumes(dataRoot), name) !== undefined ? 0 : 1;
}
