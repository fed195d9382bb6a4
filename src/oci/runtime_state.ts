/**
 * The state of a container of a bundle: what the runtime keeps, and what it tells of it (OCI runtime-spec, runtime.md, "State").
 *
 * @module
 */
import * as v from "valibot";
import { countSchema, mapSchema, parseSchema } from "./schema.ts";

/** The version of the runtime specification that the runtime speaks. */
export const RUNTIME_SPEC_VERSION = "1.2.0";

const storedSchema = v.object({
  id: v.string(),
  /** The first process, and which one of that number it is. */
  pid: v.pipe(countSchema, v.minValue(1)),
  bootId: v.string(),
  startTime: v.string(),
  /** Absolute. */
  bundle: v.string(),
  rootfs: v.string(),
  /** RFC 3339. */
  created: v.string(),
  owner: v.string(),
  /** Whether hooks still run that belong to making it. */
  creating: v.boolean(),
  /** The directory of its control group, if it has one of its own. */
  group: v.optional(v.string()),
  annotations: mapSchema(v.string(), 100_000),
});

/** What `state.json` of the runtime holds. */
export type StoredState = v.InferOutput<typeof storedSchema>;

/** Reads a state. @throws {DugoutError} STATE_INVALID. */
export function parseContainerState(value: unknown, what: string): StoredState {
  return parseSchema(storedSchema, value, what, "STATE_INVALID");
}

/** The state as commands print it, in runc's order of keys. */
export interface PrintedState {
  readonly ociVersion: string;
  readonly id: string;
  readonly pid: number;
  readonly status: string;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly owner: string;
}

/** The state that hooks are given (runtime-spec, config.md, "POSIX-platform Hooks"). */
export interface HookState {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: string;
  readonly pid?: number;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
}
