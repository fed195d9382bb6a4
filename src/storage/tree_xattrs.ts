import type { Fd } from "#linux/call.ts";
import { getXattr, listXattrs } from "#linux/xattr.ts";
import type { ByteString } from "#tar/bytes.ts";
import { NO_XATTRS } from "#tar/entry.ts";

/** What has no meaning to a container, or another one: overlay's marks, and what the host's policy says. */
const FOREIGN = ["user.overlay.", "user.fuseoverlayfs.", "user.containers.", "trusted."];

/** The attributes of an open file that belong to it wherever it goes: `user.*`, capabilities, ACLs. */
export function readXattrs(fd: Fd): ReadonlyMap<ByteString, Uint8Array> {
  const names = listXattrs(fd);
  if (typeof names === "number" || names.length === 0) return NO_XATTRS;
  const found = new Map<ByteString, Uint8Array>();
  for (const name of names) {
    const isForeign = FOREIGN.some((prefix) => name.startsWith(prefix));
    if (isForeign || (name.startsWith("security.") && name !== "security.capability")) continue;
    const value = getXattr(fd, name);
    if (typeof value !== "number") found.set(name as ByteString, value);
  }
  return found;
}
