import { BATCH_COMMANDS } from "./batch.ts";
import { CONTAINER_COMMANDS } from "./containers.ts";
import { EXEC } from "./exec.ts";
import { FILE_COMMANDS } from "./files.ts";
import { IMAGE_COMMANDS } from "./images.ts";
import { LIFE_COMMANDS } from "./life.ts";
import { NETWORK_COMMANDS } from "./networks.ts";
import { RUN } from "./run.ts";
import { RUNTIME } from "./runtime.ts";
import { SYSTEM_COMMANDS } from "./system.ts";
import type { CommandDeclaration } from "./types.ts";
import { UNIT_COMMANDS } from "./units.ts";
import { UPKEEP_COMMANDS } from "./upkeep.ts";
import { VOLUME_COMMANDS } from "./volumes.ts";
import { WATCH_COMMANDS } from "./watch.ts";

/** All commands of this version, in the order of the help. */
export const COMMANDS: readonly CommandDeclaration[] = [
  RUN,
  EXEC,
  ...LIFE_COMMANDS,
  ...CONTAINER_COMMANDS,
  ...WATCH_COMMANDS,
  ...FILE_COMMANDS,
  ...IMAGE_COMMANDS,
  ...VOLUME_COMMANDS,
  ...NETWORK_COMMANDS,
  ...SYSTEM_COMMANDS,
  RUNTIME,
  ...BATCH_COMMANDS,
  ...UPKEEP_COMMANDS,
  ...UNIT_COMMANDS,
];
