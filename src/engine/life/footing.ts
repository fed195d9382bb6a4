import type { Ground } from "../again/ground.ts";
import type { RunInput } from "./run.ts";

/** What a plan is remembered under, and what it stands on. */
export interface Footing {
  readonly key: string;
  readonly ground: Ground;
}

/** Finds it before anything is read. Undefined where the plan is not to be remembered, or something has just changed. */
export async function findFooting(
  { engine, words, options, transformTape }: Pick<RunInput, "engine" | "words" | "options" | "transformTape">,
): Promise<Footing | undefined> {
  if (words === undefined || transformTape !== undefined) return undefined;
  // a tape that is remembered knows of no descriptors
  if (options.preservedFds.length > 0) return undefined;
  if (options.detach ? options.name !== undefined || options.tty : !options.rm) return undefined;
  const [{ ownProgram, planKey }, { surveyGround }] = await Promise.all([
    import("../again/key.ts"),
    import("../again/ground.ts"),
  ]);
  const program = ownProgram();
  // root maps ids itself, which a tape of several ids leaves to programs
  if (program === undefined || process.geteuid!() === 0) return undefined;
  const ground = surveyGround(engine, program);
  return ground.isSettled ? { key: planKey({ ...engine.options, words }, program), ground } : undefined;
}
