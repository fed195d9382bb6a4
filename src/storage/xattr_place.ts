import type { ByteString } from "#tar/bytes.ts";
import type { TarKind } from "#tar/entry.ts";

/** How a layer's files are owned on disk: all by the user, or each by the id that the user namespace maps. */
export type Ownership = "single" | "mapped";

/** Attributes that overlay file systems read as commands: none of an image's may reach the disk. */
const COMMANDS = ["user.overlay.", "user.fuseoverlayfs.", "user.containers.", "trusted."];

/**
 * Whether an attribute of an archive is set on disk, or only recorded (C-010, C-055, A-012).
 *
 * - `user.overlay.*`, `user.fuseoverlayfs.*`, `user.containers.*` and `trusted.*` make whiteouts, redirects, other owners:
 *   recorded.
 * - `security.capability` takes effect: set within a user namespace, where the kernel binds it to that; with a single id
 *   recorded, as the file would be the user's own on the host.
 * - Other `security.*` belong to the host's policy: recorded.
 * - `system.posix_acl_*` name ids: set where ids are mapped.
 * - The kernel refuses `user.*` on everything but files and directories.
 */
export function placeXattr(name: ByteString, kind: TarKind, ownership: Ownership): "disk" | "record" {
  if (kind !== "file" && kind !== "directory") return "record";
  if (COMMANDS.some((prefix) => name.startsWith(prefix))) return "record";
  if (name.startsWith("user.")) return "disk";
  if (ownership === "single") return "record";
  if (name === "security.capability") return kind === "file" ? "disk" : "record";
  return name === "system.posix_acl_access" || name === "system.posix_acl_default" ? "disk" : "record";
}
