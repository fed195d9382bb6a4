import { checkContainerName } from "../record/container_id.ts";
import { takeName } from "../record/container_directory.ts";
import { containerEvent, type EventSubject, noteEvent } from "../events/events.ts";
import { withContainerLock } from "../record/lock_container.ts";
import {
  checkStore,
  makeContainer,
  type MakeInput,
  type Plan,
  planRun,
  startNotices,
  unmakeContainer,
} from "./make_container.ts";
import type { OpenedMount } from "../volumes/volume_mounts.ts";
import { labelsOf } from "../record/container_record.ts";

/** A container that was made and does not run yet. */
export interface CreatedContainer {
  readonly plan: Plan;
  readonly subject: EventSubject;
  readonly mounts: readonly OpenedMount[];
}

/**
 * Makes a container: its image is pulled and unpacked, its name is taken, its volumes are there.
 * @param planned Called before anything is made: others may begin to work then.
 * @throws {DugoutError | OsError} When it could not be made; nothing of it is left then.
 */
export async function createContainer(input: MakeInput, planned: () => void = () => {}): Promise<CreatedContainer> {
  const { engine, request, options } = input;
  const wantedName = options.name === undefined ? undefined : checkContainerName(options.name);
  const plan = await planRun(input);
  planned();
  startNotices(request, plan).forEach(engine.warn);
  checkStore(engine);
  const { id } = plan.directory;
  return await withContainerLock(engine, id, async () => {
    // the name first: racing processes are told apart before anything else is made
    const name = takeName(engine.dataRoot, id, wantedName);
    try {
      const { mounts } = await makeContainer({ ...input, isNew: true }, plan, name);
      const subject = { id, name, image: request.image, labels: labelsOf(plan.root.config, request) };
      noteEvent(engine, containerEvent(subject, "create"));
      return { plan, subject, mounts };
    } catch (error) {
      await unmakeContainer(input, plan, name);
      throw error;
    }
  });
}
