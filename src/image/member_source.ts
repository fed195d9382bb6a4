/**
 * The files of which an image archive or an image layout on disk consists, as `load` sees them.
 *
 * @module
 */
import { type Digest, digestAlgorithm, digestHex } from "#oci/digest.ts";

/** A file that is in the store now. `first` are its first bytes, which tell how it is compressed. */
export type StoredMember = { readonly digest: Digest; readonly size: number; readonly first: Uint8Array };

/** Where `load` finds files by path: an archive that has been read through, or a directory. */
export type MemberSource = {
  has(path: string): boolean;
  /**
   * A document in memory; undefined when there is none of that name.
   * @throws {DugoutError} ARCHIVE_LIMIT when it is larger than `maxBytes`.
   */
  read(path: string, maxBytes: number): Uint8Array | undefined;
  /**
   * Puts a file into the store, held by the lease; undefined when there is none of that name.
   * @throws {DugoutError} DIGEST_MISMATCH when its content is not the one of `expected`; ENOSPC, EDQUOT.
   */
  store(path: string, expected: Digest | undefined): Promise<StoredMember | undefined>;
};

/** How many first bytes are kept: what tells compressions apart. */
export const FIRST_BYTES = 8;

/** What containerd, and Docker with it, call an image in full; `REF_NAME` has only the tag then. */
export const CONTAINERD_NAME = "io.containerd.image.name";
/** The name of an entry of index.json (image-spec, annotations). */
export const REF_NAME = "org.opencontainers.image.ref.name";

/** Where a blob lies in an OCI image layout. */
export function blobMember(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}
