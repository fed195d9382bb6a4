/** The binary as a worker inside the user namespace: see src/storage/worker.ts. @returns The exit code. */
export function runWorker(): Promise<number> {
  return Promise.resolve(125);
}
