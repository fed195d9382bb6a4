import { join } from "node:path";
import { DugoutError } from "#oci/error.ts";
import type { Engine } from "../engine.ts";
import { waitForEnd } from "../life/signal_container.ts";
import { readLog } from "../log/read_log.ts";
import type { ContainerRecord } from "../record/container_record.ts";

/** Which part of a log is wanted. */
export interface LogOptions {
  /** Go on as it comes, until the container ends. */
  readonly follow?: boolean;
  /** The last lines only. */
  readonly tailLines?: number;
  /** What came since. */
  readonly since?: Date;
  /** What came before. */
  readonly until?: Date;
  /** Stops following. */
  readonly signal?: AbortSignal;
}

/** A piece of what a container wrote: as it came, which need not be a line. */
export interface LogChunk {
  readonly stream: "stdout" | "stderr";
  readonly time: Date;
  readonly bytes: Uint8Array;
  /** The same as UTF-8; a character that came in two pieces is in the second. */
  readonly text: string;
}

/**
 * What a container has written.
 * @throws {DugoutError} LOG_INCOMPLETE behind the place at which the disk was full.
 */
export async function* readLogs(
  engine: Engine,
  record: ContainerRecord,
  { follow = false, tailLines, since, until, signal }: LogOptions,
): AsyncGenerator<LogChunk> {
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  const [fromMs, toMs] = [since?.getTime() ?? -Infinity, until?.getTime() ?? Infinity];
  const end = follow ? waitForEnd(engine, record, undefined) : undefined;
  const frames = readLog(join(engine.dataRoot, "containers", record.id), { tailLines, until: end, signal });
  for await (const piece of frames) {
    for (const { stream, bytes, seconds, nanoseconds } of piece) {
      if (stream === "lost") {
        throw new DugoutError("LOG_INCOMPLETE", `Cannot give all of the log of "${record.name}": the disk was full`);
      }
      const ms = seconds * 1000 + nanoseconds / 1e6;
      if (ms < fromMs || ms > toMs) continue;
      // those of the frame hold until the next one
      const kept = bytes.slice();
      yield { stream, time: new Date(ms), bytes: kept, text: decoders[stream].decode(kept, { stream: true }) };
    }
  }
}
