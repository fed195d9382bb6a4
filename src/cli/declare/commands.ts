import { IMAGE_COMMANDS } from "./images.ts";
import { RUN } from "./run.ts";
import { SYSTEM_COMMANDS } from "./system.ts";
import type { CommandDeclaration } from "./types.ts";

/** All commands of this version, in the order of the help. */
export const COMMANDS: readonly CommandDeclaration[] = [RUN, ...IMAGE_COMMANDS, ...SYSTEM_COMMANDS];
