/** Runs at most so many things at once; the others wait in order. */
export type Limiter = <T>(run: () => Promise<T>) => Promise<T>;

/** Makes a limiter. What has waited and finds the signal aborted is not begun, and throws its reason. */
export function createLimiter(maxAtOnce: number, signal?: AbortSignal): Limiter {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (run) => {
    if (running < maxAtOnce) running++;
    // who ends gives its place to the first of these, so `running` stays
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      signal?.throwIfAborted();
      return await run();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
