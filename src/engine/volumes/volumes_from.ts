import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import type { MountRequest, VolumesFrom } from "#docker/run_request.ts";
import { type RecordedMount } from "../record/container_record.ts";
import { findContainer } from "../record/containers.ts";
import type { Engine } from "../engine.ts";

/**
 * The volumes and binds of other containers, running or not: `--volumes-from`.
 * @throws {DugoutError} CONTAINER_UNKNOWN.
 */
export function volumesFrom(engine: Engine, requests: readonly VolumesFrom[]): MountRequest[] {
  return requests.flatMap(({ container, readOnly }) => {
    const { record } = findContainer(engine, container);
    if (record === undefined) {
      throw new DugoutError("CONTAINER_DAMAGED", `Cannot take volumes from ${quote(container)}: its record is damaged`);
    }
    return record.mounts.flatMap((mount) => requestOf(mount, readOnly ?? mount.readOnly));
  });
}

/** A bind that another container has. */
export function sharedBind(source: string, target: string, readOnly: boolean): MountRequest {
  return {
    kind: "bind",
    source,
    target,
    readOnly,
    readOnlyDepth: "if-possible",
    recursive: true,
    propagation: "rprivate",
    createSource: false,
    relabel: undefined,
  };
}

function requestOf(mount: RecordedMount, readOnly: boolean): MountRequest[] {
  const { target, source } = mount;
  if (mount.kind === "bind") {
    return [sharedBind(source, target, readOnly)];
  }
  if (mount.kind !== "volume" || mount.volume === undefined) return [];
  return [{
    kind: "volume",
    name: mount.volume,
    target,
    readOnly,
    noCopy: false,
    subpath: mount.subpath,
    driver: "local",
    driverOptions: new Map(),
    labels: new Map(),
  }];
}
