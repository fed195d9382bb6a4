import { EXIT_RECORD } from "#runtime/setup.ts";

/** What a monitor leaves at the end. */
export interface EndRecord {
  /** As wait4(2) has it. */
  readonly waitStatus: number;
  /** Whether a process of the container was killed because its control group had no memory left. */
  readonly oomKilled: boolean;
}

/**
 * What a monitor left in a directory: the wait status (4 bytes, little-endian), and behind it, where the container had a control
 * group of its own, the text of its `memory.events`. Undefined where it left none. node:fs is loaded when it is asked for: a run whose
 * end was told does without.
 */
export function readEndRecord(directory: string): EndRecord | undefined {
  try {
    const bytes = process.getBuiltinModule("node:fs").readFileSync(`${directory}/${EXIT_RECORD}`);
    if (bytes.length < 4) return undefined;
    return {
      waitStatus: bytes.readInt32LE(0),
      oomKilled: /^oom_kill [1-9]/m.test(bytes.toString("latin1", 4)),
    };
  } catch {
    return undefined;
  }
}

/** The wait status alone. */
export function readWaitStatus(directory: string): number | undefined {
  return readEndRecord(directory)?.waitStatus;
}
