import type { KeyObject } from "node:crypto";

/** Signs the lines of SHA256SUMS and writes them, the signature and the installer into `folder`. */
export function writeRelease(folder: string, lines: readonly string[], key: KeyObject): void;
