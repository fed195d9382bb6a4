/**
 * Pulling into this engine's store, with the layers unpacked as they come.
 *
 * @module
 */
import { favourThroughput } from "#ffi/mod.ts";
import type { Platform } from "#oci/platform.ts";
import { type PullEvent, pullImage, type PullResult } from "#image/pull.ts";
import { openRegistryAccess, type RegistryAccess } from "#image/registry/access.ts";
import { chooseIdMap } from "#runtime/identity.ts";
import type { Engine } from "../engine.ts";
import { userPlaces } from "../paths.ts";
import { notePull } from "../events/image_events.ts";
import { isUnpacked, openLayerStore, openUnpacker } from "../prepare/layers.ts";

/** What a pull is told. */
export interface PullOptions {
  readonly platform?: Platform | undefined;
  readonly tlsVerify?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: (event: PullEvent) => void;
}

/** This user's settings about registries, and a client; close it when done. */
export function openRegistries(
  engine: Engine,
  options: { tlsVerify?: boolean | undefined } = {},
): Promise<RegistryAccess> {
  return openRegistryAccess(
    { ...userPlaces(engine), configDir: engine.config },
    { tlsVerify: options.tlsVerify, notice: engine.warn },
  );
}

/** Pulls an image by name; a name that the configuration reads in several ways is tried in each. */
export async function pull(engine: Engine, name: string, options: PullOptions = {}): Promise<PullResult> {
  using access = await openRegistries(engine, options);
  return await pullImage(pullHost(engine, access, options), {
    name,
    platform: options.platform,
    signal: options.signal,
  });
}

/** What a pull has to know of this engine. Layers are unpacked for the map that a plain run has. */
export function pullHost(engine: Engine, access: RegistryAccess, options: PullOptions) {
  favourThroughput();
  const layers = openLayerStore(engine, chooseIdMap(engine.identity, { kind: "default" }, { uid: 0, gid: 0 }));
  return {
    store: engine.store,
    access,
    nowMs: () => Date.now(),
    hasLayer: (diffId: Parameters<typeof isUnpacked>[1]) => isUnpacked(layers, diffId),
    openUnpacker: (missing: number) => openUnpacker(layers, missing),
    onEvent: (event: PullEvent) => {
      if (event.kind === "pulled") notePull(engine, event.result);
      options.onEvent?.(event);
    },
  };
}
