import { DugoutError } from "./error.ts";
import { quote } from "./text.ts";

/** What a binary runs on, with Go's names: `linux`, `amd64`; `variant` as in image-spec, "Platform Variants" (arm v5 … v8, amd64 v1 … v4). */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
  osVersion?: string;
  osFeatures?: string[];
}

const ARCHITECTURES: ReadonlyMap<string, readonly [architecture: string, variant?: string]> = new Map([
  ["x86_64", ["amd64"]],
  ["x86-64", ["amd64"]],
  ["x64", ["amd64"]],
  ["amd64", ["amd64"]],
  ["aarch64", ["arm64"]],
  ["arm64", ["arm64"]],
  ["armhf", ["arm", "v7"]],
  ["armel", ["arm", "v6"]],
  ["arm", ["arm"]],
  ["i386", ["386"]],
  ["i686", ["386"]],
  ["ia32", ["386"]],
  ["386", ["386"]],
  ["ppc64", ["ppc64"]],
  ["ppc64le", ["ppc64le"]],
  ["s390x", ["s390x"]],
  ["riscv64", ["riscv64"]],
  ["loong64", ["loong64"]],
  ["loongarch64", ["loong64"]],
  ["mips64le", ["mips64le"]],
  ["mips64el", ["mips64le"]],
]);

const SYSTEMS: ReadonlySet<string> = new Set(["linux", "windows", "darwin", "freebsd", "wasip1"]);

/** Drops a variant that says nothing: arm64 is v8, amd64 is v1; plain arm means v7 (containerd's rule, which Docker follows). */
function normalizeVariant(architecture: string, variant: string | undefined): string | undefined {
  const named = variant === undefined || variant === "" ? undefined : /^[5-9]$/.test(variant) ? `v${variant}` : variant;
  if (architecture === "arm64" && (named === "v8" || named === "v8.0")) return undefined;
  if (architecture === "amd64" && named === "v1") return undefined;
  if (architecture === "arm" && named === undefined) return "v7";
  return named;
}

/** The same platform with the usual names, so that two of them can be compared. */
export function normalizePlatform(platform: Platform): Platform {
  const known = ARCHITECTURES.get(platform.architecture.toLowerCase());
  const architecture = known?.[0] ?? platform.architecture.toLowerCase();
  const variant = normalizeVariant(architecture, platform.variant?.toLowerCase() || known?.[1]);
  return {
    os: platform.os.toLowerCase(),
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(platform.osVersion === undefined ? {} : { osVersion: platform.osVersion }),
    ...(platform.osFeatures === undefined ? {} : { osFeatures: platform.osFeatures }),
  };
}

/**
 * Parses `--platform`: `os`, `architecture`, `os/architecture` or `os/architecture/variant`; what is left out is the host's.
 * @throws {DugoutError} PLATFORM_INVALID.
 */
export function parsePlatform(text: string, host: Platform = hostPlatform()): Platform {
  const parts = text.length > 100 ? [] : text.split("/");
  if (parts.length < 1 || parts.length > 3 || !parts.every((part) => /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(part))) {
    throw new DugoutError(
      "PLATFORM_INVALID",
      `Cannot use ${quote(text)} as a platform: not "os/architecture" or "os/architecture/variant"`,
      {
        hint: 'Write for example "linux/arm64" or "linux/arm/v7"',
      },
    );
  }
  const [first = "", architecture, variant] = parts;
  if (architecture !== undefined) {
    return normalizePlatform({ os: first, architecture, ...(variant === undefined ? {} : { variant }) });
  }
  if (SYSTEMS.has(first.toLowerCase())) return { ...host, os: first.toLowerCase() };
  if (ARCHITECTURES.has(first.toLowerCase())) return normalizePlatform({ os: host.os, architecture: first });
  throw new DugoutError(
    "PLATFORM_INVALID",
    `Cannot use ${quote(text)} as a platform: neither an operating system nor an architecture that is known`,
  );
}

/** `os/architecture` or `os/architecture/variant`. */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter((part) => part !== undefined && part !== "")
    .join("/");
}

/** The platform of this machine. */
export function hostPlatform(arch: string = process.arch): Platform {
  return normalizePlatform({ os: "linux", architecture: arch });
}

/** Attestations carry the platform unknown/unknown; they are never an image to run (C-029). */
export function isUnknownPlatform(platform: Platform): boolean {
  return platform.os === "unknown" || platform.architecture === "unknown";
}

function variantLevel(variant: string | undefined, otherwise: number): number {
  const match = variant === undefined ? null : /^v(\d)$/.exec(variant);
  return match === null ? (variant === undefined ? otherwise : NaN) : Number(match[1]);
}

/**
 * How well a machine of platform `wanted` runs something made for `offered`: 0 not at all, higher is better. An ARM or an amd64
 * processor runs the variants below its own; 32-bit ARM code on arm64 is not chosen unasked.
 */
export function scorePlatform(wanted: Platform, offered: Platform): number {
  if (isUnknownPlatform(offered)) return 0;
  const want = normalizePlatform(wanted);
  const have = normalizePlatform(offered);
  if (want.os !== have.os || want.architecture !== have.architecture) return 0;
  if (want.variant === have.variant) return 100;
  const base = want.architecture === "amd64" ? 1 : 8;
  if (want.architecture !== "arm" && want.architecture !== "amd64" && want.architecture !== "arm64") return 0;
  const distance = variantLevel(want.variant, base) - variantLevel(have.variant, base);
  return distance > 0 ? 100 - distance : 0;
}

/**
 * Chooses the entry for a platform; the first of the best ones, as image-spec says ("the first matching entry SHOULD be used").
 * Entries without a platform are taken only when no other fits.
 */
export function choosePlatform<T extends { platform?: Platform }>(
  entries: readonly T[],
  wanted: Platform,
): T | undefined {
  let best: T | undefined;
  let bestScore = 0;
  for (const entry of entries) {
    const score = entry.platform === undefined ? 1 : scorePlatform(wanted, entry.platform);
    if (score > bestScore) [best, bestScore] = [entry, score];
  }
  return best;
}
