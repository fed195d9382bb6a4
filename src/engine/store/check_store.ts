/**
 * `system check`: whether what is in the store is what its names say, and how it can be put right. A repair takes nothing
 * that cannot be had again: what only the user can decide on is told, with what to do.
 *
 * @module
 */
import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { listImages } from "#image/list.ts";
import { mapName } from "#linux/idmap.ts";
import { type Digest, isDigest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { blobSize, type ContentStore, deleteBlob, listBlobs, listDirectory, streamBlob } from "#storage/content.ts";
import { hasLayer, layerPaths, listLayers, readLayerRecord } from "#storage/layers.ts";
import { withStoreLock } from "#storage/lease.ts";
import { deriveIndex, encodeIndexText, listNames, refreshIndex, removeNameFiles } from "#storage/names.ts";
import { listVolumes, openVolumes } from "#storage/volumes.ts";
import { writeFileWhole } from "#storage/write_file_whole.ts";
import { readName, releaseName, takeName } from "../record/container_directory.ts";
import type { ContainerId } from "../record/container_id.ts";
import { type ContainerRecord, listRecords } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { listMaps, openLayerShelf } from "./layer_shelf.ts";

/** Something that is not as it should be. */
export interface StoreProblem {
  /** Such as `blob sha256:…` or `container web`. */
  readonly object: string;
  readonly problem: string;
  /** What to do about it, by the user, or behind the repair. */
  readonly advice: string;
  /** Puts it right; undefined where only the user can. */
  readonly repair?: (() => void | Promise<void>) | undefined;
}

/** What was looked at, and what was found. */
export interface StoreReport {
  readonly blobs: number;
  readonly layers: number;
  readonly containers: number;
  readonly volumes: number;
  readonly problems: readonly StoreProblem[];
}

/** Looks at all of a store. @param isQuick Without reading all blobs: only what their sizes say. */
export async function checkStore(engine: Engine, isQuick: boolean): Promise<StoreReport> {
  const { store } = engine;
  const blobs = listBlobs(store);
  const maps = listMaps(join(engine.dataRoot, "layers"));
  const { records, damaged } = listRecords(engine.dataRoot);
  const volumes = listVolumes(openVolumes(engine.dataRoot));
  return {
    blobs: blobs.length,
    layers: maps.reduce((count, { path }) => count + listLayers(path).length, 0),
    containers: records.length + damaged.length,
    volumes: volumes.volumes.length + volumes.damaged.length,
    problems: [
      ...(isQuick ? checkSizes(store) : await checkDigests(store, blobs)),
      ...checkNames(store),
      ...checkLayers(engine, maps.map(({ path }) => path)),
      ...damaged.map(describeDamagedContainer),
      ...checkContainers(engine, records),
      ...volumes.damaged.map((name) => describeDamagedVolume(openVolumes(engine.dataRoot), name)),
    ],
  };
}

const FETCH_AGAIN = "'dugout pull' or 'dugout load' gets it again";

async function checkDigests(store: ContentStore, blobs: readonly Digest[]): Promise<StoreProblem[]> {
  const problems: StoreProblem[] = [];
  for (const digest of blobs) {
    try {
      for await (const _ of streamBlob(store, digest));
    } catch (error) {
      // removed meanwhile
      if (error instanceof DugoutError && error.code === "BLOB_UNKNOWN") continue;
      problems.push(damagedBlob(store, digest, "its content is not what its digest says"));
    }
  }
  return problems;
}

function checkSizes(store: ContentStore): StoreProblem[] {
  const expected = new Map<Digest, number>();
  for (const { layers, manifest, descriptor } of listImages(store).images) {
    for (const { digest, size } of [descriptor, manifest.config]) expected.set(digest, size);
    for (const { digest, sizeBytes } of layers) expected.set(digest, sizeBytes);
  }
  return [...expected].flatMap(([digest, size]) => {
    const found = blobSize(store, digest);
    return found === undefined || found === size
      ? []
      : [damagedBlob(store, digest, `it has ${found} bytes instead of ${size}`)];
  });
}

function damagedBlob(store: ContentStore, digest: Digest, problem: string): StoreProblem {
  const repair = () => withStoreLock(store, () => void deleteBlob(store, digest));
  return { object: `blob ${digest}`, problem, advice: FETCH_AGAIN, repair };
}

function checkNames(store: ContentStore): StoreProblem[] {
  const broken = listNames(store).broken.map(({ fileName, problem }): StoreProblem => ({
    object: `name ${fileName}`,
    problem,
    advice: FETCH_AGAIN,
    repair: () =>
      withStoreLock(store, () => {
        removeNameFiles(store, [fileName]);
        refreshIndex(store);
      }),
  }));
  const images = listImages(store).damaged.filter(({ target }) => target !== undefined).map((
    { reference, fileName, problem },
  ): StoreProblem => ({
    object: `image ${reference ?? fileName}`,
    problem,
    advice: `${FETCH_AGAIN}; 'dugout rmi' removes it`,
  }));
  return [...broken, ...images, ...checkIndex(store)];
}

function checkIndex(store: ContentStore): StoreProblem[] {
  let found: string | undefined;
  try {
    found = readFileSync(join(store.path, "index.json"), "utf8");
  } catch {
    // a store without images has none
    if (listNames(store).names.length === 0) return [];
  }
  if (found === encodeIndexText(deriveIndex(store))) return [];
  return [{
    object: "index.json",
    problem: "it does not list the names that there are",
    advice: "",
    repair: () => withStoreLock(store, () => refreshIndex(store)),
  }];
}

function checkLayers(engine: Engine, folders: readonly string[]): StoreProblem[] {
  const shelf = openLayerShelf(engine);
  const inUse = shelf.inUse();
  return folders.flatMap((path) =>
    listLayers(path).flatMap((diffId): StoreProblem[] => {
      const problem = findLayerProblem(path, diffId);
      if (problem === undefined) return [];
      const object = `layer ${diffId}`;
      if (inUse.has(diffId)) {
        return [{
          object,
          problem,
          advice: "containers lie on it: save what is in them with 'dugout cp', and remove them",
        }];
      }
      const repair = async () => {
        await (await withStoreLock(engine.store, () => shelf.detach(diffId)))?.();
      };
      return [{ object, problem, advice: "the next run unpacks it again", repair }];
    })
  );
}

function findLayerProblem(path: string, diffId: Digest): string | undefined {
  const { diff, record } = layerPaths(path, diffId);
  if (lstatSync(diff, { throwIfNoEntry: false })?.isDirectory() !== true) return "its files are gone";
  if (lstatSync(record, { throwIfNoEntry: false })?.isFile() !== true) return "its record is gone";
  try {
    readLayerRecord(path, diffId);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function describeDamagedContainer(id: string): StoreProblem {
  const short = id.slice(0, 12);
  return {
    object: `container ${short}`,
    problem: "its record cannot be read",
    advice: `its files are in upper/ of its directory; 'dugout rm -f ${short}' removes it`,
  };
}

function checkContainers(engine: Engine, records: readonly ContainerRecord[]): StoreProblem[] {
  const { dataRoot } = engine;
  const names = join(dataRoot, "containers/names");
  const byId = new Map(records.map((record) => [record.id, record]));
  const owners = new Map(
    listDirectory(names).filter((name) => !name.startsWith(".")).map((name) => [name, readName(join(names, name)).id]),
  );
  const maps = new Map(listMaps(join(dataRoot, "layers")).map(({ map, path }) => [mapName(map), path]));
  const problems: StoreProblem[] = [];
  for (const record of records) {
    const owner = owners.get(record.name);
    if (owner === undefined) {
      problems.push({
        object: `container ${record.name}`,
        problem: "its name is not taken",
        advice: "",
        repair: () => void takeName(dataRoot, record.id as ContainerId, record.name),
      });
    } else if (owner !== record.id) {
      problems.push({
        object: `container ${record.id.slice(0, 12)}`,
        problem: `its name "${record.name}" is another container's`,
        advice: `'dugout rename ${record.id.slice(0, 12)} NAME' gives it one of its own`,
      });
    }
    const path = maps.get(record.map);
    const missing = record.lowers.map((hex) => `sha256:${hex}`).filter(isDigest)
      .filter((diffId) => path === undefined || !hasLayer(path, diffId));
    if (missing.length > 0) {
      problems.push({
        object: `container ${record.name}`,
        problem: `${missing.length} of the layers that it lies on are gone`,
        advice: `'dugout pull ${record.image ?? "IMAGE"}' unpacks them again, if that is still the same image`,
      });
    }
  }
  for (const [name, id] of owners) {
    // one that is just being made has its name first
    if (byId.has(id) || lstatSync(join(dataRoot, "containers", id), { throwIfNoEntry: false }) !== undefined) continue;
    problems.push({
      object: `name ${name}`,
      problem: "the container that took it is gone",
      advice: "",
      repair: () => releaseName(dataRoot, name, id),
    });
  }
  return problems;
}

function describeDamagedVolume(volumes: string, name: string): StoreProblem {
  return {
    object: `volume ${name}`,
    problem: "its volume.json cannot be read",
    advice: "it loses its labels and options, and keeps its files",
    repair: () => writeFileWhole(join(volumes, name, "volume.json"), "{}"),
  };
}
