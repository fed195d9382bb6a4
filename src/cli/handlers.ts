import type { CommandDeclaration } from "./declare/types.ts";
import type { CommandFunction } from "./invocation.ts";
import { notYetError } from "./usage_error.ts";

/** From a command's usual name to the code that runs it, loaded when it is wanted. */
const LOADERS: ReadonlyMap<string, () => Promise<CommandFunction>> = new Map<string, () => Promise<CommandFunction>>(
  [],
);

/**
 * Loads the function of a command.
 * @throws {DugoutError} NOT_YET, for a command that is declared only.
 */
export async function findCommand(command: CommandDeclaration): Promise<CommandFunction> {
  const name = command.names[0] ?? "";
  const load = LOADERS.get(name);
  if (load === undefined) throw notYetError(`'dugout ${name}'`);
  return await load();
}
