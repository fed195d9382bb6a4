import { lookForContainer } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { removeContainer } from "./remove_container.ts";

/** `--replace`: the container that has a name, if there is one, makes room for another. */
export async function replaceContainer(engine: Engine, name: string): Promise<void> {
  const found = lookForContainer(engine, name);
  // an id that begins like the name is another container's
  if (found?.record?.name === name) await removeContainer(engine, found, { force: true, volumes: true });
}
