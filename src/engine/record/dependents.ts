import type { JsonObject } from "#oci/json.ts";
import type { ContainerRecord } from "./container_record.ts";
import type { Engine } from "../engine.ts";
import { listContainers, lookForContainer } from "./containers.ts";

/** What another container may be named in, among the facts of a record. */
const SHARED: readonly (keyof JsonObject)[] = ["pid", "ipc", "uts", "userns"];
const PREFIX = "container:";

/**
 * The containers that live in namespaces of a container, and those that live in theirs: whoever was made last comes first, so that
 * each goes before what it depends on.
 */
export function findDependents(engine: Engine, id: string): ContainerRecord[] {
  const { containers } = listContainers(engine);
  const found = new Set([id]);
  for (let before = 0; before < found.size;) {
    before = found.size;
    for (const { record } of containers) {
      if (namesOf(engine, record).some((other) => found.has(other))) found.add(record.id);
    }
  }
  found.delete(id);
  return containers.map(({ record }) => record).filter((record) => found.has(record.id));
}

/** Ids of the containers whose namespaces a container has. */
function namesOf(engine: Engine, { network, facts }: ContainerRecord): string[] {
  return [network, ...SHARED.map((fact) => facts[fact])].flatMap((mode) => {
    if (typeof mode !== "string" || !mode.startsWith(PREFIX)) return [];
    return lookForContainer(engine, mode.slice(PREFIX.length))?.id ?? [];
  });
}
