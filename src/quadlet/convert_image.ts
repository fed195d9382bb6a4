import { quadletError } from "./error.ts";
import { type KeyTable, onOff, own, readAllWords, readFlags, readValue, refused } from "./keys.ts";
import { commandLine, makeService, serviceName } from "./service.ts";
import type { QuadletContext, Service, Source } from "./source.ts";

const LOGIN = "'dugout login' keeps credentials, and --config names where";
const RETRIES = "pulls try again on their own";

/** `[Image]`: podman's keys, and what they become. */
const IMAGE_KEYS: KeyTable = new Map([
  ["AllTags", onOff("all-tags")],
  ["Arch", own()],
  ["AuthFile", refused(LOGIN)],
  ["CertDir", refused("certificates are looked for in /etc/docker/certs.d and its like")],
  ["ContainersConfModule", refused("containers.conf is podman's")],
  ["Creds", refused(LOGIN)],
  ["DecryptionKey", refused("encrypted images cannot be read")],
  ["GlobalArgs", own()],
  ["Image", own()],
  ["ImageTag", own()],
  ["OS", own()],
  ["PodmanArgs", own()],
  ["Policy", refused("a pull asks the registry always, and downloads what is missing")],
  ["Retry", refused(RETRIES)],
  ["RetryDelay", refused(RETRIES)],
  ["ServiceName", own()],
  ["TLSVerify", onOff("tls-verify")],
  ["Variant", own()],
]);

/** The image's name for those that refer to the file. */
export function imageName(source: Source): string {
  const entries = source.unit.get("Image") ?? [];
  return readValue(entries, "ImageTag") ?? readValue(entries, "Image") ?? "";
}

/**
 * An `.image` file → a service that pulls the image.
 * @throws {DugoutError} QUADLET_INVALID.
 */
export function convertImage(source: Source, context: QuadletContext): Service {
  const entries = source.unit.get("Image");
  if (entries === undefined) throw quadletError(source.path, undefined, "it has no section [Image]");
  const flags = readFlags("Image", entries, IMAGE_KEYS);
  const image = readValue(entries, "Image");
  if (image === undefined) throw quadletError(source.path, undefined, "Image= does not say what to pull");
  const platform = readPlatform(entries);
  const words = [
    ...readAllWords(entries, "GlobalArgs"),
    "pull",
    ...flags.map((flag) => `--${flag.name}=${flag.value}`),
    ...(platform === undefined ? [] : [`--platform=${platform}`]),
    ...readAllWords(entries, "PodmanArgs"),
    image,
  ];
  return makeService(source, context, {
    name: serviceName(source, readValue(entries, "ServiceName")),
    needs: [],
    defaults: [["Type", "oneshot"], ["RemainAfterExit", "yes"]],
    lines: [["ExecStart", commandLine(context, words)]],
  });
}

/** `OS=`, `Arch=`, `Variant=` as one. */
function readPlatform(entries: Parameters<typeof readValue>[0]): string | undefined {
  const [os, arch, variant] = ["OS", "Arch", "Variant"].map((key) => readValue(entries, key));
  if (os === undefined && arch === undefined && variant === undefined) return undefined;
  return [os ?? "linux", arch, variant].filter((part) => part !== undefined).join("/");
}
