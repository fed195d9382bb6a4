/**
 * What another process of a container is started with, written down when the container is made: `containers/<id>/spec.json`. It is the
 * process of the OCI runtime specification as it was planned, and what goes with it that the specification cannot say.
 *
 * @module
 */
import * as fs from "node:fs";
import { join } from "node:path";
import type { IdMap } from "#linux/idmap.ts";
import type { ProcessSpec, RlimitSpec } from "#oci/runtime_spec.ts";
import type { RunConfig } from "#oci/image_config.ts";
import type { RunRequest } from "#docker/run_request.ts";
import type { ContainerSetup } from "#runtime/setup.ts";

/** What a container leaves for those who enter it. */
export interface SpecFile {
  readonly process: ProcessSpec;
  readonly map: IdMap;
  /** The seccomp program, and the flags of seccomp(2). */
  readonly filter: { readonly program: Uint8Array; readonly flags: number } | undefined;
  readonly filterHidesKeys: boolean;
  /** The processors that it is kept to without a control group. */
  readonly affinity: readonly number[] | undefined;
  /** Whether process 1 is our reaper. */
  readonly init: boolean;
  /** `--group-add`: for whichever user. */
  readonly groupAdd: readonly string[];
  /** Variables of the process that neither the image nor the user named: others have to be found for another user or a terminal. */
  readonly implied: readonly string[];
}

/** The file's name in the container's directory. */
export const SPEC_FILE = "spec.json";

const MAY_BE_IMPLIED = ["HOME", "TERM"];
const MOST_BYTES = 16 << 20;

/** What is to be kept of a container. */
export function makeSpecFile(
  setup: ContainerSetup,
  process: ProcessSpec,
  request: RunRequest,
  image: RunConfig,
): SpecFile {
  const named = new Set([
    ...(image.Env ?? []).map((entry) => entry.split("=", 1)[0]),
    ...request.env.map(([name]) => name),
  ]);
  return {
    process,
    map: setup.map,
    filter: setup.filter,
    filterHidesKeys: setup.filterHidesKeys,
    affinity: setup.affinity,
    init: setup.init,
    groupAdd: request.groupAdd,
    implied: MAY_BE_IMPLIED.filter((name) => !named.has(name)),
  };
}

/** As JSON: limits, which have 64 bits, as text, and the filter in base64. */
export function encodeSpecFile({ process, filter, ...rest }: SpecFile): string {
  return JSON.stringify({
    ...rest,
    process: {
      ...process,
      rlimits: process.rlimits?.map(({ type, soft, hard }) => ({ type, soft: String(soft), hard: String(hard) })),
    },
    filter: filter === undefined
      ? undefined
      : { program: Buffer.from(filter.program).toString("base64"), flags: filter.flags },
  });
}

/** Reads it back. @throws {SyntaxError | TypeError} When it is damaged. */
export function decodeSpecFile(text: string): SpecFile {
  const { process, filter, ...rest } = JSON.parse(text) as Encoded;
  const { rlimits, ...others } = process;
  return {
    ...rest,
    process: {
      ...others,
      ...(rlimits === undefined ? {} : { rlimits: rlimits.map(decodeLimit) }),
    },
    filter: filter === undefined
      ? undefined
      : { program: new Uint8Array(Buffer.from(filter.program, "base64")), flags: filter.flags },
  };
}

type Encoded = Omit<SpecFile, "process" | "filter"> & {
  readonly process: Omit<ProcessSpec, "rlimits"> & { readonly rlimits?: Record<keyof RlimitSpec, string>[] };
  readonly filter?: { readonly program: string; readonly flags: number };
};

function decodeLimit({ type, soft, hard }: Record<keyof RlimitSpec, string>): RlimitSpec {
  return { type, soft: BigInt(soft), hard: BigInt(hard) };
}

/** What a container on record left; undefined where it has no such file that can be read. */
export function readSpecFile(dataRoot: string, id: string): SpecFile | undefined {
  try {
    const path = join(dataRoot, "containers", id, SPEC_FILE);
    return fs.statSync(path).size > MOST_BYTES ? undefined : decodeSpecFile(fs.readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
