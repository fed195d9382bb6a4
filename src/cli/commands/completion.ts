import { completionScript, SHELLS } from "../completion/scripts.ts";
import type { Invocation } from "../invocation.ts";
import { printOut } from "../output.ts";
import { usageError } from "../usage_error.ts";

/** `dugout completion` */
export function runCompletion({ args: [shell = ""] }: Invocation): number {
  const script = completionScript(shell);
  if (script === undefined) throw usageError(`there is no completion for "${shell}"`, 1, `it is ${SHELLS.join(", ")}`);
  printOut(script);
  return 0;
}
