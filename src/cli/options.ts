import type { Options } from "./scan.ts";

/** Whether a switch is on; `--rm=false` is off, as is absence. */
export function hasSwitch(options: Options, name: string): boolean {
  return options.get(name) === true;
}

/** The last value given, or undefined when the flag was not given. An empty text was given. */
export function textOption(options: Options, name: string): string | undefined {
  const value = options.get(name);
  return typeof value === "string" ? value : undefined;
}

/** All values of a repeatable flag, in order; empty when the flag was not given. */
export function listOption(options: Options, name: string): readonly string[] {
  const value = options.get(name);
  return typeof value === "object" ? value : [];
}

/** A switch that may be unsaid: undefined then. */
export function switchOption(options: Options, name: string): boolean | undefined {
  const value = options.get(name);
  return typeof value === "boolean" ? value : undefined;
}
