import { backend } from "#ffi/mod.ts";

/**
 * How this program is started again: an absolute path and arguments, behind which its own follow. A script that imports the
 * library is not the program: its own entry is named then.
 */
export function ownCommand(): [path: string, ...args: string[]] {
  const { compiled, runArguments } = backend();
  if (compiled) return [process.execPath];
  const entry = process.getBuiltinModule("node:url").fileURLToPath(new URL("../cli/main.ts", import.meta.url).href);
  return [process.execPath, ...runArguments, entry];
}
