import { notePush } from "#engine/events/image_events.ts";
import { openRegistries } from "#engine/store/pull.ts";
import { pushAllTags, type PushEvent, pushImage } from "#image/push.ts";
import { digestHex } from "#oci/digest.ts";
import { parsePlatform } from "#oci/platform.ts";
import { formatReference, parseTypedReference, repositoryName } from "#oci/reference.ts";
import { escapeText } from "#oci/text.ts";
import { openImageContext, warn } from "../context.ts";
import type { GlobalOptions, Invocation } from "../invocation.ts";
import { hasSwitch, switchOption, textOption } from "../options.ts";
import { printOut } from "../output.ts";
import { createProgress, type Progress } from "../progress.ts";
import { openScreen } from "../screen.ts";

/** `dugout push` */
export async function runPush({ options, args, global }: Invocation): Promise<number> {
  const [name = ""] = args;
  const platform = textOption(options, "platform");
  const isQuiet = hasSwitch(options, "quiet");
  const isAll = hasSwitch(options, "all-tags");
  const request = { name, platform: platform === undefined ? undefined : parsePlatform(platform) };
  const { engine } = openImageContext(global);
  using access = await openRegistries(engine, { tlsVerify: switchOption(options, "tls-verify") });
  const progress = isQuiet ? undefined : createProgress(openScreen(1));
  const tell = (event: PushEvent) => {
    if (event.kind === "pushed") notePush(engine, event.result);
    tellEvent(global, progress, event);
  };
  const host = { store: engine.store, access, onEvent: tell };
  const { tag, digest } = parseTypedReference(name);
  if (!isAll && tag === undefined && digest === undefined) progress?.line("Using default tag: latest");
  try {
    const results = isAll ? await pushAllTags(host, request) : [await pushImage(host, request)];
    const last = results.at(-1);
    if (isQuiet && last !== undefined) {
      const { reference } = last;
      printOut(escapeText(isAll ? repositoryName(reference) : formatReference(reference)) + "\n");
    }
  } finally {
    progress?.end();
  }
  return 0;
}

function tellEvent(global: GlobalOptions, progress: Progress | undefined, event: PushEvent): void {
  if (progress === undefined) {
    if (event.kind === "notice") warn(global, event.line);
    return;
  }
  switch (event.kind) {
    case "pushing":
      progress.line(`The push refers to repository [${repositoryName(event.reference)}]`);
      break;
    case "layers":
      for (const label of event.labels) progress.part(shortHex(label), "Preparing");
      break;
    case "sending":
      progress.part(shortHex(event.label), "Pushing", event.done, event.total);
      break;
    case "mounted":
      progress.part(shortHex(event.label), `Mounted from ${event.from}`);
      break;
    case "exists":
      progress.part(shortHex(event.label), "Layer already exists");
      break;
    case "foreign":
      progress.part(shortHex(event.label), "Skipped foreign layer");
      break;
    case "sent":
      progress.part(shortHex(event.label), "Pushed");
      break;
    case "notice":
      progress.line(event.line);
      break;
    case "pushed": {
      const { reference, digest, sizeBytes } = event.result;
      progress.end();
      progress.line(`${reference.tag ?? "latest"}: digest: ${digest} size: ${sizeBytes}`);
      break;
    }
    default:
      throw new Error(`Unknown event ${event satisfies never}`);
  }
}

function shortHex(digest: Parameters<typeof digestHex>[0]): string {
  return digestHex(digest).slice(0, 12);
}
