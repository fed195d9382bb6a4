import type { ByteString } from "#tar/bytes.ts";
import { joinName, nameOf, parentOf } from "#tar/name.ts";

/** What a name in a layer's archive means (image-spec, layer, "Whiteouts"). */
export type WhiteoutMeaning =
  | { readonly kind: "none" }
  /** The directory shows nothing of the layers below. */
  | { readonly kind: "opaque"; readonly directory: ByteString }
  /** The path of the layers below is gone. */
  | { readonly kind: "whiteout"; readonly path: ByteString }
  /** AUFS' own files in the archive's tree: `.wh..wh.plnk` and the like. */
  | { readonly kind: "aufs" }
  | { readonly kind: "refused"; readonly problem: string };

const PREFIX = ".wh.";
/** AUFS' own names begin so; the one for opaque directories became part of the specification. */
const AUFS_PREFIX = ".wh..wh.";
const OPAQUE = ".wh..wh..opq";

/** Name of the attribute by which overlayfs knows an opaque directory, when mounted with `userxattr`. */
export const OPAQUE_XATTR = "user.overlay.opaque";
export const OPAQUE_VALUE: Uint8Array = new Uint8Array([0x79]); // "y"

/** @param path A clean path (`cleanPath`), not the root. */
export function readWhiteout(path: ByteString): WhiteoutMeaning {
  if (!path.includes(PREFIX)) return { kind: "none" };
  const directory = parentOf(path);
  const base = nameOf(path);
  for (const part of directory.split("/")) {
    if (part.startsWith(AUFS_PREFIX)) return { kind: "aufs" };
    if (part.startsWith(PREFIX)) return { kind: "refused", problem: "it lies below the name of a whiteout" };
  }
  if (!base.startsWith(PREFIX)) return { kind: "none" };
  // The exact name first: it has the prefix as well (C-002).
  if (base === OPAQUE) return { kind: "opaque", directory };
  if (base.startsWith(AUFS_PREFIX)) return { kind: "aufs" };
  const name = base.slice(PREFIX.length);
  if (name === "" || name === "." || name === "..") {
    return { kind: "refused", problem: "it is a whiteout of no possible name" };
  }
  return { kind: "whiteout", path: joinName(directory, name) };
}
