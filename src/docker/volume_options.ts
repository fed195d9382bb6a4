/**
 * Options of the local volume driver, which are those of mount(8): `type`, `device`, `o`.
 *
 * @module
 */

/**
 * Why a volume with these options cannot be had.
 * @returns `undefined` when it can: a tmpfs, a bind of a directory, or no option at all.
 */
export function refuseVolumeOptions(options: ReadonlyMap<string, string>): string | undefined {
  for (const key of options.keys()) {
    if (key !== "type" && key !== "device" && key !== "o") return `the local driver has no option "${key}"`;
  }
  const type = options.get("type") ?? "none";
  const flags = (options.get("o") ?? "").split(",");
  const isBind = type === "none" || type === "bind";
  if (!isBind && type !== "tmpfs") return `a user cannot mount "${type}": only tmpfs, and binds of directories`;
  if (isBind && options.size > 0) {
    if (!flags.includes("bind") && !flags.includes("rbind")) return 'type "none" needs "o=bind"';
    if (!(options.get("device") ?? "").startsWith("/")) return '"o=bind" needs an absolute path as "device"';
  }
  return undefined;
}
