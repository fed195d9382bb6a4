/**
 * Mounts for which something has to be there first: volumes are made and filled, images are found and unpacked. Loaded
 * by runs that have such mounts.
 *
 * @module
 */
import { mkdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { IdMap } from "#linux/idmap.ts";
import type { RunConfig } from "#oci/image_config.ts";
import type { ImageMountRequest, MountRequest, RunOptions, RunRequest, VolumeRequest } from "#docker/run_request.ts";
import { cleanPath } from "#docker/text_rules.ts";
import { giveToRoot } from "#runtime/give_to_root.ts";
import { isMapped } from "#runtime/identity.ts";
import { isFilled, isSurelyMissing, markFilled, type VolumeFill } from "#storage/fill_volume.ts";
import { makeVolume, openVolumes, readVolume, type Volume, volumePath, withVolumesLock } from "#storage/volumes.ts";
import type { ContainerDirectory } from "../record/container_directory.ts";
import { type RecordedMount, recordMounts } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { type EngineEvent, noteEvents, volumeEvent } from "../events/events.ts";
import { checkHasLayers, ensureLayers, openLayerStore } from "./layers.ts";
import { removeVolumes } from "../volumes/remove_volumes.ts";
import { getImage } from "./root.ts";
import type { RootSource } from "./prepare.ts";
import type { OpenedImage, OpenedMount, OpenedVolume } from "../volumes/volume_mounts.ts";
import { volumesFrom } from "../volumes/volumes_from.ts";
import { runInWorker } from "../worker.ts";

/** What the mounts of a run depend on. */
export interface OpenMountsInput {
  readonly engine: Engine;
  readonly request: RunRequest;
  readonly options: RunOptions;
  readonly directory: ContainerDirectory;
  readonly root: RootSource;
  readonly map: IdMap;
  readonly fetchImage: ((text: string) => Promise<void>) | undefined;
  /** Writes the container's record: from then on its volumes and images are in use. */
  readonly record: (
    mounts: readonly RecordedMount[],
    images: readonly { id: string; lowers: readonly string[] }[],
  ) => void;
}

/** Mounts that are ready. */
export interface OpenedMounts {
  readonly mounts: readonly OpenedMount[];
  /** Volumes that go with the container. */
  readonly anonymous: readonly string[];
}

/**
 * Makes ready what mounts need.
 * @throws {DugoutError} IMAGE_NOT_FOUND, VOLUME_…; volumes without a name that were made are gone then, or on record.
 */
export async function openMounts(input: OpenMountsInput): Promise<OpenedMounts> {
  const { engine, request, root } = input;
  const wanted = wantedMounts(engine, request, root.config);
  const images = new Map<MountRequest, OpenedImage>();
  for (const [index, mount] of wanted.entries()) {
    if (mount.kind === "image") images.set(mount, await openImage(input, mount, index));
  }
  const volumes = openVolumes(engine.dataRoot);
  const anonymous: string[] = [];
  const events: EngineEvent[] = [];
  let opened: OpenedMount[];
  try {
    // under the lock, so that nobody removes a volume between its making and the record that says it is used
    opened = await withVolumesLock(volumes, () => {
      const all = wanted.map((mount): OpenedMount => {
        if (mount.kind === "image") return images.get(mount)!;
        if (mount.kind !== "volume") return mount;
        const { opened: made, isNew } = openVolume(volumes, mount);
        if (isNew) events.push(volumeEvent(made.name, "create"));
        events.push(mountEvent(made, input.directory.id));
        if (made.isAnonymous) anonymous.push(made.name);
        return made;
      });
      input.record(all.flatMap(recordOpened), [...images.values()].map(recordImage));
      return all;
    });
  } catch (error) {
    await removeVolumes(engine, anonymous);
    throw error;
  }
  await fillOpened(input, opened);
  if (events.length > 0) noteEvents(engine, events);
  return { mounts: opened, anonymous };
}

/** The same for a run that is only explained: nothing is made, images have to be there. */
export async function lookAtMounts(input: Omit<OpenMountsInput, "record">): Promise<readonly OpenedMount[]> {
  const { engine, request, root } = input;
  const volumes = join(engine.dataRoot, "volumes");
  const opened: OpenedMount[] = [];
  for (const [index, mount] of wantedMounts(engine, request, root.config).entries()) {
    if (mount.kind === "image") opened.push(await openImage({ ...input, fetchImage: undefined }, mount, index, true));
    else if (mount.kind === "volume") {
      const name = mount.name ?? "NEW";
      const there = mount.name === undefined ? undefined : readVolume(volumes, mount.name);
      const path = volumePath(volumes, name);
      opened.push(
        describeVolume(mount, there ?? { name, path, data: join(path, "_data"), options: mount.driverOptions }),
      );
    } else opened.push(mount);
  }
  return opened;
}

/** What was asked for, what other containers have (`--volumes-from`), and the image's own volumes where nothing else is. */
function wantedMounts(engine: Engine, request: RunRequest, config: RunConfig): MountRequest[] {
  const wanted = [...request.mounts];
  const taken = new Set(wanted.map(({ target }) => target));
  const add = (mount: MountRequest): void => {
    if (taken.has(mount.target)) return;
    taken.add(mount.target);
    wanted.push(mount);
  };
  for (const mount of volumesFrom(engine, request.volumesFrom)) add(mount);
  for (const path of config.Volumes ?? []) {
    const target = cleanPath(path.startsWith("/") ? path : `/${path}`);
    if (target !== undefined && target !== "/") add(anonymousVolume(target));
  }
  return wanted;
}

function anonymousVolume(target: string): VolumeRequest {
  return {
    kind: "volume",
    name: undefined,
    target,
    readOnly: false,
    noCopy: false,
    subpath: undefined,
    driver: "local",
    driverOptions: new Map(),
    labels: new Map(),
  };
}

function openVolume(volumes: string, mount: VolumeRequest): { opened: OpenedVolume; isNew: boolean } {
  const spec = { name: mount.name, labels: mount.labels, options: mount.driverOptions };
  const { volume, isNew } = makeVolume(volumes, spec);
  return { opened: describeVolume(mount, volume), isNew };
}

function mountEvent({ name, target, readOnly }: OpenedVolume, container: string): EngineEvent {
  return volumeEvent(name, "mount", { container, destination: target, "read/write": String(!readOnly) });
}

function describeVolume(
  mount: VolumeRequest,
  volume: Pick<Volume, "name" | "path" | "data" | "options">,
): OpenedVolume {
  return {
    kind: "volume",
    name: volume.name,
    isAnonymous: mount.name === undefined,
    path: volume.path,
    source: volume.data,
    target: mount.target,
    readOnly: mount.readOnly,
    noCopy: mount.noCopy,
    subpath: mount.subpath,
    options: volume.options,
  };
}

async function openImage(
  input: Omit<OpenMountsInput, "record">,
  mount: ImageMountRequest,
  index: number,
  isLook = false,
): Promise<OpenedImage> {
  const { engine, request, map, directory } = input;
  const { image } = await getImage({ ...input, request: { ...request, image: mount.image } });
  checkHasLayers(image, mount.image);
  const lowers = await ensureLayers(openLayerStore(engine, map), image);
  const place = join(directory.path, `image-${index}`);
  if (!isLook) mkdirSync(place, { recursive: true, mode: 0o700 });
  return {
    kind: "image",
    image: mount.image,
    imageId: image.id,
    lowers: [...new Set(lowers)],
    place,
    target: mount.target,
    subpath: mount.subpath,
  };
}

function recordOpened(mount: OpenedMount): RecordedMount[] {
  const { kind, target } = mount;
  const subpath = (kind === "volume" || kind === "image") && mount.subpath !== undefined
    ? { subpath: mount.subpath }
    : {};
  if (kind === "image") return [{ kind, target, source: mount.image, readOnly: true, ...subpath }];
  if (kind !== "volume") return recordMounts([mount]);
  const { name, isAnonymous, source, readOnly } = mount;
  return [{ kind, target, source, volume: name, isAnonymous, readOnly, ...subpath }];
}

function recordImage({ imageId, lowers }: OpenedImage): { id: string; lowers: string[] } {
  return { id: imageId, lowers: lowers.map((path) => basename(dirname(path))) };
}

/** Fills the volumes that are used for the first time; a worker is started only where the image may have something. */
async function fillOpened({ engine, root, map }: OpenMountsInput, opened: readonly OpenedMount[]): Promise<void> {
  // the machine's own tree is nothing to copy
  if (root.rootfs.kind === "tree") return;
  const directories = root.rootfs.kind === "directory" ? [root.rootfs.path] : root.lowers;
  const fills: VolumeFill[] = [];
  const fresh: string[] = [];
  for (const mount of opened) {
    if (mount.kind === "volume" && !isFilled(mount.path)) fresh.push(mount.source);
    if (mount.kind !== "volume" || mount.subpath !== undefined || mount.options.size > 0) continue;
    if (isFilled(mount.path)) continue;
    if (isSurelyMissing(directories, mount.target)) await markFilled(mount.path);
    else fills.push({ volume: mount.path, target: mount.target, copies: !mount.noCopy });
  }
  if (fills.length > 0) {
    await runInWorker(map, { kind: "fillVolumes", directories: [...directories], volumes: fills });
  }
  // what the image has no owner for is the caller's, who may be nobody in the container
  const own = isMapped(map, engine.identity) ? [] : fresh.filter((path) => statSync(path).uid === engine.identity.uid);
  if (own.length > 0) giveToRoot(map, own);
}
