import { runNetstack } from "#netstack/process/main.ts";

/** The binary as the network stack: its configuration on stdin, taps as descriptors. @returns The exit code, at its end. */
export function runStack(): number {
  return runNetstack();
}
