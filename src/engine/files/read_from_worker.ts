import { openSource } from "#ffi/mod.ts";
import type { Fd } from "#linux/call.ts";
import { close, makePipe } from "#linux/file.ts";

/**
 * Takes what a worker writes to its stream of data.
 * @param take Gets each piece in its order; a throw ends the worker.
 * @returns What the worker answered. @throws What it, or `take`, threw.
 */
export async function readFromWorker<T>(
  run: (data: Fd) => Promise<T>,
  take: (bytes: Uint8Array) => void,
): Promise<T> {
  const pipe = makePipe();
  const done = run(pipe.write).finally(() => close(pipe.write));
  // told below, unless taking fails first
  done.catch(() => {});
  const source = openSource(pipe.read);
  try {
    for (let bytes = await source.read(); bytes !== undefined; bytes = await source.read()) take(bytes);
  } finally {
    await source.cancel();
  }
  return await done;
}
