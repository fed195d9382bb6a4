import { openRegistries, pullHost } from "#engine/store/pull.ts";
import { pullAllTags, type PullEvent, pullImage, type PullResult } from "#image/pull.ts";
import { digestHex } from "#oci/digest.ts";
import type { Platform } from "#oci/platform.ts";
import { familiarReference, formatReference, parseTypedReference, type Reference } from "#oci/reference.ts";
import { escapeText } from "#oci/text.ts";
import { openImageContext } from "./context.ts";
import type { GlobalOptions } from "./invocation.ts";
import { printError } from "./output.ts";
import { createProgress, type Progress } from "./progress.ts";
import { openScreen } from "./screen.ts";

export interface PullWish {
  global: GlobalOptions;
  /** As typed. */
  name: string;
  platform: Platform | undefined;
  tlsVerify: boolean | undefined;
  allTags?: boolean;
  /** Nothing but notices. */
  isQuiet: boolean;
  /** It is `run` that pulls: docker says so first, and not the name at the end. */
  isForRun: boolean;
  /** Where progress goes. */
  fd: 1 | 2;
}

/** Pulls an image, and shows how it goes as docker does. @returns What was pulled. */
export async function pullWithProgress(wish: PullWish): Promise<readonly PullResult[]> {
  const { global, name, platform, allTags, isQuiet } = wish;
  const { engine } = openImageContext(global);
  using access = await openRegistries(engine, { tlsVerify: wish.tlsVerify });
  const progress = isQuiet ? undefined : createProgress(openScreen(wish.fd));
  if (progress !== undefined) tellBeginning(progress, wish);
  const host = pullHost(engine, access, { platform, onEvent: (event) => tellEvent(progress, event) });
  try {
    if (allTags === true) return await pullAllTags(host, { name, platform });
    return [await pullImage(host, { name, platform })];
  } finally {
    progress?.end();
  }
}

function tellBeginning(progress: Progress, { name, isForRun, allTags }: PullWish): void {
  const { tag, digest } = parseTypedReference(name);
  const isBare = tag === undefined && digest === undefined;
  if (isForRun) progress.line(`Unable to find image '${name}${isBare ? ":latest" : ""}' locally`);
  else if (isBare && allTags !== true) progress.line("Using default tag: latest");
}

function tellEvent(progress: Progress | undefined, event: PullEvent): void {
  if (progress === undefined) {
    if (event.kind === "notice") printError(`dugout: ${escapeText(event.line)}\n`);
    return;
  }
  switch (event.kind) {
    case "pulling":
      progress.line(`${showTag(event.reference)}: Pulling from ${event.reference.path}`);
      break;
    case "layers":
      for (const { digest } of event.layers) progress.part(digestHex(digest).slice(0, 12), "Pulling fs layer");
      break;
    case "notice":
      progress.line(event.line);
      break;
    case "pulled":
      progress.end();
      tellResult(progress, event.result);
      break;
    case "downloading":
    case "extracting": {
      const state = event.kind === "downloading" ? "Downloading" : "Extracting";
      progress.part(digestHex(event.digest).slice(0, 12), state, event.done, event.total);
      break;
    }
    case "exists":
    case "verifying":
    case "downloaded":
    case "complete":
      progress.part(digestHex(event.digest).slice(0, 12), STATES[event.kind]);
      break;
    default:
      throw new Error(`Unknown event ${event satisfies never}`);
  }
}

const STATES = {
  exists: "Already exists",
  verifying: "Verifying Checksum",
  downloaded: "Download complete",
  complete: "Pull complete",
} as const;

/** `latest`, or the digest. */
function showTag({ tag, digest }: Reference): string {
  return digest ?? tag ?? "latest";
}

function tellResult(progress: Progress, { reference, targetDigest, isNew }: PullResult): void {
  const name = familiarReference(reference);
  progress.line(`Digest: ${targetDigest}`);
  progress.line(`Status: ${isNew ? "Downloaded newer image for" : "Image is up to date for"} ${name}`);
}

/** The name in full, which docker prints last. */
export function fullName({ reference }: PullResult): string {
  return formatReference(reference);
}
