/**
 * A container on record, opened so that it can be started: planned again from what it was made with.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { decodeRequest, type KeptRequest } from "#docker/request_codec.ts";
import type { MountRequest, RunRequest } from "#docker/run_request.ts";
import { newRunOptions } from "#docker/run_request.ts";
import { containerDirectory } from "../record/container_directory.ts";
import type { ContainerId } from "../record/container_id.ts";
import type { ContainerRecord, RecordedMount } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { openKeptRoot } from "../prepare/kept_root.ts";
import type { Plan } from "./make_container.ts";
import { needsOpening, type OpenedMount, plainMounts } from "../volumes/volume_mounts.ts";
import { sharedBind } from "../volumes/volumes_from.ts";

/** A container that can be started. */
export interface KeptContainer extends KeptRequest {
  readonly record: ContainerRecord;
  readonly plan: Plan;
  readonly mounts: readonly OpenedMount[];
}

/** What a container was made with. @throws {DugoutError} REQUEST_INVALID, RECORD_OLD. */
export function readKeptRequest(record: ContainerRecord): KeptRequest {
  if (record.request !== undefined) return decodeRequest(record.request);
  throw new DugoutError(
    "RECORD_OLD",
    `Cannot start the container "${record.name}": it was made by an older version, which did not keep what it was made with`,
    { exitCode: 1, hint: "make another one with 'dugout run'; 'dugout cp' and 'dugout commit' save what is in it" },
  );
}

/** Opens a container. @throws {DugoutError} LAYERS_GONE, IDS_CHANGED, and what {@linkcode readKeptRequest} throws. */
export async function openKeptContainer(engine: Engine, record: ContainerRecord): Promise<KeptContainer> {
  const kept = readKeptRequest(record);
  const directory = containerDirectory(engine.dataRoot, engine.runRoot, record.id as ContainerId);
  const plan = { directory, limits: undefined, ...await openKeptRoot(engine, record, kept, directory) };
  const request = settleMounts(kept.request, record.mounts);
  return { ...kept, request, record, plan, mounts: await openMountsAgain(engine, request, plan) };
}

async function openMountsAgain(engine: Engine, request: RunRequest, plan: Plan): Promise<readonly OpenedMount[]> {
  if (!needsOpening(request, plan.root.config)) return plainMounts(request);
  const { openMounts } = await import("../prepare/open_mounts.ts");
  const { mounts } = await openMounts({
    engine,
    request,
    options: newRunOptions(),
    ...plan,
    fetchImage: undefined,
    // they are on record already
    record: () => {},
  });
  return mounts;
}

/** The same request with the volumes that it was given: those without a name have one now. */
function settleMounts(request: RunRequest, recorded: readonly RecordedMount[]): RunRequest {
  const asked = new Map(request.mounts.map((mount) => [mount.target, mount]));
  return {
    ...request,
    volumesFrom: [],
    mounts: recorded.map((mount) => settleMount(mount, asked.get(mount.target))),
  };
}

function settleMount(mount: RecordedMount, asked: MountRequest | undefined): MountRequest {
  const { target, readOnly } = mount;
  if (mount.kind === "volume" && mount.volume !== undefined) {
    return {
      kind: "volume",
      name: mount.volume,
      target,
      readOnly,
      noCopy: asked?.kind === "volume" && asked.noCopy,
      subpath: mount.subpath,
      driver: "local",
      driverOptions: asked?.kind === "volume" ? asked.driverOptions : new Map(),
      labels: new Map(),
    };
  }
  if (asked !== undefined) return asked;
  // of another container: --volumes-from
  return sharedBind(mount.source, target, readOnly);
}
