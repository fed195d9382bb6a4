import type { Arch } from "./syscall_numbers.ts";

const ARCH_OF_NODE: Readonly<Record<string, Arch>> = { x64: "x86_64", arm64: "aarch64" };

function detectArch(): Arch {
  const arch = ARCH_OF_NODE[process.arch];
  if (arch === undefined) throw new Error(`dugout runs on x86_64 and aarch64, not on "${process.arch}"`);
  return arch;
}

/** The architecture that this process runs on. */
export const HOST_ARCH: Arch = detectArch();
