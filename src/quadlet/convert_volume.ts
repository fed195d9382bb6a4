import { quadletError } from "./error.ts";
import { type KeyTable, own, readAllWords, readFlags, readValue, refused, value, words } from "./keys.ts";
import { commandLine, makeService, serviceName } from "./service.ts";
import { type QuadletContext, type Service, type Source, stemOf, templateOf } from "./source.ts";

const FILL = "a volume is filled by its first container; 'nocopy' in Volume= prevents it";

/** `[Volume]`: podman's keys, and what they become. */
const VOLUME_KEYS: KeyTable = new Map([
  ["ContainersConfModule", refused("containers.conf is podman's")],
  ["Copy", refused(FILL)],
  ["Device", own()],
  ["Driver", value("driver")],
  ["GID", refused("the owner is what the image says; 'dugout unshare chown' changes it")],
  ["GlobalArgs", own()],
  ["Group", refused("the owner is what the image says; 'dugout unshare chown' changes it")],
  ["Image", refused("there is no driver for images; Mount=type=image works")],
  ["Label", words("label")],
  ["Options", own()],
  ["PodmanArgs", own()],
  ["ServiceName", own()],
  ["Type", own()],
  ["UID", refused("the owner is what the image says; 'dugout unshare chown' changes it")],
  ["User", refused("the owner is what the image says; 'dugout unshare chown' changes it")],
  ["VolumeName", own()],
]);

/** The volume's name: as the file says, else `systemd-` and the file's. */
export function volumeName(source: Source): string {
  const named = readValue(source.unit.get("Volume") ?? [], "VolumeName");
  if (named !== undefined) return named;
  return templateOf(stemOf(source.file)) === undefined ? `systemd-${stemOf(source.file)}` : "systemd-%p_%i";
}

/**
 * A `.volume` file → a service that makes the volume, if it is not there.
 * @throws {DugoutError} QUADLET_INVALID.
 */
export function convertVolume(source: Source, context: QuadletContext): Service {
  const entries = source.unit.get("Volume");
  if (entries === undefined) throw quadletError(source.path, undefined, "it has no section [Volume]");
  const flags = readFlags("Volume", entries, VOLUME_KEYS);
  const options = [["type", "Type"], ["device", "Device"], ["o", "Options"]].flatMap(([option, key]) => {
    const found = readValue(entries, key!);
    return found === undefined ? [] : [`--opt=${option}=${found}`];
  });
  const words = [
    ...readAllWords(entries, "GlobalArgs"),
    "volume",
    "create",
    ...flags.map((flag) => `--${flag.name}=${flag.value}`),
    ...options,
    ...readAllWords(entries, "PodmanArgs"),
    volumeName(source),
  ];
  return makeService(source, context, {
    name: serviceName(source, readValue(entries, "ServiceName")),
    needs: [],
    defaults: [["Type", "oneshot"], ["RemainAfterExit", "yes"]],
    lines: [["ExecStart", commandLine(context, words)]],
  });
}
