/**
 * The tape of a process that makes the user namespace of a remembered run, with nobody's help, and holds it.
 *
 * @module
 */
import { HOST_ARCH } from "#linux/arch.ts";
import type { IdMap } from "#linux/idmap.ts";
import { holdBuffers, holdSteps } from "#runtime/holder/holder_steps.ts";
import { ERROR_FD, READY_FD } from "#runtime/map_ids.ts";
import { MAP_BUFFERS, mapByChildrenSteps, type MapProgramPaths } from "#runtime/map_ids_steps.ts";
import { blockSignalsStep } from "#runtime/monitor_steps.ts";
import { encodeTape } from "#tape/encode.ts";
import { step } from "#tape/step.ts";

/** Makes a user namespace, tells so, has its ids mapped, tells that, and holds it. */
export function namespaceTape(map: IdMap, programs: MapProgramPaths): Uint8Array {
  const tell = (what: string) => step("write", [READY_FD, "r", 1], "tell", what);
  return encodeTape({
    steps: [
      // whoever ends the command closes the pipe
      blockSignalsStep(),
      ...mapByChildrenSteps(map, programs, [tell("user namespace is there")]),
      tell("ids are mapped"),
      ...holdSteps(),
    ],
    buffers: new Map([...MAP_BUFFERS, ...holdBuffers(), ["go", { sizeBytes: 8 }], ["status", { sizeBytes: 8 }]]),
    errorFd: ERROR_FD,
  }, HOST_ARCH);
}
